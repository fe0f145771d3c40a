"""The rehearsal world: pods, traffic and faults as seeded models in virtual time."""
