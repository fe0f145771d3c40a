"""IngressClass."""
