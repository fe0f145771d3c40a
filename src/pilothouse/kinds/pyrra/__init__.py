"""The kind of Pyrra's operator."""
