"""Two versions of rules on the same history: which firings and notifications differ. Pure; called by `backtest`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pilothouse.report.backtest import AlertHistory, Change, ChangeKind, Diff, Firing, Version
from pilothouse.report.model import Notification, rounded


def difference(old: Version, new: Version, duration_s: float) -> Diff:
    """Firings are paired by label set, overlapping ones first; one without a partner is gone or new.

    A firing whose rule only gives it other labels is paired by its alert's name ("relabelled").
    """
    pairs, olds, news = _paired(_firings(old.alerts), _firings(new.alerts), exact=True)
    renamed, olds, news = _paired(olds, news, exact=False)
    changes = [c for a, b in pairs for c in _compared(a, b, duration_s)]
    changes += [_change("relabelled", b.alert, a, b, note=f"was {a.alert}") for a, b in renamed]
    changes += [_change("gone", f.alert, f, None) for f in olds]
    changes += [_change("new", f.alert, None, f) for f in news]
    unchanged = sum(1 for a, b in pairs if not list(_compared(a, b, duration_s)))
    return Diff(
        changes=tuple(sorted(changes, key=_when)),
        unchanged=unchanged,
        notifications_gone=_missing(old.notifications, new.notifications),
        notifications_new=_missing(new.notifications, old.notifications),
    )


def _firings(alerts: Sequence[AlertHistory]) -> list[Firing]:
    return [f for alert in alerts for f in alert.firings]


def _when(change: Change) -> tuple[float, str]:
    times = [t for t in (change.old_from_s, change.new_from_s) if t is not None]
    return min(times), change.alert


def _paired(
    olds: list[Firing], news: list[Firing], *, exact: bool
) -> tuple[list[tuple[Firing, Firing]], list[Firing], list[Firing]]:
    """(pairs, olds left, news left): per alert in order of time, only firings that overlap or touch."""
    waiting: dict[str, list[Firing]] = {}
    for firing in news:
        waiting.setdefault(_key(firing, exact), []).append(firing)
    pairs: list[tuple[Firing, Firing]] = []
    left = []
    for firing in olds:
        same = waiting.get(_key(firing, exact), [])
        partner = next((f for f in same if _overlap(firing, f)), None)
        if partner is None:
            left.append(firing)
            continue
        same.remove(partner)
        pairs.append((firing, partner))
    taken = {id(partner) for _firing, partner in pairs}
    return pairs, left, [f for f in news if id(f) not in taken]


def _key(firing: Firing, exact: bool) -> str:
    return firing.alert if exact else firing.alert.partition("{")[0]


def _overlap(a: Firing, b: Firing) -> bool:
    a_ends = float("inf") if a.to_s is None else a.to_s
    b_ends = float("inf") if b.to_s is None else b.to_s
    return a.from_s <= b_ends and b.from_s <= a_ends


def _compared(old: Firing, new: Firing, duration_s: float) -> Iterator[Change]:
    """None, one or two changes: when it begins, and how long it lasts beyond that."""
    shift = new.from_s - old.from_s
    if shift:
        yield _change("earlier" if shift < 0 else "later", new.alert, old, new, by_s=abs(shift))
    old_end = duration_s if old.to_s is None else old.to_s
    new_end = duration_s if new.to_s is None else new.to_s
    if new_end != old_end:
        kind: ChangeKind = "longer" if new_end > old_end else "shorter"
        yield _change(kind, new.alert, old, new, by_s=abs(new_end - old_end))


def _change(
    kind: ChangeKind, alert: str, old: Firing | None, new: Firing | None, by_s: float = 0.0, note: str = ""
) -> Change:
    return Change(
        kind=kind,
        alert=alert,
        old_from_s=old.from_s if old else None,
        old_to_s=old.to_s if old else None,
        new_from_s=new.from_s if new else None,
        new_to_s=new.to_s if new else None,
        by_s=rounded(by_s) or 0.0,
        note=note,
    )


def _missing(these: Sequence[Notification], those: Sequence[Notification]) -> tuple[Notification, ...]:
    """Notifications without an equal one (time, receiver, group, alerts) on the other side."""
    known = [(n.at_s, n.receiver, n.integration, n.group, n.status, n.alerts) for n in those]
    keys = frozenset(known)
    return tuple(n for n in these if (n.at_s, n.receiver, n.integration, n.group, n.status, n.alerts) not in keys)
