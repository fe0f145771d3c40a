from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pilothouse.engines.rolling import lookup
from pilothouse.engines.rolling.cells import selector_text

LABELS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("xyz"))


@given(LABELS, LABELS)
def test_a_selector_finds_what_it_matches(match: dict[str, str], labels: dict[str, str]) -> None:
    """Whatever a selector matches is indexed under its key, and its key is among those that the labels look under."""
    matches = lookup.matcher({"matchLabels": match})(labels)
    assert matches == (match.items() <= labels.items())
    key = lookup.selector_key("ns", match)
    if matches and match:
        assert key in lookup.keys_by_labels({"metadata": {"namespace": "ns", "labels": labels}})
    if matches:
        assert key in lookup.selector_keys_of("ns", labels)


def test_objects_without_a_controller_are_found_apart() -> None:
    owned = {"metadata": {"namespace": "ns", "ownerReferences": [{"controller": True}]}}
    free = {"metadata": {"namespace": "ns", "ownerReferences": [{"controller": False}]}}
    assert lookup.keys_of_orphans(owned) == lookup.keys_by_labels(owned) == []
    assert lookup.keys_of_orphans(free) == lookup.keys_by_labels(free) == [lookup.orphans_key("ns")]


def test_expressions_are_tested_in_full() -> None:
    matches = lookup.matcher(
        {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "DoesNotExist"}]}
    )
    assert matches({"a": "b"})
    assert not matches({"a": "b", "c": ""})
    assert not lookup.matcher(None)({})


def test_selectors_read_as_kubectl_writes_them() -> None:
    expressions = [{"key": "tier", "operator": "In", "values": ["b", "a"]}, {"key": "old", "operator": "DoesNotExist"}]
    assert (
        selector_text({"matchLabels": {"app": "web"}, "matchExpressions": expressions}) == "app=web,!old,tier in (a,b)"
    )
    assert selector_text({}) == "<none>"
