"""The Kubernetes HTTP API: from a request's bytes to the write path and back, for whatever kinds it is given."""
