"""Reads node pools out of Terraform files. Pure: text in, values and findings out.

`hcl` parses, `values` resolves what is literal, `node_pools` finds the pools, `instances` knows machine types and what
EKS leaves of them for pods.
"""
