"""Placing pods on nodes and sizing node pools: kube-scheduler 1.36 and cluster-autoscaler as arithmetic over columns.

`facts` reads objects once, `cluster` keeps the columns, `filters` and `scores` look at one pod, `placing` chooses,
`pools` grows and shrinks.
"""
