"""How many pods one pass may create or delete.

Upstream creates in batches of 1, 2, 4 … so that a refusal (a quota, say) is met once and not hundreds of times. A
decision here is a list whose performance stops at its first failure, which reaches the same end: only the cap is left.
Source: replicaset controller `BurstReplicas` and `slowStartBatch`, Kubernetes 1.36.
"""

from __future__ import annotations

BURST = 500
"""Pods created or deleted in one pass of one ReplicaSet; the rest waits for the next pass."""
