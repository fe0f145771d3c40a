"""Arithmetic of rolling changes, shared by every kind that owns pods: pure numbers and choices, no store, no clock."""
