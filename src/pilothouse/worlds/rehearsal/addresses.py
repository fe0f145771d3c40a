"""Pod addresses: the port `Network` of a rehearsal. Each node has a /24 of 10.0.0.0/8; addresses are used again,
lowest first."""

from __future__ import annotations

import heapq


class Addresses:
    """Hands out and takes back addresses; the same pod asked twice has the same one."""

    def __init__(self) -> None:
        self._nodes: dict[str, int] = {}
        self._next: dict[str, int] = {}
        self._free: dict[str, list[int]] = {}
        self._of_pod: dict[tuple[str, str, str], str] = {}
        self._pod_of: dict[str, tuple[tuple[str, str, str], int]] = {}

    def pod_cidr(self, node: str) -> str:
        return f"{self._prefix(node)}.0/24"

    def pod_ip(self, namespace: str, pod: str, node: str) -> str:
        """The pod's address on this node."""
        key = (namespace, pod, node)
        known = self._of_pod.get(key)
        if known is not None:
            return known
        free = self._free.setdefault(node, [])
        host = heapq.heappop(free) if free else self._following(node)
        address = f"{self._prefix(node)}.{host}"
        self._of_pod[key] = address
        self._pod_of[address] = (key, host)
        return address

    def release(self, ip: str) -> None:
        """The address may be given to another pod."""
        key, host = self._pod_of.pop(ip)
        del self._of_pod[key]
        heapq.heappush(self._free[key[2]], host)

    def _following(self, node: str) -> int:
        host = self._next.get(node, 2)
        self._next[node] = host + 1
        return host

    def _prefix(self, node: str) -> str:
        number = self._nodes.setdefault(node, len(self._nodes))
        return f"10.{number // 256}.{number % 256}"
