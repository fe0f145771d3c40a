"""What the docs say is held to the code; generated parts are written by `generate`."""
