"""AlertPolicy of OpenSLO: one condition, and who is told when it holds."""
