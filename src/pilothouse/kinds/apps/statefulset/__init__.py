"""apps/StatefulSet: pods with names and storage of their own, started and replaced in order."""
