"""discovery.k8s.io/EndpointSlice: the addresses behind a Service."""
