"""The Scenario kind: what a rehearsal plays and what it should come to."""
