"""policy/PodDisruptionBudget: how many pods may be missing by choice."""
