"""apps/Deployment: rolls a ReplicaSet per pod template forward and back."""
