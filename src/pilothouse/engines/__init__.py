"""Pure libraries: no I/O, no clock, no waiting. None imports another unless .importlinter lists it."""
