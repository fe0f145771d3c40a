"""Service: a stable address for the pods that a selector names."""
