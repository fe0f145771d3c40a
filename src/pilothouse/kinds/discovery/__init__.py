"""The group `discovery.k8s.io`: where the pods of a Service are."""
