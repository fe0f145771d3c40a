"""Templates: the cases of tests/cases/alerting/templates.txt, what is refused when loading, no crash on any text."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.engines.alerting.expansion import AlertTemplate, TemplateContext
from pilothouse.engines.alerting.gotemplate.errors import TemplateError
from pilothouse.engines.alerting.gotemplate.formatting import sprintf
from pilothouse.engines.alerting.queries import QueryError, compile_query
from pilothouse.engines.alerting.rules import Labels

CASES = Path(__file__).parents[3] / "cases" / "alerting" / "templates.txt"
LABELS = (("__name__", "load"), ("job", "api"), ("zone", "eu"))


def answers(text: str) -> list[tuple[Labels, float]]:
    compile_query(text)
    known: dict[str, list[tuple[Labels, float]]] = {
        "up": [((("i", "b"),), 1.0), ((("i", "a"),), 0.0)],
        "none": [],
    }
    return known[text]


CONTEXT = TemplateContext(60.0, {"cluster": "c1"}, "http://x/p", "http://x/p", answers)


def cases() -> list[tuple[str, str]]:
    blocks = CASES.read_text().split("---\n")[1:]
    return [(text.removesuffix("\n"), want.removesuffix("\n")) for text, want in (b.split("===\n") for b in blocks)]


@pytest.mark.parametrize(("text", "want"), cases())
def test_template_case(text: str, want: str) -> None:
    got = AlertTemplate.parse("Case", text).expand(LABELS, 0.25, CONTEXT)
    if want.startswith("! "):
        assert got.startswith(
            "<error expanding template: error executing template __alert_Case: template: __alert_Case:"
        )
        assert want[2:] in got
    else:
        assert got == want


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ nope }}", 'template: __alert_A:1: function "nope" not defined'),
        ("{{ $nope }}", 'template: __alert_A:1: undefined variable "$nope"'),
        ("line\n{{ if }}", "template: __alert_A:2: missing value for if"),
        ("{{ if true }}", "template: __alert_A:1: unexpected EOF"),
        ("{{ end }}", "template: __alert_A:1: unexpected {{end}}"),
        ("{{ $value", "template: __alert_A:1: unclosed action"),
        ('{{ "x }}', "template: __alert_A:1: unterminated quoted string"),
        ("{{/* x }}", "template: __alert_A:1: unclosed comment"),
        ("{{ (1 }}", "template: __alert_A:1: unclosed left paren"),
        ("{{ 1) }}", "template: __alert_A:1: unexpected right paren"),
        ("{{ break }}", "template: __alert_A:1: {{break}} outside {{range}}"),
        ("{{ 1 | 2 }}", "template: __alert_A:1: non executable command in pipeline stage 2"),
        ("{{ 3x }}", 'template: __alert_A:1: bad number syntax: "3x"'),
    ],
)
def test_what_is_no_template_is_refused_when_loading(text: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        AlertTemplate.parse("A", text)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "reads_value", "timely"),
    [
        ("plain", False, False),
        ("{{ $labels.job }} {{ .Labels.zone }}", False, False),
        ("{{ $value }}", True, False),
        ("{{ . }}", True, False),
        ("{{ $x := .Value }}{{ $x }}", True, False),
        ('{{ query "up" }}', False, True),
        ("{{ now }}", False, True),
    ],
)
def test_a_template_knows_what_can_change_its_text(text: str, reads_value: bool, timely: bool) -> None:
    template = AlertTemplate.parse("A", text)
    assert (template.reads_value, template.timely) == (reads_value, timely)


def test_hostile_nesting_is_refused_not_crashed() -> None:
    for text in ("{{" + "(" * 3000 + "1" + ")" * 3000 + "}}", "{{if 1}}" * 3000, "{{if 0}}" + "{{else if 0}}" * 3000):
        with pytest.raises(TemplateError):
            AlertTemplate.parse("A", text)
    long = "{{if 0}}" + "{{else if 0}}" * 99 + "{{else if 1}}last{{end}}"
    assert AlertTemplate.parse("A", long).expand(LABELS, 1.0, CONTEXT) == "last"


def test_a_range_over_a_huge_number_ends_with_an_error() -> None:
    text = AlertTemplate.parse("A", "{{ range 999999999 }}{{ end }}").expand(LABELS, 1.0, CONTEXT)
    assert "steps" in text


PIECES = [
    "{{", "}}", "{{-", "-}}", "if", "end", "range", "with", "else", "define", "$x", ":=", ".", ".Labels", "|", "(", ")",
    '"a"', "`", "1", "1.5", "printf", "query", "index", "/*", "*/", "template", "x", ",", "'", "\\", "é", " ",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
@settings(max_examples=400, deadline=None)
def test_any_text_is_refused_or_expanded_but_never_crashes(text: str) -> None:
    try:
        template = AlertTemplate.parse("A", text)
    except TemplateError:
        return
    context = TemplateContext(query=_refuse)
    assert isinstance(template.expand(LABELS, 1.0, context), str)


def _refuse(text: str) -> list[tuple[Labels, float]]:
    raise QueryError(text)


@given(
    st.text(alphabet="%dsvfgxq+-# 0123.*[]T!abc", max_size=12),
    st.lists(st.sampled_from([1, 2.5, "s", None, True]), max_size=3),
)
@settings(max_examples=300, deadline=None)
def test_any_format_gives_text(template: str, values: list[object]) -> None:
    assert isinstance(sprintf(template, *values), str)
