"""ClusterRoleBinding."""
