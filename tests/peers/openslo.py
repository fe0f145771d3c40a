"""The set `openslo`: documents of OpenSLO v1 with the verdict and the findings (path, rule) that each must get.

A disputed document must be used with a warning; an invalid one must be refused; a valid one must not be complained
about.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from pilothouse.engines.slo.openslo_rules import check


def run(folder: Path) -> Iterable[tuple[str, str | None]]:
    """(case, None or the difference)."""
    for case in json.loads((folder / "cases.json").read_text()):
        documents = list(_documents(yaml.safe_load_all((folder / "cases" / f"{case['id']}.yaml").read_text())))
        yield case["id"], _difference(case, documents)


def _documents(loaded: Iterable[Any]) -> Iterator[Any]:
    for document in loaded:
        if isinstance(document, list):
            yield from document
        elif document is not None:
            yield document


def _difference(case: dict[str, Any], documents: list[Any]) -> str | None:
    if len(documents) != case["documents"]:
        return f"want {case['documents']} documents, got {len(documents)}"
    found = [check(document) for document in documents]
    wanted = case["errors"] or [[] for _ in documents]
    for want, got in zip(wanted, found):
        want_pairs = sorted((e["path"], e["rule"]) for e in want)
        got_pairs = sorted((p.path, p.rule) for p in got)
        if want_pairs != got_pairs:
            return f"want {want_pairs}, got {got_pairs}"
    severities = [p.severity for problems in found for p in problems]
    verdict = "invalid" if "error" in severities else "disputed" if severities else "valid"
    return None if verdict == case["verdict"] else f"want {case['verdict']}, got {verdict}"
