"""Kinds of argoproj.io: progressive delivery as Argo Rollouts defines it."""
