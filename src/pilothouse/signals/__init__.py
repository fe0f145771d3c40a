"""Recorders that run in both worlds."""
