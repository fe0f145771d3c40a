"""The other process of `--verify`: same request, other surroundings. Reads a question on stdin, answers on stdout.

Before anything of ours is imported it shifts the wall clock by about a year and leaves small holes all over the
allocator's pools, so that objects get other addresses.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from typing import Any

SHIFT_S = 31_556_926.0


def _disturb() -> list[bytes]:
    """Allocates small objects of all sizes and frees every second one; gives the rest, which must stay alive."""
    noise = [bytes(size) for _ in range(37) for size in range(16, 512, 16)]
    return noise[::2]


def _shift_wall_clock() -> None:
    real = time.time
    time.time = lambda: real() + SHIFT_S


def main() -> None:
    held = _disturb()
    _shift_wall_clock()
    import msgspec

    from pilothouse.assemble.rehearsal import trace_first_seed
    from pilothouse.report.model import RehearseRequest

    question: dict[str, Any] = json.load(sys.stdin)
    request = msgspec.convert(question["request"], RehearseRequest)
    low, high = question["window"]
    traced = trace_first_seed(request, (low, high))
    json.dump(dataclasses.asdict(traced), sys.stdout)
    assert held


if __name__ == "__main__":
    main()
