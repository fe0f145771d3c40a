"""The timeline as one inline SVG: a strip per curve with its scale, alert bars, vertical marks, one time axis. Pure."""

from __future__ import annotations

from html import escape

from pilothouse.report.model import AlertStory, Lane, Moment, RunResult
from pilothouse.report.timeline import DETAIL_WEIGHT, LETTERS, ORDER, Grid, columns, tick_step
from pilothouse.report.wording import MARKS, amount, clock

WIDTH, LEFT, RIGHT = 1080, 150, 20
STRIP, GAP, BAR = 64, 22, 14
POINTS_MAX = 720


def draw(run: RunResult) -> str:
    """The picture; its height follows from the number of lanes and alerts."""
    lanes = _ordered(run.lanes)
    alerts = [a for a in run.alerts if a.spans]
    top = 34
    parts: list[str] = []
    for lane, wanted in lanes:
        parts.append(_strip(lane, wanted, run.duration_s, top))
        top += STRIP + GAP
    for alert in alerts:
        parts.append(_alert(alert, run.duration_s, top))
        top += BAR + 8
    height = top + 24
    frame = [_marks(run.moments, run.duration_s, top), _axis(run.duration_s, top)]
    label = f"Timeline of {len(lanes)} curves and {len(alerts)} alerts"
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}">\n'
        + "\n".join([*frame, *parts])
        + "\n</svg>"
    )


def _ordered(lanes: list[Lane]) -> list[tuple[Lane, Lane | None]]:
    """(lane, its wanted counterpart): desired pods are drawn over the ready ones of the same subject."""
    rank = {lane_id: n for n, lane_id in enumerate(ORDER)}
    subjects = list(dict.fromkeys(lane.subject for lane in lanes))
    wanted = {lane.subject: lane for lane in lanes if lane.id == "desired"}
    ready = [lane.subject for lane in lanes if lane.id == "ready"]
    kept = [lane for lane in lanes if lane.id != "desired" or lane.subject not in ready]
    kept.sort(key=lambda lane: (subjects.index(lane.subject), rank.get(lane.id, len(rank))))
    return [(lane, wanted.get(lane.subject) if lane.id == "ready" else None) for lane in kept]


def _x(at_s: float, duration_s: float) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * min(max(at_s / duration_s, 0.0), 1.0), 1)


def _strip(lane: Lane, wanted: Lane | None, duration_s: float, top: int) -> str:
    grid = Grid(min(POINTS_MAX, max(2, len(lane.values))), duration_s)
    values = columns(lane, grid)
    others = columns(wanted, grid) if wanted else []
    highest = max([v for v in (*values, *others) if v is not None] + [lane.limit or 0.0], default=0.0) or 1.0
    base = top + STRIP
    out = [
        f'<text class="name" x="0" y="{top + 12}">{escape(lane.title)}</text>',
        f'<text x="0" y="{top + 27}">{escape(lane.subject[:24])}</text>',
        f'<text x="0" y="{top + 42}">{MARKS[lane.mark]} {lane.mark}</text>',
        f'<text x="{LEFT - 6}" y="{top + 8}" text-anchor="end">{escape(amount(highest, lane.unit))}</text>',
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}"/>',
    ]
    for run in _runs(values):
        path = _path(run, values, highest, grid, base)
        first, last = (
            _x(run[0] * duration_s / grid.width, duration_s),
            _x((run[-1] + 1) * duration_s / grid.width, duration_s),
        )
        out.append(f'<path class="area" d="{path} L{last} {base} L{first} {base} Z"/><path class="curve" d="{path}"/>')
    for run in _runs(others):
        out.append(f'<path class="wanted" d="{_path(run, others, highest, grid, base)}"/>')
    if lane.limit is not None:
        y = round(base - STRIP * lane.limit / highest, 1)
        out.append(f'<line class="limit" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
    return "\n".join(out)


def _runs(values: list[float | None]) -> list[list[int]]:
    """Stretches of columns that have a value: a gap stays a gap."""
    out: list[list[int]] = []
    for index, value in enumerate(values):
        if value is None:
            continue
        if out and out[-1][-1] == index - 1:
            out[-1].append(index)
        else:
            out.append([index])
    return out


def _path(run: list[int], values: list[float | None], highest: float, grid: Grid, base: int) -> str:
    """Steps, not slopes: a value holds for its whole column. Only changes are written."""
    out, before = "", None
    for index in run:
        y = round(base - STRIP * (values[index] or 0.0) / highest, 1)
        if y != before:
            x = _x(index * grid.duration_s / grid.width, grid.duration_s)
            out += f"M{x} {y}" if before is None else f" H{x} V{y}"
            before = y
    return out + f" H{_x((run[-1] + 1) * grid.duration_s / grid.width, grid.duration_s)}"


def _alert(alert: AlertStory, duration_s: float, top: int) -> str:
    out = [f'<text class="name" x="0" y="{top + 11}">{escape(alert.name[:24])}</text>']
    for span in alert.spans:
        end = duration_s if span.to_s is None else span.to_s
        first = _x(span.from_s, duration_s)
        wide = max(1.0, round(_x(end, duration_s) - first, 1))
        title = f"{alert.name} {span.state} {clock(span.from_s)} to {clock(end)}"
        out.append(
            f'<rect class="{span.state}" x="{first}" y="{top}" width="{wide}" height="{BAR}">'
            f"<title>{escape(title)}</title></rect>"
        )
    return "\n".join(out)


def _marks(moments: list[Moment], duration_s: float, bottom: int) -> str:
    out = []
    free = 0.0
    for moment in moments:
        letter = LETTERS.get(moment.kind)
        if letter is None or moment.weight < DETAIL_WEIGHT:
            continue
        x = _x(moment.at_s, duration_s)
        kind = "mark fault" if moment.kind == "fault" else "mark"
        out.append(f'<line class="{kind}" x1="{x}" x2="{x}" y1="16" y2="{bottom}"/>')
        if x >= free:
            title = f"<title>{escape(clock(moment.at_s) + ' ' + moment.text)}</title>"
            out.append(f'<text class="letter" x="{x}" y="12">{letter}{title}</text>')
            free = x + 10
    return "\n".join(out)


def _axis(duration_s: float, bottom: int) -> str:
    step = tick_step(duration_s, 12)
    out, at = [], 0.0
    while at <= duration_s + 1e-6:
        x = _x(at, duration_s)
        out.append(f'<line class="grid" x1="{x}" x2="{x}" y1="26" y2="{bottom}"/>')
        label = clock(at, with_seconds=step < 60)
        out.append(f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{label}</text>')
        at += step
    return "\n".join(out)
