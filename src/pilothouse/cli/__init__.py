"""What people type. `main` owns the process: arguments, exit codes, and that no traceback is shown."""
