"""apps/ReplicaSet: keeps a number of pods of one template."""
