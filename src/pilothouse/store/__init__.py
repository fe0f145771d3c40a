"""Versioned objects: revisions, watches, indexes."""
