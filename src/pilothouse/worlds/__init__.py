"""Where pods live: models in virtual time, or real processes."""
