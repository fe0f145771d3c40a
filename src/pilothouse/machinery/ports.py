"""What a world must be able to do, as protocols: rehearsal implements them with models, the live world with real
things.

Kinds and the wire know only these. Times are seconds; what waits is a coroutine, what answers at once is a plain
function.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from pilothouse.base.actions import Object
from pilothouse.base.selectors import Selector


class Events(Protocol):
    """Where controllers say what they did (`machinery.events.EventRecorder`)."""

    def record(self, regarding: Object, type: str, reason: str, message: str, component: str) -> None:
        """Note one event about an object. type: Normal or Warning."""


class Node(Protocol):
    """What the kubelet does for the API: the log, exec and port-forward subresources. Pods themselves are seen
    through the store."""

    async def read_log(
        self, namespace: str, pod: str, container: str, *, tail_lines: int | None = None, previous: bool = False
    ) -> str:
        """The container's log text. Raises NotFound or BadRequest as the kubelet answers."""

    async def execute(
        self, namespace: str, pod: str, container: str, command: Sequence[str], stdin: bytes = b""
    ) -> tuple[int, bytes, bytes]:
        """Run a command in a container: (exit code, stdout, stderr)."""

    async def open_port(self, namespace: str, pod: str, port: int) -> Stream:
        """A byte stream to a port of the pod."""


class Stream(Protocol):
    """Two directions of bytes."""

    async def read(self) -> bytes:
        """The next bytes; b"" at the end."""

    async def write(self, data: bytes) -> None: ...

    async def close(self) -> None: ...


class Network(Protocol):
    """Addresses: the rehearsal hands out numbers, the live world binds them."""

    def pod_ip(self, namespace: str, pod: str, node: str) -> str:
        """The address of a pod on a node; the same one when asked again."""

    def release(self, ip: str) -> None:
        """The address may be given to another pod."""


@dataclass(frozen=True, slots=True)
class Revision:
    """A commit. id: its full hash; paths: the files that it changed; time_s: when it was committed."""

    id: str
    message: str
    author: str
    time_s: float
    paths: tuple[str, ...] = ()


class Git(Protocol):
    """Repositories that GitOps follows."""

    async def resolve(self, url: str, reference: str) -> Revision:
        """The commit a branch, tag or hash stands for now. Raises NotFound."""

    async def read_tree(self, url: str, revision: str, path: str) -> Mapping[str, bytes]:
        """{relative path: content} of every file below `path` at that commit."""

    def follow(self, url: str, reference: str) -> AsyncIterator[Revision]:
        """New commits of a branch as they come."""


@dataclass(frozen=True, slots=True)
class BuildResult:
    image: str
    digest: str
    succeeded: bool
    log: str


class Build(Protocol):
    async def build(self, context: Mapping[str, bytes], image: str, arguments: Mapping[str, str]) -> BuildResult:
        """Make an image from files. It may take long; a failed build is a result, not an error."""


class Secrets(Protocol):
    async def read(self, store: str, key: str) -> str:
        """A secret value from outside the cluster. Raises NotFound. It must never reach a log or a report."""


class Notify(Protocol):
    async def send(self, receiver: str, title: str, body: str, labels: Mapping[str, str]) -> None:
        """Tell people. Raises ApiError when the receiver refuses; the caller retries."""


class PodMetrics(msgspec.Struct, frozen=True, gc=False):
    """Usage of one pod as metrics.k8s.io answers it. usage: {container: {"cpu": cores, "memory": bytes}}; time_s:
    when the window ended; window_s: its length."""

    name: str
    time_s: float
    window_s: float
    usage: Mapping[str, Mapping[str, float]]


class MetricValue(msgspec.Struct, frozen=True, gc=False):
    """One value of custom.metrics.k8s.io or external.metrics.k8s.io; object: the described object's name, "" for
    external."""

    object: str
    value: float
    time_s: float


class MetricsReader(Protocol):
    """What the three metrics APIs would answer, read at once. An empty answer means: no metrics known."""

    def pod_metrics(self, namespace: str, selector: Selector) -> Sequence[PodMetrics]:
        """metrics.k8s.io: usage of the matching pods."""

    def pods_metric(
        self, namespace: str, metric: str, pods: Selector, metric_selector: Selector
    ) -> Sequence[MetricValue]:
        """custom.metrics.k8s.io: one value per matching pod."""

    def object_metric(
        self, namespace: str, kind: str, name: str, metric: str, metric_selector: Selector
    ) -> MetricValue | None:
        """custom.metrics.k8s.io: one value that describes an object."""

    def external_metric(self, namespace: str, metric: str, selector: Selector) -> Sequence[MetricValue]:
        """external.metrics.k8s.io: every matching series."""
