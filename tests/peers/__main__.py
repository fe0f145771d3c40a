"""`make peers`: runs every set that is present and has a module here, prints one line a set, keeps the scores.

A set is a folder of --peers; its module is tests/peers/NAME.py (dashes become underscores) with
`run(folder) -> iterable of (case, None | failure)`. A module may serve another folder by `FOLDER = "name"`.
Exit 1 when a set scores below what docs/compatibility.md records.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from tests.peers import record

HERE = Path(__file__).parent


@dataclass
class Score:
    """What a set gave: counts and the failures by case name."""

    name: str
    passed: int = 0
    total: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        return self.passed / self.total if self.total else 0.0

    def line(self) -> str:
        return f"{self.name} {self.passed}/{self.total}"


def modules() -> dict[str, ModuleType]:
    """Set name → module, sorted by name."""
    found = {}
    for file in sorted(HERE.glob("*.py")):
        if file.stem.startswith("_") or file.stem == "record":
            continue
        module = importlib.import_module(f"tests.peers.{file.stem}")
        if hasattr(module, "run"):
            found[file.stem.replace("_", "-")] = module
    return found


def score(name: str, cases: Iterable[tuple[str, str | None]]) -> Score:
    """Counts a set; a set that breaks off counts as one failed case more, with the reason."""
    result = Score(name)
    try:
        for case, failure in cases:
            result.total += 1
            if failure is None:
                result.passed += 1
            else:
                result.failures.append((case, failure))
    except Exception as error:  # the loop's edge: one broken set does not hide the others
        result.total += 1
        last = traceback.extract_tb(error.__traceback__)[-1]
        result.failures.append(("(set broke off)", f"{type(error).__name__}: {error} at {last.name}:{last.lineno}"))
    return result


def main() -> int:
    parser = argparse.ArgumentParser(prog="make peers", description=__doc__)
    parser.add_argument("--peers", type=Path, required=True, help="folder with one folder a set")
    parser.add_argument("--sets", default="", help="comma-separated set names; default: all")
    parser.add_argument("--verbose", action="store_true", help="list the failures")
    parser.add_argument("--json", type=Path, help="write the scores and failures to this file")
    parser.add_argument("--update", action="store_true", help="write the scores into docs/compatibility.md")
    args = parser.parse_args()
    if not args.peers.is_dir():
        print(f"peers: {args.peers} is not there; nothing to replay (give PEERS=DIR)")
        return 0
    wanted = [s for s in args.sets.split(",") if s]
    known = modules()
    for name in wanted:
        if name not in known:
            print(f"peers: no set {name!r}; known: {', '.join(known)}", file=sys.stderr)
            return 2
    chosen = {name: module for name, module in known.items() if not wanted or name in wanted}
    scores = [_run(name, module, args.peers, args.verbose) for name, module in chosen.items()]
    present = [s for s in scores if s is not None]
    if args.json:
        args.json.write_text(json.dumps([vars(s) for s in present], indent=1))
    if args.update:
        record.write({s.name: (s.passed, s.total, [case for case, _ in s.failures]) for s in present})
        return 0
    return _compare(present)


def _run(name: str, module: ModuleType, peers: Path, verbose: bool) -> Score | None:
    folder = peers / getattr(module, "FOLDER", name)
    if not folder.is_dir():
        print(f"{name}: {folder} is not there, left out")
        return None
    result = score(name, module.run(folder))
    print(result.line(), flush=True)
    if verbose:
        for case, failure in result.failures:
            print(f"    {case}: {failure}")
    return result


def _compare(scores: list[Score]) -> int:
    recorded, fell = record.read(), 0
    for s in scores:
        if s.name in recorded and s.ratio + 1e-9 < recorded[s.name]:
            print(f"peers: {s.name} fell from {recorded[s.name]:.2%} to {s.ratio:.2%}; see it with SETS={s.name} V=1")
            fell += 1
    return 1 if fell and not os.environ.get("PEERS_MAY_FALL") else 0


if __name__ == "__main__":
    sys.exit(main())
