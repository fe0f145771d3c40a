"""Snappy blocks and write requests, built here byte by byte from their specifications."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.signals.metrics.remote_write import decode_write_request, snappy_decode


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes((value,))


def field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def literal(data: bytes) -> bytes:
    """A snappy block of literals only."""
    out = varint(len(data))
    for at in range(0, len(data), 60):
        piece = data[at : at + 60]
        out += bytes(((len(piece) - 1) << 2,)) + piece
    return out


def series(labels: dict[str, str], samples: list[tuple[int, float]]) -> bytes:
    body = b"".join(field(1, field(1, n.encode()) + field(2, v.encode())) for n, v in labels.items())
    for time_ms, value in samples:
        body += field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(time_ms & 2**64 - 1))
    return field(1, body)


def test_a_request_becomes_sorted_labels_and_samples() -> None:
    request = series({"job": "x", "__name__": "up", "gone": ""}, [(1000, 1.5), (-5, 2.0)])
    request += field(3, field(2, b"up")) + b"\x20\x05"  # metadata and an unknown varint are skipped
    written = decode_write_request(literal(request))
    assert [(one.labels, one.samples) for one in written] == [
        ((("__name__", "up"), ("job", "x")), ((1000, 1.5), (-5, 2.0)))
    ]


@pytest.mark.parametrize(
    ("block", "text"),
    [
        (b"\x00", b""),
        (b"\x05\x10hello", b"hello"),
        (b"\x0a\x00a\x15\x01\x01\x01", None),
        (b"\x05\x00a\x01\x01", b"aaaaa"),
        (b"\x09\x08abc\x16\x03\x00", b"abcabcabc"),
        (b"\x09\x08abc\x17\x03\x00\x00\x00", b"abcabcabc"),
        (b"\x46\xf0\x45" + b"x" * 70, b"x" * 70),
        (b"\x46\xf4\x45\x00" + b"x" * 70, b"x" * 70),
    ],
)
def test_snappy_elements(block: bytes, text: bytes | None) -> None:
    if text is None:
        with pytest.raises(ValueError):
            snappy_decode(block)
    else:
        assert snappy_decode(block) == text


@given(st.binary(max_size=400))
def test_literals_read_back(data: bytes) -> None:
    assert snappy_decode(literal(data)) == data


@given(st.binary(max_size=120))
def test_any_bytes_are_a_request_or_a_value_error(data: bytes) -> None:
    for body in (data, literal(data)):
        try:
            decode_write_request(body)
        except ValueError:
            continue


def test_a_block_that_unfolds_beyond_the_limit_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="over the limit"):
        snappy_decode(varint(2**40) + b"\x00a")


def test_labels_must_be_utf8() -> None:
    with pytest.raises(ValueError, match="UTF-8"):
        decode_write_request(literal(field(1, field(1, field(1, b"\xff") + field(2, b"x")))))
