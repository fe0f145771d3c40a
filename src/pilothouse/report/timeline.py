"""The timeline as terminal characters: curves of two rows with their scale, alert lanes, marks of what happened, one
time axis.

Everything is text in a fixed grid, readable without colour. Pure. `text` puts it into the report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pilothouse.report.model import AlertStory, Lane, Moment, RunResult
from pilothouse.report.wording import MARKS, amount, clock

EIGHTHS = " ▁▂▃▄▅▆▇█"
MISSING, PENDING, FIRING, QUIET = "░", "▒", "█", "·"
ROWS = 2
NAME_WIDTH = 18
SCALE_WIDTH = 8
SUBJECTS_SHOWN = 2
DETAIL_WEIGHT = 25
"""Moments of less weight are details: no mark on the timeline, and a line only when there is room for all."""

ORDER = ("load", "ready", "desired", "nodes", "errors", "p99", "budget")
LETTERS = {"deploy": "D", "fault": "F", "load": "L", "change": "C", "rollout": "R", "scale": "S", "nodes": "N"}
"""Marks of the event lane, most telling first."""

Segment = tuple[str, str]
"""(text, style). Styles: "", "dim", "bold", "good", "bad", "warn", "curve", "lack"."""

Line = list[Segment]


@dataclass(frozen=True, slots=True)
class Grid:
    """Columns of the plot: `width` of them over `duration_s`."""

    width: int
    duration_s: float

    def column(self, at_s: float) -> int:
        return max(0, min(self.width - 1, int(at_s / self.duration_s * self.width)))


def draw(run: RunResult, width: int) -> list[Line]:
    """The whole timeline, `width` characters wide at most."""
    grid = Grid(max(10, width - NAME_WIDTH - SCALE_WIDTH - 1), run.duration_s)
    lanes, hidden = _chosen(run.lanes)
    out: list[Line] = [[(_axis(grid), "dim")]]
    marks = _event_line(run.moments, grid)
    if marks:
        out.append(marks)
    for lane in lanes:
        desired = _partner(lane, lanes)
        if lane.id != "desired" or not any(o.id == "ready" and o.subject == lane.subject for o in lanes):
            out += _curve(lane, desired, grid, many=len({x.subject for x in lanes if x.id == lane.id}) > 1)
    alerts = [a for a in run.alerts if a.spans]
    out += [_alert_line(alert, grid) for alert in alerts]
    out += _legend(run, alerts, lanes, hidden, width)
    return out


def _chosen(lanes: Sequence[Lane]) -> tuple[list[Lane], int]:
    """Lanes in reading order; of many subjects those that suffer most. Second: how many subjects are left out."""
    worst: dict[str, float] = {}
    for lane in lanes:
        if lane.id in ("load", "errors"):
            peak = max((v for v in lane.values if v is not None), default=0.0)
            worst[lane.subject] = max(worst.get(lane.subject, 0.0), peak if lane.id == "errors" else 0.0)
    shown = sorted(worst, key=lambda s: -worst[s])[:SUBJECTS_SHOWN]
    kept = [x for x in lanes if x.subject in shown or x.subject not in worst]
    rank = {lane_id: n for n, lane_id in enumerate(ORDER)}
    kept.sort(key=lambda x: (shown.index(x.subject) if x.subject in shown else -1, rank.get(x.id, len(rank))))
    # Lanes of no subject (nodes) come after the first service's load and pods, where a reader looks for them.
    own = [x for x in kept if x.subject in shown]
    others = [x for x in kept if x.subject not in shown]
    cut = next((i for i, x in enumerate(own) if rank.get(x.id, 9) > rank["nodes"]), len(own))
    return own[:cut] + others + own[cut:], len(worst) - len(shown)


def _partner(lane: Lane, lanes: Sequence[Lane]) -> Lane | None:
    if lane.id != "ready":
        return None
    return next((o for o in lanes if o.id == "desired" and o.subject == lane.subject), None)


def columns(lane: Lane, grid: Grid) -> list[float | None]:
    """One value per column: the worst of its span (least ready pods, highest of all else, last of what accumulates)."""
    out: list[float | None] = []
    for column in range(grid.width):
        first = column * grid.duration_s / grid.width / lane.step_s
        last = (column + 1) * grid.duration_s / grid.width / lane.step_s
        # A column narrower than a step shows the step it lies in.
        values = [v for v in lane.values[int(first) : max(int(first) + 1, int(last))] if v is not None]
        if not values:
            out.append(None)
        elif lane.id == "ready":
            out.append(min(values))
        else:
            out.append(values[-1] if lane.id == "budget" else max(values))
    return out


def _curve(lane: Lane, desired: Lane | None, grid: Grid, *, many: bool) -> list[Line]:
    values = columns(lane, grid)
    wanted = columns(desired, grid) if desired else [None] * grid.width
    top = max((v for v in (*values, *wanted) if v is not None), default=0.0)
    plain_unit = lane.unit in ("ratio", "s", "bytes") or lane.unit.startswith("$")
    names = [lane.title if plain_unit or lane.unit == lane.title else f"{lane.title}, {lane.unit}"]
    names.append(lane.subject if many else _note(lane))
    scale = [amount(v, lane.unit if plain_unit else "") for v in (top, 0.0)]
    out: list[Line] = []
    for row in range(ROWS):
        from_bottom = ROWS - 1 - row
        cells: Line = []
        for value, want in zip(values, wanted):
            char, style = _cell(value, want, top, from_bottom)
            _extend(cells, char, style)
        name = names[row][:NAME_WIDTH].ljust(NAME_WIDTH)
        label = (scale[0] if row == 0 else scale[1] if row == ROWS - 1 else "").rjust(SCALE_WIDTH - 2)
        out.append([(name, "" if row == 0 else "dim"), (f"{label[: SCALE_WIDTH - 2]} ┤", "dim"), *cells])
    return [_trimmed(line) for line in out]


def _note(lane: Lane) -> str:
    if lane.limit is not None:
        return f"{MARKS[lane.mark]} limit {amount(lane.limit, lane.unit)}"
    return f"{MARKS[lane.mark]} {lane.mark}"


def _cell(value: float | None, wanted: float | None, top: float, from_bottom: int) -> Segment:
    """One character: how far the value fills this row, in eighths; what is wanted above it is shaded."""
    if value is None:
        return " ", ""
    level = value / top * ROWS - from_bottom if top > 0 else 0.0
    eighths = max(0, min(8, round(level * 8)))
    if value > 0 and from_bottom == 0 and eighths == 0:
        eighths = 1  # more than nothing is seen
    want = (wanted or 0.0) / top * ROWS - from_bottom if top > 0 else 0.0
    if want - max(level, 0.0) >= 0.25 and eighths <= 4 and (eighths == 0 or want >= 0.75):
        return MISSING, "lack"
    return EIGHTHS[eighths], "curve"


def _alert_line(alert: AlertStory, grid: Grid) -> Line:
    cells = [QUIET] * grid.width
    for state, char in (("pending", PENDING), ("firing", FIRING)):
        for span in alert.spans:
            if span.state == state:
                end = grid.duration_s if span.to_s is None else span.to_s
                first, last = grid.column(span.from_s), grid.column(max(span.from_s, end - 1e-9))
                cells[first : last + 1] = [char] * (last - first + 1)
    line: Line = [(alert.name[: NAME_WIDTH - 1].ljust(NAME_WIDTH), ""), ("alert".rjust(SCALE_WIDTH - 2) + " ┤", "dim")]
    for char in cells:
        _extend(line, char, {PENDING: "warn", FIRING: "bad"}.get(char, "dim"))
    return line


def _event_line(moments: Sequence[Moment], grid: Grid) -> Line:
    cells = [" "] * grid.width
    order = list(LETTERS.values())
    for moment in moments:
        letter = LETTERS.get(moment.kind)
        if letter is None or moment.weight < DETAIL_WEIGHT:
            continue
        column = grid.column(moment.at_s)
        if cells[column] == " ":
            cells[column] = letter
        elif cells[column] != letter:
            # Two things at once stand side by side, the more telling one first.
            first, second = sorted((cells[column], letter), key=order.index)
            cells[column] = first
            if column + 1 < grid.width and cells[column + 1] == " ":
                cells[column + 1] = second
    text = "".join(cells).rstrip()
    if not text:
        return []
    return [("what happened".ljust(NAME_WIDTH), ""), (" " * (SCALE_WIDTH - 1) + "┤", "dim"), (text, "bold")]


def _axis(grid: Grid) -> str:
    """Times above the plot, at round moments, never touching each other."""
    step = tick_step(grid.duration_s, max(2, grid.width // 12))
    long = grid.duration_s > 86400 + step
    text = [" "] * (grid.width + 8)
    at = 0.0
    free = 0
    while at <= grid.duration_s + 1e-6:
        label = clock(at, with_seconds=step < 60) if not long else clock(at, with_seconds=False)
        column = round(at / grid.duration_s * grid.width)
        if column >= free and column + len(label) <= grid.width + 1:
            text[column : column + len(label)] = label
            free = column + len(label) + 2
        at += step
    return " " * (NAME_WIDTH + SCALE_WIDTH) + "".join(text).rstrip()


_STEPS = (1, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 14400, 21600, 43200, 86400, 172800, 604800)


def tick_step(duration_s: float, ticks: int) -> float:
    return float(next((s for s in _STEPS if duration_s / s <= ticks), _STEPS[-1]))


def _flowed(parts: Sequence[str], width: int) -> list[Line]:
    """The parts behind each other, under the plot, on as many lines as they need."""
    lead = " " * (NAME_WIDTH + SCALE_WIDTH)
    rows: list[str] = []
    for part in parts:
        if rows and len(rows[-1]) + 3 + len(part) <= width:
            rows[-1] += "   " + part
        else:
            rows.append(lead + part)
    return [[(row, "dim")] for row in rows]


def _legend(run: RunResult, alerts: Sequence[AlertStory], lanes: Sequence[Lane], hidden: int, width: int) -> list[Line]:
    used = [m.kind for m in run.moments if m.kind in LETTERS and m.weight >= DETAIL_WEIGHT]
    parts = [f"{LETTERS[k]} {k}" for k in LETTERS if k in used]
    if any(x.id == "desired" for x in lanes):
        parts.append(f"{MISSING} wanted, not ready")
    if alerts:
        parts.append(f"{PENDING} pending   {FIRING} firing")
    out = _flowed(parts, width)
    if hidden:
        out.append([(f"{hidden} more services are in the HTML and JSON reports", "dim")])
    return out


def _extend(line: Line, char: str, style: str) -> None:
    if line and line[-1][1] == style:
        line[-1] = (line[-1][0] + char, style)
    else:
        line.append((char, style))


def _trimmed(line: Line) -> Line:
    """Without blanks at the end: golden files and pipes do not want them."""
    while line and not line[-1][0].rstrip():
        line.pop()
    if line:
        line[-1] = (line[-1][0].rstrip(), line[-1][1])
    return line
