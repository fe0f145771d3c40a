"""Endpoints: a Service's addresses in one object, from before EndpointSlices."""
