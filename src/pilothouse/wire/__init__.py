"""Encodings of other systems' protocols, nothing else."""
