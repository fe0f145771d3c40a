"""Real clients and whole processes against our servers, on loopback only."""
