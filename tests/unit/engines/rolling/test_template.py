from __future__ import annotations

from typing import Any

from pilothouse.engines.rolling.template import same_template, template_hash, with_hash_label, with_hash_selector

TEMPLATE: dict[str, Any] = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def test_the_hash_does_not_depend_on_the_order_of_keys() -> None:
    turned = {"spec": {"containers": [{"image": "i", "name": "c"}]}, "metadata": {"labels": {"a": "b"}}}
    assert template_hash(TEMPLATE) == template_hash(turned)


def test_the_hash_is_the_same_in_every_run() -> None:
    assert template_hash(TEMPLATE) == "678f8676b8"


def test_collisions_give_other_names() -> None:
    assert len({template_hash(TEMPLATE, count) for count in (None, 0, 1, 2)}) == 4


def test_templates_are_the_same_whatever_their_hash_label() -> None:
    labelled = with_hash_label(TEMPLATE, "xyz")
    assert labelled["metadata"]["labels"] == {"a": "b", "pod-template-hash": "xyz"}
    assert same_template(TEMPLATE, labelled)
    assert same_template(labelled, with_hash_label(TEMPLATE, "other"))
    assert "pod-template-hash" not in TEMPLATE["metadata"]["labels"]


def test_empty_metadata_says_nothing() -> None:
    assert same_template({"spec": {}}, {"metadata": {"labels": {}, "annotations": {}}, "spec": {}})
    assert same_template({"spec": {}}, {"metadata": {"labels": {"pod-template-hash": "x"}}, "spec": {}})


def test_any_other_difference_makes_another_template() -> None:
    annotated = {**TEMPLATE, "metadata": {"labels": {"a": "b"}, "annotations": {"restarted": "now"}}}
    assert not same_template(TEMPLATE, annotated)
    assert not same_template(TEMPLATE, {**TEMPLATE, "spec": {"containers": []}})


def test_the_selector_asks_for_the_hash_too() -> None:
    selector = {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "k", "operator": "Exists"}]}
    wanted = with_hash_selector(selector, "xyz")
    assert wanted["matchLabels"] == {"a": "b", "pod-template-hash": "xyz"}
    assert wanted["matchExpressions"] == selector["matchExpressions"]
