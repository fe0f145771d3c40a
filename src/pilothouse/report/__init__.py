"""Results as data, and their renderings: terminal, JSON, YAML, JUnit, NDJSON, HTML. Pure."""
