"""RoleBinding."""
