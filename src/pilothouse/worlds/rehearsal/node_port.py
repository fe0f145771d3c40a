"""The port `Node` of a rehearsal: its pods are models, so there are no logs to read and nothing to execute in."""
# ruff: noqa: ARG002 -- the signatures are the port's

from __future__ import annotations

from collections.abc import Sequence

from pilothouse.base.errors import BadRequest
from pilothouse.machinery.ports import Stream


class ModelledNode:
    """Answers every request with a BadRequest that says why."""

    async def read_log(
        self, namespace: str, pod: str, container: str, *, tail_lines: int | None = None, previous: bool = False
    ) -> str:
        raise BadRequest("a rehearsal's pods are models: they write no logs")

    async def execute(
        self, namespace: str, pod: str, container: str, command: Sequence[str], stdin: bytes = b""
    ) -> tuple[int, bytes, bytes]:
        raise BadRequest("a rehearsal's pods are models: nothing can be executed in them")

    async def open_port(self, namespace: str, pod: str, port: int) -> Stream:
        raise BadRequest("a rehearsal's pods are models: they have no ports")
