"""apps/ControllerRevision: one state of a StatefulSet's or DaemonSet's template, to go back to."""
