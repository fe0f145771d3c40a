"""Arithmetic of Jobs: sets of indexes, back-off after failures, failure and success policies. Pure, no store."""
