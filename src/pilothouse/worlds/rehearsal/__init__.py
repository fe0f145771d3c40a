"""The rehearsal world: pods, nodes, traffic and faults as seeded models in virtual time, behind the same ports as
the live world."""
