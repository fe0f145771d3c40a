"""Remote write v1 in: snappy-compressed protobuf `WriteRequest`s to samples. Pure over bytes.

Reads only what samples need: TimeSeries{labels, samples} of prompb/remote.proto and prompb/types.proto; exemplars,
metadata and native histograms are skipped by their wire type. Called by `wire.prometheus`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from pilothouse.engines.tsdb import Labels

BODY_BYTES = 32 * 1024 * 1024
"""Largest decoded request; Prometheus sends 2,000 samples at a time, some 200 kB."""

_Field = tuple[int, int, int | bytes]


@dataclass(frozen=True, slots=True)
class WrittenSeries:
    """One series of a request: sorted labels and its (time_ms, value) samples in the order sent."""

    labels: Labels
    samples: tuple[tuple[int, float], ...]


def decode_write_request(body: bytes, limit: int = BODY_BYTES) -> list[WrittenSeries]:
    """The series of a request; ValueError when the bytes are not one."""
    data = snappy_decode(body, limit)
    return [_series(value) for number, kind, value in _fields(data) if number == 1 and kind == 2]


def snappy_decode(data: bytes, limit: int = BODY_BYTES) -> bytes:
    """The snappy block format (google/snappy format_description.txt); ValueError when broken or beyond the limit."""
    length, at = _varint(data, 0)
    if length > limit:
        raise ValueError(f"snappy: decoded block of {length} bytes is over the limit of {limit}")
    out = bytearray()
    end = len(data)
    while at < end:
        tag = data[at]
        at += 1
        if tag & 3 == 0:
            size = (tag >> 2) + 1
            if size > 60:
                extra = size - 60
                size = int.from_bytes(data[at : at + extra], "little") + 1
                at += extra
            if at + size > end or len(out) + size > length:
                raise ValueError("snappy: corrupt input")
            out += data[at : at + size]
            at += size
            continue
        at, size, offset = _copy(data, at, tag)
        if offset == 0 or offset > len(out) or len(out) + size > length:
            raise ValueError("snappy: corrupt input")
        _repeat(out, offset, size)
    if len(out) != length:
        raise ValueError("snappy: corrupt input")
    return bytes(out)


def _copy(data: bytes, at: int, tag: int) -> tuple[int, int, int]:
    """(next position, length, offset) of a copy element."""
    width = {1: 1, 2: 2, 3: 4}[tag & 3]
    if at + width > len(data):
        raise ValueError("snappy: corrupt input")
    offset = int.from_bytes(data[at : at + width], "little")
    if width == 1:
        return at + 1, (tag >> 2 & 7) + 4, (tag >> 5) << 8 | offset
    return at + width, (tag >> 2) + 1, offset


def _repeat(out: bytearray, offset: int, size: int) -> None:
    """Appends `size` bytes from `offset` back; when they overlap what is written, the pattern repeats."""
    start = len(out) - offset
    if offset >= size:
        out += out[start : start + size]
        return
    pattern = bytes(out[start:])
    out += (pattern * (size // offset + 1))[:size]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("unexpected end of a varint")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (2**64 - 1), at
        shift += 7


def _fields(data: bytes) -> Iterator[_Field]:
    """(number, wire type, value) of each field of a protobuf message; bytes for types 1, 2 and 5."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield number, kind, value
            continue
        if kind == 2:
            size, at = _varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"proto: illegal wire type {kind}")
        if number == 0 or at + size > len(data):
            raise ValueError("unexpected end of a protobuf message")
        yield number, kind, data[at : at + size]
        at += size


def _series(data: int | bytes) -> WrittenSeries:
    labels: list[tuple[str, str]] = []
    samples: list[tuple[int, float]] = []
    for number, kind, value in _fields(_bytes(data)):
        if number == 1 and kind == 2:
            labels.append(_label(_bytes(value)))
        elif number == 2 and kind == 2:
            samples.append(_sample(_bytes(value)))
    return WrittenSeries(tuple(sorted(pair for pair in labels if pair[1])), tuple(samples))


def _label(data: bytes) -> tuple[str, str]:
    parts = {number: _bytes(value) for number, kind, value in _fields(data) if kind == 2}
    try:
        return parts.get(1, b"").decode(), parts.get(2, b"").decode()
    except UnicodeDecodeError:
        raise ValueError("a label is not valid UTF-8") from None


def _sample(data: bytes) -> tuple[int, float]:
    value, time_ms = 0.0, 0
    for number, kind, raw in _fields(data):
        if number == 1 and kind == 1:
            value = struct.unpack("<d", _bytes(raw))[0]
        elif number == 2 and isinstance(raw, int):
            time_ms = raw - 2**64 if raw >= 2**63 else raw
    return time_ms, value


def _bytes(value: int | bytes) -> bytes:
    assert isinstance(value, bytes)
    return value
