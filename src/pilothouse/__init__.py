"""Pilothouse: production delivery files, rehearsed in virtual time or run live, in one process."""

__version__ = "0.1.0"
