"""Event: what was said about an object."""
