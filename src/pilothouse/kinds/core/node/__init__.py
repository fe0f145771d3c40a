"""Node: a machine that pods run on."""
