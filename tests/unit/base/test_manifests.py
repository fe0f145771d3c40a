"""What is read from files and folders, and that nothing a user gives ends in an exception."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.base import limits
from pilothouse.base.manifests import Manifests, field_path, load_paths, load_text

CASES = Path(__file__).parents[2] / "cases" / "input"
POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\n"


def described(found: Manifests) -> str:
    """Everything found, one line each: what the case files hold as expectation."""
    out = [f"object {d.kind}/{d.name} {d.line}" for d in found.objects]
    out += [f"scenario {d.name} {d.line}" for d in found.scenarios]
    out += [f"rules {d.line}" for d in found.rule_files]
    out += [f"rule-tests {d.line}" for d in found.rule_tests]
    out += [f"alertmanager {d.line}" for d in found.alertmanagers]
    out += [
        f"{f.severity} {f.code} {f.place.line}:{f.place.column} {f.message}" + (f" -> {f.remedy}" if f.remedy else "")
        for f in found.findings
    ]
    return "\n".join(out) + "\n"


@pytest.mark.parametrize("case", sorted(CASES.glob("*.in")), ids=lambda p: p.stem)
def test_case(case: Path) -> None:
    """NAME.in is a file as a user wrote it, NAME.out what is found in it."""
    expected = case.with_suffix(".out").read_text()
    assert described(load_text(case.read_text(), "file.yaml")) == expected


def test_the_place_of_a_field() -> None:
    text = POD % "a" + "spec:\n  containers:\n  - name: x\n    image: y\n"
    (pod,) = load_text(text, "pod.yaml").objects
    assert str(pod.place_of(("spec", "containers", 0, "image"))) == "pod.yaml:7:12"
    assert str(pod.place_of_field("spec.containers[0].image")) == "pod.yaml:7:12"
    assert str(pod.place_of_field("spec.containers[0].resources.limits[cpu]")) == "pod.yaml:6:5"
    assert pod.place_of().line == 1


def test_field_paths_as_kubernetes_writes_them() -> None:
    assert field_path("spec.template.spec.containers[0].image") == (
        "spec",
        "template",
        "spec",
        "containers",
        0,
        "image",
    )
    assert field_path("metadata.labels[app.kubernetes.io/name]") == ("metadata", "labels", "app.kubernetes.io/name")


def test_a_folder_is_read_in_order_and_skips_what_is_not_the_users(tmp_path: Path) -> None:
    for name in ("b.yaml", "a/z.yml", "a/b/c.json", ".hidden/x.yaml", "node_modules/x.yaml", ".terraform/x.yaml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(POD % path.stem if path.suffix != ".json" else json.dumps(kubernetes_pod("c")))
    (tmp_path / "main.tf").write_text("")
    (tmp_path / "README.md").write_text("not yaml: [")
    found = load_paths([str(tmp_path)])
    assert [d.name for d in found.objects] == ["b", "z", "c"]
    assert found.terraform == [str(tmp_path / "main.tf")]
    assert found.findings == []


def kubernetes_pod(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}}


def test_a_chart_is_left_out_with_the_command_that_renders_it(tmp_path: Path) -> None:
    (tmp_path / "chart" / "templates").mkdir(parents=True)
    (tmp_path / "chart" / "Chart.yaml").write_text("name: x")
    (tmp_path / "chart" / "templates" / "pod.yaml").write_text(POD % "a")
    (tmp_path / "pod.yaml").write_text(POD % "b")
    found = load_paths([str(tmp_path)])
    assert [d.name for d in found.objects] == ["b"]
    assert [f.code for f in found.findings] == ["PH106"]
    assert "helm template" in found.findings[0].remedy


def test_a_file_given_twice_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(POD % "a")
    found = load_paths([str(tmp_path), str(tmp_path / "a.yaml"), str(tmp_path / "." / "a.yaml")])
    assert len(found.objects) == 1


def test_what_is_wrong_with_paths(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("# nothing\n---\n")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\x00\xfe")
    (tmp_path / "none").mkdir()
    codes = {
        "missing.yaml": "PH120",
        "missing.tf": "PH120",
        "bytes.yaml": "PH122",
        "empty.yaml": "PH126",
        "none": "PH127",
        "a\0b": "PH121",
    }
    for name, code in codes.items():
        found = load_paths([str(tmp_path / name)])
        assert [f.code for f in found.findings] == [code]
        assert found.findings[0].remedy
        assert not found.usable


def test_utf16_and_byte_order_marks_are_read(tmp_path: Path) -> None:
    for number, encoding in enumerate(("utf-16", "utf-8-sig")):
        (tmp_path / f"{number}.yaml").write_bytes((POD % f"p{number}").encode(encoding))
    assert [d.name for d in load_paths([str(tmp_path)]).objects] == ["p0", "p1"]


def test_standard_input() -> None:
    assert [d.file for d in load_paths(["-"], stdin=POD % "a").objects] == ["<stdin>"]


def test_json_with_characters_beyond_the_basic_plane() -> None:
    text = '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","labels":{"x":"\\ud83d\\ude00"}}}'
    (pod,) = load_text(text).objects
    assert pod.object["metadata"]["labels"]["x"] == "\U0001f600"


def test_a_document_beyond_the_limit_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "YAML_DOCUMENT_BYTES", 200)
    found = load_text(POD % "a" + "---\n" + POD % "b" + "x: " + "y" * 200 + "\n---\n" + POD % "c")
    assert [d.name for d in found.objects] == ["a", "c"]
    assert [(f.code, f.place.line) for f in found.findings] == [("PH123", 4)]


def test_findings_of_one_file_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FINDINGS_PER_FILE", 3)
    found = load_text("a: [\n---\n" * 10)
    assert [f.code for f in found.findings] == ["PH101", "PH101", "PH101", "PH125"]


LINES = (
    "apiVersion: v1\n",
    "kind: Pod\n",
    "kind: List\n",
    "items:\n",
    "metadata:\n",
    "  name: a\n",
    "groups:\n",
    "---\n",
)
MARKS = (
    "- ",
    "&a ",
    "*a",
    "<<: ",
    "{",
    "}",
    "[",
    "]",
    ": ",
    "? ",
    "!!int ",
    "!x ",
    "\t",
    "|\n",
    ">-\n",
    "'",
    '"',
    "\\",
)
ODD = ("metadata: {name: a}\n", "...\n", "%YAML 1.1\n", "\\ud83d", "{{ .Values.x }}", "1e999", "017", ".nan", "~", "  ")
BYTES = ("\x00", "\x7f", "\x85", "\u2028", "\ufeff", "# c\n", "\r\n", "\n")
FRAGMENTS = st.sampled_from((*LINES, *MARKS, *ODD, *BYTES))


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(FRAGMENTS, st.text(max_size=6)), max_size=40).map("".join))
def test_no_text_raises(text: str) -> None:
    found = load_text(text)
    assert all(f.code.startswith("PH1") and f.message for f in found.findings)
    json.dumps([d.object for d in found.objects], allow_nan=False)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_no_file_raises(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "x.yaml"
    path.write_bytes(data)
    assert all(f.code.startswith("PH1") for f in load_paths([str(path)]).findings)


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text(max_size=8))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(VALUES, st.booleans())
def test_json_reads_as_json(value: object, ascii_only: bool) -> None:
    """JSON is YAML: whatever a JSON writer writes comes back the same."""
    document = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "a"}, "value": value}
    found = load_text(json.dumps(document, ensure_ascii=ascii_only))
    if "{{" not in str(value):
        assert [d.object for d in found.objects] == [document], found.findings


def test_only_wanted_documents_are_parsed(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: [\n---\n" + POD % "a" + "---\n" + POD % "b")
    assert [d.name for d in load_paths([str(tmp_path)], wanted="name: b").objects] == ["b"]
