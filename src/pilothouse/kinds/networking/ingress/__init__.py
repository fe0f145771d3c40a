"""Ingress."""
