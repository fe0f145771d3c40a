"""What is stored: objects, revisions, watches. Holds no rules; `machinery.write_path` writes, everybody reads."""
