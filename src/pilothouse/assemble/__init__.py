"""The only room that knows everything: it builds worlds from written lists and runs rehearsals in them.

`rehearse(request, progress)` is the face that `cli` and tests use; `rule_tests` and `backtest` are entered by their
own modules. What a rehearsal needs is imported when one begins, so that those two start quickly.
"""

from __future__ import annotations

from pilothouse.report.model import Progress, RehearseRequest, Report

__all__ = ["rehearse"]


def rehearse(request: RehearseRequest, progress: Progress | None = None) -> Report:
    """As `rehearsal.rehearse`."""
    from pilothouse.assemble.rehearsal import rehearse as whole

    return whole(request, progress)
