"""Names, labels and annotations: what is right, and the words for what is not."""

from __future__ import annotations

import pytest

from pilothouse.engines.schema import names


@pytest.mark.parametrize("text", ["a", "a-b", "a.b", "0.1", "a" * 253])
def test_good_subdomains(text: str) -> None:
    assert names.dns_subdomain(text) == ()


@pytest.mark.parametrize("text", ["", "A", "-a", "a-", "a..b", "a_b", "a" * 254, "a b", "é"])
def test_bad_subdomains(text: str) -> None:
    assert names.dns_subdomain(text)


@pytest.mark.parametrize("text", ["a", "example.com/Name_1.x", "A"])
def test_good_keys(text: str) -> None:
    assert names.qualified_name(text) == ()


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("a/b/c", "a valid label key must consist of"),
        ("/b", "prefix part must be non-empty"),
        ("A/b", "prefix part a lowercase RFC 1123 subdomain"),
        ("a/", "name part must be non-empty"),
        ("x" * 64, "name part must be no more than 63 bytes"),
        ("-x", "name part must consist of"),
    ],
)
def test_bad_keys(text: str, start: str) -> None:
    assert names.qualified_name(text)[0].startswith(start)


def test_values_may_be_empty_but_not_long() -> None:
    assert names.label_value("") == ()
    assert names.label_value("x" * 64) == ("must be no more than 63 bytes",)
    assert names.label_value("a b")


def test_label_and_annotation_causes_name_key_or_value() -> None:
    causes = names.label_causes({"bad key": "v", "ok": "bad value!"}, "metadata.labels")
    assert [cause.message.split(":")[1].strip() for cause in causes] == ['"bad key"', '"bad value!"']
    assert names.annotation_causes({"Some.Key": "any value, even this!"}, "metadata.annotations") == []
    (large,) = names.annotation_causes({"a": "x" * 262_144}, "metadata.annotations")
    assert large.message == "Too long: may not be more than 262144 bytes"


def test_port_names() -> None:
    assert names.port_name("http-2") == ()
    assert names.port_name("a--b") == ("must not contain consecutive hyphens",)
    assert names.port_name("80") == ("must contain at least one letter (a-z)",)
    assert names.port_name("-a") == ("must not begin or end with a hyphen",)
    assert len(names.port_name("UPPER")) == 2
