"""Pilothouse's own kinds."""
