"""EC2 instance types (data/ec2/instances.json) and what EKS leaves of them for pods.

Reserved amounts: awslabs/amazon-eks-ami `files/bootstrap.sh` and `nodeadm` (the same formulas): memory 255 MiB + 11 MiB
per pod, cpu 6 % of the first core, 1 % of the second, 0.5 % of the next two, 0.25 % of the rest, 1 GiB of disk; hard
eviction at 100 MiB of memory and 10 % of disk. Pods: one address each, ENIs x (addresses per ENI - 1) + 2
(eni-max-pods.txt).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

MIB, GIB = 2**20, 2**30
HYPERVISOR_SHARE = 0.075
"""Nominal memory that the kernel never sees: Karpenter's default estimate (vm-memory-overhead-percent 0.075)."""
DEFAULT_DISK_GIB = 20
"""A managed node group's volume when nothing is said."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One type. memory_gib: nominal; hourly_usd: on-demand, Linux, us-east-1."""

    name: str
    vcpu: int
    memory_gib: float
    enis: int
    ips_per_eni: int
    hourly_usd: float
    gpus: int = 0
    gpu: str = ""
    arch: str = "amd64"

    @property
    def max_pods(self) -> int:
        return self.enis * (self.ips_per_eni - 1) + 2

    def capacity(self, disk_gib: int = DEFAULT_DISK_GIB) -> dict[str, int]:
        """What the node has: cpu in milli-cores, bytes, whole pods and GPUs."""
        out = {
            "cpu": self.vcpu * 1000,
            "memory": int(self.memory_gib * GIB * (1 - HYPERVISOR_SHARE)) // MIB * MIB,
            "ephemeral-storage": disk_gib * GIB,
            "pods": self.max_pods,
        }
        if self.gpus:
            out["nvidia.com/gpu"] = self.gpus
        return out

    def allocatable(self, disk_gib: int = DEFAULT_DISK_GIB) -> dict[str, int]:
        """What EKS leaves for pods."""
        out = self.capacity(disk_gib)
        out["cpu"] -= reserved_cpu_milli(self.vcpu)
        out["memory"] -= (255 + 11 * self.max_pods) * MIB + 100 * MIB
        out["ephemeral-storage"] -= GIB + out["ephemeral-storage"] // 10
        return {name: max(amount, 0) for name, amount in out.items()}


def reserved_cpu_milli(vcpu: int) -> int:
    """Milli-cores that EKS keeps for the kubelet: 60, 10, 5, 5 of the first four cores, 2.5 of each other."""
    shares = [60.0, 10.0, 5.0, 5.0][:vcpu] + [2.5] * max(vcpu - 4, 0)
    return int(sum(shares))


@lru_cache(maxsize=1)
def instances() -> Mapping[str, Instance]:
    """All known types by name."""
    text = files("pilothouse").joinpath("data/ec2/instances.json").read_text(encoding="utf-8")
    return {name: Instance(name, **fields) for name, fields in json.loads(text)["types"].items()}


def nearest(name: str) -> list[str]:
    """Known types of the same family, or families that begin alike, for a remedy."""
    family = name.partition(".")[0]
    same = [known for known in instances() if known.startswith(f"{family}.")]
    return same or [known for known in instances() if known[:2] == name[:2] and known.endswith(".xlarge")]
