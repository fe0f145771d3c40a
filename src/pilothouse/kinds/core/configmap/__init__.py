"""ConfigMap: configuration as keys and values."""
