"""Namespace: where objects live; deleting one empties it first."""
