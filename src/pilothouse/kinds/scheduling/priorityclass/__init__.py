"""PriorityClass."""
