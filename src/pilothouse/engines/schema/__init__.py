"""What Kubernetes says about the shape of objects: structure, defaults, constraints and wordings, driven by schema
data."""
