"""Replays answers recorded from the real systems; one module a set, one score a set."""
