"""Reads Go literals: quoted and raw strings, characters, numbers."""

from __future__ import annotations

import re

_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|([abfnrtv\\'\"]))")
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def unquote(text: str) -> str:
    """The value of a Go string literal with its quotes; ValueError("invalid syntax") as strconv.Unquote says."""
    if text[:1] == "`":
        return text[1:-1].replace("\r", "")
    body, out, at = text[1:-1], [], 0
    raw = bytearray()

    def flush() -> None:
        if raw:
            out.append(raw.decode(errors="replace"))
            raw.clear()

    while at < len(body):
        if body[at] != "\\":
            flush()
            out.append(body[at])
            at += 1
            continue
        match = _ESCAPE.match(body, at)
        if match is None or (match[5] == "'" and text[0] == '"') or (match[5] == '"' and text[0] == "'"):
            raise ValueError("invalid syntax")
        at = match.end()
        if match[1] or match[4]:
            code = int(match[1], 16) if match[1] else int(match[4], 8)
            if code > 255:
                raise ValueError("invalid syntax")
            raw.append(code)  # Bytes: several together may be one UTF-8 character.
            continue
        flush()
        if match[5]:
            out.append(_SIMPLE.get(match[5], match[5]))
            continue
        code = int(match[2] or match[3], 16)
        if code > 0x10FFFF or 0xD800 <= code < 0xE000:
            raise ValueError("invalid syntax")
        out.append(chr(code))
    flush()
    return "".join(out)


_INTEGER = re.compile(r"[+-]?(?:0[xX]_?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*|0[bB]_?[01]+(?:_[01]+)*|0[oO]_?[0-7]+(?:_[0-7]+)*"
                      r"|0(?:_?[0-7]+)*|[1-9](?:_?[0-9]+)*)")  # fmt: skip
_FLOAT = re.compile(r"[+-]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?")
_HEX_FLOAT = re.compile(r"[+-]?0[xX][0-9a-fA-F_]*\.?[0-9a-fA-F_]*[pP][+-]?[0-9]+")


def number(text: str, kind: str) -> int | float | complex:
    """The value of a number token as a constant without context: an int when it can be one and is written as one."""
    if kind == "char":
        char = unquote(text)
        if len(char) != 1:
            raise ValueError(f"malformed character constant: {text}")
        return ord(char)
    if kind == "complex" or text.endswith("i"):
        return _complex(text)
    if _INTEGER.fullmatch(text):
        value = _integer(text)
        if not -(2**63) <= value < 2**64:
            raise ValueError(f'integer overflow: "{text}"')
        return value
    if _HEX_FLOAT.fullmatch(text):
        return float.fromhex(text.replace("_", ""))
    if _FLOAT.fullmatch(text):
        return float(text.replace("_", ""))
    raise ValueError(f'illegal number syntax: "{text}"')


def _integer(text: str) -> int:
    sign, body = (-1, text[1:]) if text[0] == "-" else (1, text.lstrip("+"))
    body = body.replace("_", "")
    if body[:1] == "0" and len(body) > 1 and body[1].isdigit():
        return sign * int(body, 8)
    return sign * int(body, 0)


def _complex(text: str) -> complex:
    try:
        return complex(text.replace("_", "").replace("i", "j"))
    except ValueError:
        raise ValueError(f'illegal number syntax: "{text}"') from None
