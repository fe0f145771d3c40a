"""Bytes of logs and blocks, as docs/formats/tsdb-blocks.md describes them. Pure: values to bytes and back.

Both files are a magic number and records of length, CRC-32 and payload. A record that is cut off or damaged ends the
reading there: everything before it stands.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import orjson

from pilothouse.engines.tsdb import Labels

LOG_MAGIC = b"PHTSLOG1"
BLOCK_MAGIC = b"PHTSBLK1"
RECORD_BYTES = 1 << 30
"""A longer record is taken for damage."""

FRAME, SERIES, RETIRE, ROW, LOOSE_SERIES, LOOSE, PART, HEADER, END = range(1, 10)

_EXACT = 2.0**53
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def record(kind: int, body: bytes) -> bytes:
    """One framed record."""
    payload = bytes((kind,)) + body
    return struct.pack("<II", len(payload), zlib.crc32(payload)) + payload


def records(data: bytes, magic: bytes) -> Iterator[tuple[int, bytes]]:
    """(kind, body) of every whole record; nothing when the magic number is another."""
    if not data.startswith(magic):
        return
    at = len(magic)
    while at + 8 <= len(data):
        size, checksum = struct.unpack_from("<II", data, at)
        payload = data[at + 8 : at + 8 + size]
        if not 0 < size <= RECORD_BYTES or len(payload) < size or zlib.crc32(payload) != checksum:
            return
        yield payload[0], payload[1:]
        at += 8 + size


def pack_labels(labels: Labels) -> bytes:
    return orjson.dumps(labels)


def unpack_labels(data: bytes) -> Labels:
    return tuple((name, value) for name, value in orjson.loads(data))


def _shuffled(words: npt.NDArray[np.uint64], level: int) -> bytes:
    """Compressed with bytes of equal weight side by side: counters differ in the low ones only."""
    return zlib.compress(np.ascontiguousarray(words.reshape(-1).view(np.uint8).reshape(-1, 8).T).tobytes(), level)


def _unshuffled(data: bytes, count: int) -> npt.NDArray[np.uint64]:
    planes = np.frombuffer(zlib.decompress(data), dtype=np.uint8).reshape(8, count)
    # A copy in every case: what was decompressed cannot be written, and one word alone is contiguous both ways.
    return planes.T.copy(order="C").reshape(-1).view(np.uint64)


def pack_row(row: Floats, before: Floats) -> bytes:
    """One row against the row before (shorter ones count as zeros)."""
    words = row.view(np.uint64).copy()
    shared = min(len(row), len(before))
    words[:shared] ^= before[:shared].view(np.uint64)
    return _shuffled(words, 1)


def unpack_row(data: bytes, width: int, before: Floats) -> Floats:
    words = _unshuffled(data, width)
    shared = min(width, len(before))
    words[:shared] ^= before[:shared].view(np.uint64)
    return words.view(np.float64)


def pack_times(times: Ints) -> bytes:
    """Second differences: even steps become zeros."""
    return _shuffled(_zigzag(np.diff(np.diff(times, prepend=0), prepend=0)), 6)


def unpack_times(data: bytes, count: int) -> Ints:
    return np.cumsum(np.cumsum(_unzigzag(_unshuffled(data, count))))


def _zigzag(values: Ints) -> npt.NDArray[np.uint64]:
    return ((values << 1) ^ (values >> 63)).view(np.uint64)


def _unzigzag(words: npt.NDArray[np.uint64]) -> Ints:
    values = words.view(np.int64)
    return ((values >> 1) & 0x7FFFFFFFFFFFFFFF) ^ -(values & 1)


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of some series that were sampled together. values: [rows, columns]; name: the frame's."""

    name: str
    labels: list[Labels]
    times: Ints
    values: Floats


def pack_part(part: Part) -> bytes:
    """A part's bytes: a JSON head, then labels, times, whole-number columns and the others, each compressed."""
    rows, columns = part.values.shape
    across = np.ascontiguousarray(part.values.T)
    whole = _whole_columns(across)
    numbers = across[whole].astype(np.int64)
    steps = _zigzag(np.diff(np.diff(numbers, axis=1, prepend=0), axis=1, prepend=0))
    bits = across[~whole].view(np.uint64)
    changed = bits.copy()
    changed[:, 1:] ^= bits[:, :-1]
    blobs = [
        zlib.compress(orjson.dumps(part.labels), 6),
        pack_times(part.times),
        np.packbits(whole).tobytes(),
        _shuffled(np.ascontiguousarray(steps), 6),
        _shuffled(np.ascontiguousarray(changed), 6),
    ]
    head = {"name": part.name, "rows": rows, "columns": columns, "sizes": [len(blob) for blob in blobs]}
    packed = orjson.dumps(head)
    return struct.pack("<I", len(packed)) + packed + b"".join(blobs)


def _whole_columns(across: Floats) -> npt.NDArray[np.bool_]:
    """Columns of whole numbers that integers hold exactly; -0 is none, its sign would be lost."""
    with np.errstate(invalid="ignore"):
        whole = (np.abs(across) < _EXACT) & (across == np.floor(across)) & ~((across == 0) & np.signbit(across))
    found: npt.NDArray[np.bool_] = whole.all(axis=1)
    return found


def unpack_part(body: bytes) -> Part:
    size = struct.unpack_from("<I", body)[0]
    head = orjson.loads(body[4 : 4 + size])
    rows, columns = head["rows"], head["columns"]
    blobs, at = [], 4 + size
    for length in head["sizes"]:
        blobs.append(body[at : at + length])
        at += length
    labels = [tuple((name, value) for name, value in one) for one in orjson.loads(zlib.decompress(blobs[0]))]
    whole = np.unpackbits(np.frombuffer(blobs[2], dtype=np.uint8), count=columns).astype(np.bool_)
    values = np.empty((columns, rows), dtype=np.float64)
    steps = _unzigzag(_unshuffled(blobs[3], int(whole.sum()) * rows)).reshape(-1, rows)
    values[whole] = np.cumsum(np.cumsum(steps, axis=1), axis=1)
    changed = _unshuffled(blobs[4], int((~whole).sum()) * rows).reshape(-1, rows)
    values[~whole] = np.bitwise_xor.accumulate(changed, axis=1).view(np.float64)
    return Part(head["name"], labels, unpack_times(blobs[1], rows), np.ascontiguousarray(values.T))
