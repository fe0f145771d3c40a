"""The kind of Sloth's operator."""
