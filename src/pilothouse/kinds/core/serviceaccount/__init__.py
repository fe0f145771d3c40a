"""ServiceAccount: who a pod is."""
