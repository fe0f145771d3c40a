"""ClusterRole."""
