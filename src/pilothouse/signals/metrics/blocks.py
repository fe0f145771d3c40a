"""The live world's database on disk: an append log in front of the memory, blocks behind it, retention.

`open_database` gives a `Database` whose frames and loose samples are written to a log as they are stored, after filling
it from what is on disk. The log is turned into a compressed block every few hours. Killing the process loses nothing
that was stored; losing the machine loses what came after the last `sync`. The bytes are in docs/formats/tsdb-blocks.md.
Called by the live server; a rehearsal uses a plain `Database`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from pilothouse.base.errors import Finding, Place
from pilothouse.engines.tsdb import Database, Frame, Labels, Limits, Outcome, label_value
from pilothouse.engines.tsdb.samples import absent_block, is_absent
from pilothouse.signals.metrics import block_format as form
from pilothouse.signals.metrics.block_format import Floats, Part
from pilothouse.signals.metrics.disk import AppendFile, Disk

CODE_DAMAGED = "PH413"
HOUR_MS = 3_600_000
_LOOSE_FRAME = ""
"""The name under which blocks keep series that belong to no frame."""


def is_history(labels: Labels) -> bool:
    """Series kept for the long time: recorded ones (a colon in the name) and alerts. SLO windows read nothing else."""
    name = label_value(labels, "__name__")
    return ":" in name or name in ("ALERTS", "ALERTS_FOR_STATE")


@dataclass(frozen=True, slots=True)
class Retention:
    """all_ms: every series, in memory and on disk; history_ms: those that `history` picks, for SLO windows."""

    all_ms: int = 15 * 24 * HOUR_MS
    history_ms: int = 31 * 24 * HOUR_MS
    history: Callable[[Labels], bool] = is_history

    def longer_ms(self, series: Iterable[Labels]) -> int:
        """How much longer a frame of these series is kept than others: only when all of them are history."""
        held = list(series)
        return max(0, self.history_ms - self.all_ms) if held and all(map(self.history, held)) else 0


class JournaledFrame(Frame):
    """A frame whose rows go to the log as soon as they are stored."""

    def __init__(self, database: JournaledDatabase, number: int, name: str) -> None:
        super().__init__(database, number, name)
        self.columns: dict[int, Labels] = {}
        self.logged_as = 0
        self.logged_in = -1
        self.before: Floats = np.zeros(0)
        self.blocked_ms = -(2**63)
        self._journal = database.journal
        self._retention = database.retention

    def add(self, labels: Labels) -> int:
        column = super().add(labels)
        if self.columns.get(column) != labels:
            self.columns[column] = labels
            self._journal.series(self, column, labels)
        return column

    def retire(self, column: int) -> None:
        super().retire(column)
        self.columns.pop(column, None)
        self._journal.retired(self, column)

    def append(self, time_ms: int, values: npt.ArrayLike) -> Outcome:
        outcome = super().append(time_ms, values)
        if outcome is Outcome.STORED:
            # What was stored, not what was given: the row also holds the markers of retired columns.
            self._journal.row(self, time_ms, self.last_values())
        return outcome

    def drop_before(self, time_ms: int) -> None:
        super().drop_before(time_ms - self._retention.longer_ms(self.columns.values()))


class Journal:
    """The log being written. Every log stands alone: frames and series are declared again in each."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._file: AppendFile | None = None
        self.number = 0
        self._frames = 0
        self._loose: dict[Labels, int] = {}

    def start(self, number: int) -> None:
        """Further records go to log `number`."""
        if self._file is not None:
            self._file.sync()
            self._file.close()
        self.number, self._frames, self._loose = number, 0, {}
        self._file = self._disk.create(log_name(number))
        self._file.append(form.LOG_MAGIC)

    def sync(self) -> None:
        if self._file is not None:
            self._file.sync()

    def close(self) -> None:
        if self._file is not None:
            self._file.sync()
            self._file.close()
            self._file = None

    def series(self, frame: JournaledFrame, column: int, labels: Labels) -> None:
        if frame.logged_in == self.number and self._file is not None:
            self._put(form.SERIES, struct.pack("<II", frame.logged_as, column) + form.pack_labels(labels))

    def retired(self, frame: JournaledFrame, column: int) -> None:
        if frame.logged_in == self.number and self._file is not None:
            self._put(form.RETIRE, struct.pack("<II", frame.logged_as, column))

    def row(self, frame: JournaledFrame, time_ms: int, row: Floats) -> None:
        if self._file is None:
            return
        if frame.logged_in != self.number:
            self._declare(frame)
        body = struct.pack("<IqI", frame.logged_as, time_ms, len(row)) + form.pack_row(row, frame.before)
        frame.before = row.copy()
        self._put(form.ROW, body)

    def loose(self, labels: Labels, time_ms: int, value: float) -> None:
        if self._file is None:
            return
        reference = self._loose.get(labels)
        if reference is None:
            reference = self._loose[labels] = len(self._loose)
            self._put(form.LOOSE_SERIES, struct.pack("<I", reference) + form.pack_labels(labels))
        self._put(form.LOOSE, struct.pack("<Iqd", reference, time_ms, value))

    def _declare(self, frame: JournaledFrame) -> None:
        frame.logged_in, frame.logged_as, frame.before = self.number, self._frames, np.zeros(0)
        self._frames += 1
        self._put(form.FRAME, struct.pack("<I", frame.logged_as) + frame.name.encode("utf-8", "surrogateescape"))
        for column, labels in frame.columns.items():
            self.series(frame, column, labels)

    def _put(self, kind: int, body: bytes) -> None:
        assert self._file is not None
        self._file.append(form.record(kind, body))


class JournaledDatabase(Database):
    """A database that writes what it stores; made by `open_database`."""

    def __init__(self, disk: Disk, retention: Retention, limits: Limits | None = None) -> None:
        super().__init__(limits)
        self.disk = disk
        self.retention = retention
        self.journal = Journal(disk)
        self.restored: dict[str, JournaledFrame] = {}
        self.findings: list[Finding] = []
        self._all: list[JournaledFrame] = []
        self._loose_blocked_ms: dict[Labels, int] = {}

    def frame(self, name: str) -> Frame:
        """The frame that the disk had under this name, so that its series go on where they were; else a new one."""
        known = self.restored.pop(name, None)
        return self.new_frame(name) if known is None else known

    def new_frame(self, name: str) -> JournaledFrame:
        frame = JournaledFrame(self, len(self._frames), name)
        self._frames.append(frame)
        self._all.append(frame)
        return frame

    def append(
        self, labels: Labels, time_ms: int, value: float, *, histogram: Any = None, start_ms: int = 0
    ) -> Outcome:
        outcome = super().append(labels, time_ms, value, histogram=histogram, start_ms=start_ms)
        if outcome is Outcome.STORED and histogram is None:
            self.journal.loose(labels, time_ms, value)
        return outcome

    def sync(self) -> None:
        """Everything stored so far survives a power cut."""
        self.journal.sync()

    def close(self) -> None:
        self.journal.close()

    # --- compaction -----------------------------------------------------------------------------------------------

    def compact(self) -> Iterator[None]:
        """Turns the log into a block, in steps: let others run between them. Safe to be killed anywhere.

        A new log is begun first; the block then holds at least everything of the older ones, and only when it is whole
        are they removed. What is both in a block and in a log is refused as repeated when it is read back.
        """
        last = self.journal.number
        self.journal.start(last + 1)
        parts: list[bytes] = []
        span = [2**63 - 1, -(2**63)]
        for part in self._unblocked():
            parts.append(form.record(form.PART, form.pack_part(part)))
            span = [min(span[0], int(part.times[0])), max(span[1], int(part.times[-1]))]
            yield
        if parts:
            self.disk.replace(block_name(span[0], span[1], last), _block(parts, span, history=False))
        for name in self.disk.names():
            if name.endswith(".log") and _log_number(name) <= last:
                self.disk.remove(name)

    def _unblocked(self) -> Iterator[Part]:
        for frame in self._all:
            newest = frame.blocked_ms
            for part in frame_parts(self, frame, frame.blocked_ms):
                newest = int(part.times[-1])
                yield part
            frame.blocked_ms = newest
        for number, series in list(self._loose.items()):
            labels = self.labels_of(number)
            after_ms = self._loose_blocked_ms.get(labels, -(2**63))
            times = np.array(series.times, dtype=np.int64)
            fresh = times > after_ms
            if series.plain and fresh.any():
                values = np.array(series.values, dtype=np.float64)[fresh, None]
                self._loose_blocked_ms[labels] = int(times[-1])
                yield Part(_LOOSE_FRAME, [labels], times[fresh], values)

    def expire(self, now_ms: int) -> None:
        """Retention on disk and in memory: old blocks go, or keep their history only."""
        keep = self.retention
        for name in self.disk.names():
            if not name.endswith(".block"):
                continue
            newest = _block_times(name)[1]
            if newest < now_ms - max(keep.all_ms, keep.history_ms):
                self.disk.remove(name)
            elif newest < now_ms - keep.all_ms:
                self._keep_history(name)
        self.drop_before(now_ms - keep.all_ms)

    def _keep_history(self, name: str) -> None:
        found = list(form.records(self.disk.read(name), form.BLOCK_MAGIC))
        if not found or orjson.loads(found[0][1]).get("history"):
            return
        parts = []
        for kind, body in found:
            if kind != form.PART:
                continue
            part = form.unpack_part(body)
            kept = [index for index, labels in enumerate(part.labels) if self.retention.history(labels)]
            if kept:
                slim = Part(part.name, [part.labels[i] for i in kept], part.times, part.values[:, kept])
                parts.append(form.record(form.PART, form.pack_part(slim)))
        self.disk.replace(name, _block(parts, list(_block_times(name)[:2]), history=True))


def frame_parts(database: Database, frame: Frame, after_ms: int) -> Iterator[Part]:
    """Rows of a frame younger than `after_ms`, a part per chunk, without columns that hold nothing."""
    times = frame.times
    for chunk in frame.chunks:
        own = times[chunk.start : chunk.start + chunk.rows]
        first = int(np.searchsorted(own, after_ms, side="right"))
        if first >= len(own):
            continue
        width = chunk.layout.width
        values = np.ascontiguousarray(chunk.values[first : chunk.rows, :width])
        held = (chunk.layout.numbers[:width] >= 0) & ~is_absent(values).all(axis=0)
        columns = np.flatnonzero(held)
        if len(columns):
            labels = [database.labels_of(int(number)) for number in chunk.layout.numbers[columns]]
            yield Part(frame.name, labels, own[first:].copy(), np.ascontiguousarray(values[:, columns]))


def log_name(number: int) -> str:
    return f"{number:010d}.log"


def _log_number(name: str) -> int:
    return int(name.removesuffix(".log"))


def block_name(min_ms: int, max_ms: int, number: int) -> str:
    return f"{number:010d}-{min_ms}-{max_ms}.block"


def _block_times(name: str) -> tuple[int, int]:
    _, min_ms, max_ms = name.removesuffix(".block").split("-")
    return int(min_ms), int(max_ms)


def _block(parts: list[bytes], span: list[int], *, history: bool) -> bytes:
    facts = {"version": 1, "min_ms": span[0], "max_ms": span[1], "history": history}
    head = form.record(form.HEADER, orjson.dumps(facts))
    end = form.record(form.END, struct.pack("<I", len(parts)))
    return form.BLOCK_MAGIC + head + b"".join(parts) + end


# --- opening --------------------------------------------------------------------------------------------------------


def open_database(
    disk: Disk, now_ms: int, retention: Retention | None = None, limits: Limits | None = None
) -> JournaledDatabase:
    """The database with everything that is on disk and not too old; `findings` of the result names damaged files."""
    database = JournaledDatabase(disk, retention or Retention(), limits)
    names = disk.names()
    for name in names:
        if name.endswith(".tmp"):
            disk.remove(name)
    database.expire(now_ms)
    loader = _Loader(database)
    names = disk.names()
    for name in [name for name in names if name.endswith(".block")]:
        loader.block(name, disk.read(name))
    logs = [name for name in names if name.endswith(".log")]
    for name in logs:
        loader.log(disk.read(name))
    database.restored = loader.frames
    numbered = [name for name in names if name.endswith((".log", ".block"))]
    database.journal.start(max((int(name[:10]) for name in numbered), default=0) + 1)
    return database


@dataclass(slots=True)
class _Loader:
    database: JournaledDatabase
    frames: dict[str, JournaledFrame] = field(default_factory=dict)

    def block(self, name: str, data: bytes) -> None:
        ended = False
        for kind, body in form.records(data, form.BLOCK_MAGIC):
            ended = kind == form.END
            if kind == form.PART:
                self._part(form.unpack_part(body))
        if not ended:
            text = f"{name} is damaged; what could be read of it is used"
            remedy = "restore the file from a backup, or delete it to silence this"
            self.database.findings.append(Finding(CODE_DAMAGED, text, Place(name), remedy, "warning"))

    def _part(self, part: Part) -> None:
        if part.name == _LOOSE_FRAME:
            self._loose_part(part)
            return
        frame = self._frame(part.name)
        fresh = part.times > (frame.times[-1] if frame.rows else -(2**63))
        if not fresh.any():
            return
        columns = [frame.add(labels) for labels in part.labels]
        rows = absent_block((int(fresh.sum()), frame.width))
        rows[:, columns] = part.values[fresh]
        frame.extend(part.times[fresh], rows)
        frame.blocked_ms = int(part.times[-1])

    def _loose_part(self, part: Part) -> None:
        for time_ms, value in zip(part.times.tolist(), part.values[:, 0].tolist()):
            Database.append(self.database, part.labels[0], time_ms, value)
        self.database._loose_blocked_ms[part.labels[0]] = int(part.times[-1])

    def _frame(self, name: str) -> JournaledFrame:
        frame = self.frames.get(name)
        if frame is None:
            frame = self.frames[name] = self.database.new_frame(name)
        return frame

    def log(self, data: bytes) -> None:
        """Replays one log up to its first damaged record, which is where the process was killed."""
        frames: dict[int, JournaledFrame] = {}
        columns: dict[int, dict[int, int]] = {}
        ending: dict[int, list[int]] = {}
        before: dict[int, Floats] = {}
        loose: dict[int, Labels] = {}
        for kind, body in form.records(data, form.LOG_MAGIC):
            if kind == form.FRAME:
                (number,) = struct.unpack_from("<I", body)
                frames[number] = self._frame(body[4:].decode("utf-8", "surrogateescape"))
                columns[number], before[number] = {}, np.zeros(0)
            elif kind == form.SERIES:
                number, column = struct.unpack_from("<II", body)
                columns[number][column] = frames[number].add(form.unpack_labels(body[8:]))
            elif kind == form.RETIRE:
                number, column = struct.unpack_from("<II", body)
                ending.setdefault(number, []).append(column)
            elif kind == form.ROW:
                number, time_ms, width = struct.unpack_from("<IqI", body)
                row = before[number] = form.unpack_row(body[16:], width, before[number])
                self._row(frames[number], columns[number], time_ms, row)
                for column in ending.pop(number, ()):
                    columns[number].pop(column, None)  # its marker was in this row
            elif kind == form.LOOSE_SERIES:
                loose[struct.unpack_from("<I", body)[0]] = form.unpack_labels(body[4:])
            elif kind == form.LOOSE:
                reference, time_ms, value = struct.unpack("<Iqd", body)
                Database.append(self.database, loose[reference], time_ms, value)

    def _row(self, frame: JournaledFrame, columns: dict[int, int], time_ms: int, row: Floats) -> None:
        if frame.rows and time_ms <= frame.times[-1]:
            return  # already in a block
        stored = absent_block((frame.width,))
        places = [(there, here) for there, here in columns.items() if there < len(row)]
        stored[[here for _, here in places]] = row[[there for there, _ in places]]
        Frame.append(frame, time_ms, stored)
