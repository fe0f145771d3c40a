"""Secret: configuration that must not be shown."""
