"""Everything about one kind in one folder."""
