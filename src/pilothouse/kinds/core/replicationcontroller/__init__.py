"""ReplicationController: a number of pods kept alive, from before ReplicaSets."""
