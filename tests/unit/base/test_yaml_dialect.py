"""The scalar and structure rules of YAML as kubectl reads it; expected values follow goyaml.v2's resolver."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pilothouse.base.yaml_dialect import Broken, Marks, load, resolve, unpack

SCALARS: list[tuple[str, Any]] = [
    *[(word, True) for word in ("y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE")],
    *[(word, False) for word in ("n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE")],
    *[(word, word) for word in ("yEs", "tRUE", "oN", "nO")],
    *[(word, None) for word in ("", "~", "null", "Null", "NULL")],
    ("nuLL", "nuLL"),
    ("017", 15),
    ("0o17", 15),
    ("0O17", 15),
    ("-017", -15),
    ("08", 8),
    ("0x1F", 31),
    ("-0x1f", -31),
    ("0b101", 5),
    ("1_000", 1000),
    ("+7", 7),
    ("1e3", 1000),
    ("1E3", 1000),
    ("1.5e3", 1500),
    ("1.0", 1),
    ("1.", 1),
    (".5", 0.5),
    ("+.5", 0.5),
    ("-0.25", -0.25),
    ("1e999", "1e999"),
    (".e1", ".e1"),
    ("9223372036854775807", 2**63 - 1),
    ("9223372036854775808", float(2**63)),
    ("99999999999999999999", 1e20),
    ("2001-12-14", "2001-12-14"),
    ("2001-12-14T21:59:43Z", "2001-12-14T21:59:43Z"),
    ("12:30:45", "12:30:45"),
    ("1:30", "1:30"),
    ("500m", "500m"),
    ("1.2.3", "1.2.3"),
    ("0x", "0x"),
    ("-", "-"),
    ("+", "+"),
    (".", "."),
    ("1__0", 10),
    ("_1", "_1"),
]


@pytest.mark.parametrize(("text", "value"), SCALARS)
def test_plain_scalar(text: str, value: Any) -> None:
    seen = resolve(text)
    assert (seen, type(seen)) == (value, type(value))


def test_infinities_and_nan() -> None:
    assert resolve(".inf") == resolve("+.Inf") == math.inf
    assert resolve("-.INF") == -math.inf
    assert math.isnan(resolve(".NaN"))


def only(text: str) -> Any:
    (document,) = load(text)
    return document.value


def test_quotes_and_tags_make_text() -> None:
    assert only("['yes', \"017\", !!str 1e3, !local on]") == ["yes", "017", "1e3", "on"]


def test_standard_tags_are_obeyed() -> None:
    assert only("[!!int '12', !!float 3, !!bool 'yes', !!binary aGk=]") == [12, 3, True, "hi"]


def test_keys_become_text() -> None:
    assert only("{on: 1, 017: 2, 1.5: 3, true: 4}".replace("true: 4", "'x': 4")) == {
        "true": 1,
        "15": 2,
        "1.5": 3,
        "x": 4,
    }


def test_merge_keys_yield_to_written_ones() -> None:
    text = "base: &b {a: 1, c: 3}\nmore: &m {a: 9, d: 4}\nx:\n  a: 2\n  <<: [*b, *m]\n"
    assert only(text)["x"] == {"a": 2, "c": 3, "d": 4}


def test_a_quoted_merge_key_is_a_key() -> None:
    assert only("{'<<': 1}") == {"<<": 1}


def test_aliases_share_their_value() -> None:
    value = only("a: &x [1, 2]\nb: *x\n")
    assert value == {"a": [1, 2], "b": [1, 2]}
    assert value["a"] is value["b"]


def test_documents_come_one_by_one_with_their_lines() -> None:
    assert [(d.value, d.line) for d in load("---\n\na: 1\n---\n---\n- 2\n...\n", first_line=10)] == [
        ({"a": 1}, 12),
        ([2], 15),
    ]


def test_every_value_knows_its_place() -> None:
    (document,) = load("a:\n  - b: 1\n    c: |\n      text\n  - {d: [10,\n     11]}\n")
    marks = document.marks
    assert isinstance(marks, Marks)
    assert marks.find(("a", 0, "b")) == (2, 8)
    assert marks.find(("a", 0, "c")) == (3, 8)
    assert marks.find(("a", 1, "d", 1)) == (6, 6)
    assert marks.find(("a", 1, "nothing", "there")) == (5, 5)
    assert marks.find(("a",)) == (1, 1)
    assert unpack(marks.at) == (1, 1)


BROKEN = [
    ("a: 1\nb: 2\na: 3\n", "duplicate-key", 3, 'the key "a" is already set on line 1'),
    ("on: 1\ntrue: 2\n", "duplicate-key", 2, 'the key "true" is already set on line 1'),
    ("a: &x [*x]\n", "anchor", 1, "contains itself"),
    ("a: *y\n", "anchor", 1, "no anchor &y"),
    ("a: [1, 2\nb: 3\n", "syntax", 2, "did not find expected ',' or ']'"),
    ("a: b: c\n", "syntax", 1, "mapping values are not allowed"),
    ("a:\n\tb: 1\n", "syntax", 2, "cannot start any token"),
    ("? [a]\n: 1\n", "key", 1, "a list or a mapping"),
    ("~: 1\n", "key", 1, "empty (null)"),
    ("a: .inf\n", "number", 1, "cannot be written as JSON"),
    ("a: !!int x\n", "tag", 1, "cannot be read as !!int"),
    ("a: !!binary '*'\n", "tag", 1, "not base64"),
    ("<<: 3\n", "merge", 1, "merges a mapping"),
    ("a: \x01\n", "character", 1, "U+0001"),
    ("[" * 101, "depth", 1, "deeper than 100"),
]


@pytest.mark.parametrize(("text", "rule", "line", "message"), BROKEN)
def test_what_is_refused(text: str, rule: str, line: int, message: str) -> None:
    with pytest.raises(Broken) as caught:
        list(load(text))
    assert (caught.value.rule, caught.value.line) == (rule, line)
    assert message in caught.value.message


def test_an_alias_bomb_is_refused_before_it_is_written_out() -> None:
    levels = ["l0: &l0 [" + ",".join("0" * 10) + "]"]
    levels += [f"l{i}: &l{i} [" + ",".join([f"*l{i - 1}"] * 10) + "]" for i in range(1, 9)]
    with pytest.raises(Broken, match="YAML_VALUES"):
        list(load("\n".join(levels)))
