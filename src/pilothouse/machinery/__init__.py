"""How kinds are written, read and reconciled: the write path, the client, the loop, the ports."""
