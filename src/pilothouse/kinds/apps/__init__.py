"""The group `apps`: workloads."""
