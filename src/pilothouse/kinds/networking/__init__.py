"""Traffic from outside and between pods."""
