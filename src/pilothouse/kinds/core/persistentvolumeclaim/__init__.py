"""PersistentVolumeClaim: storage that a pod asks for and that outlives it."""
