"""LimitRange: what containers, pods and claims of a namespace get by default, and how much they may ask for."""
