"""Pushes as the push gateway takes them."""

from __future__ import annotations

import gzip

import pytest

from pilothouse.signals.metrics.exposition import read_page
from pilothouse.signals.metrics.push import PushGateway, PushRefused, grouping_key

TEXT = "text/plain; version=0.0.4"


def exposed(gateway: PushGateway) -> dict[str, float]:
    """series text → value, the gateway's own metrics left out."""
    page = read_page(gateway.page().encode())
    assert page.error is None
    pairs = zip(page.shape.texts, page.values)
    return {text: value for text, value in pairs if not text.startswith("push_")}


@pytest.mark.parametrize(
    ("path", "labels"),
    [
        ("/metrics/job/batch", {"job": "batch"}),
        ("/metrics/job/batch/instance/a%2Fb", {"job": "batch", "instance": "a/b"}),
        ("/metrics/job@base64/YS9i/path@base64/L3Zhcg", {"job": "a/b", "path": "/var"}),
        ("/metrics/job/x/empty@base64/=", {"job": "x", "empty": ""}),
    ],
)
def test_grouping_keys(path: str, labels: dict[str, str]) -> None:
    assert dict(grouping_key(path)) == labels


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/metrics/job",
        "/metrics/job/x/y",
        "/metrics/a/b",
        "/metrics/job/x/__a/b",
        "/metrics/job@base64/!!",
        "/metrics/job@base64/=",
    ],
)
def test_paths_that_are_no_key(path: str) -> None:
    with pytest.raises(PushRefused) as caught:
        grouping_key("/metrics" + path)
    assert caught.value.status == 400


def test_put_replaces_the_group_and_post_the_metric() -> None:
    gateway = PushGateway()
    gateway.push("PUT", "/metrics/job/x", b"a 1\nb 2\n", TEXT, 10.0)
    gateway.push("POST", "/metrics/job/x", b"b 3\nc 4\n", TEXT, 11.0)
    assert exposed(gateway) == {'a{instance="",job="x"}': 1, 'b{instance="",job="x"}': 3, 'c{instance="",job="x"}': 4}
    gateway.push("PUT", "/metrics/job/x", b"d 5\n", TEXT, 12.0)
    assert list(exposed(gateway).values()) == [5]


def test_groups_do_not_touch_each_other_and_can_be_deleted() -> None:
    gateway = PushGateway()
    gateway.push("PUT", "/metrics/job/x", b"# TYPE a gauge\na 1\n", TEXT, 10.0)
    gateway.push("PUT", "/metrics/job/x/instance/i", b"# TYPE a gauge\na 2\n", TEXT, 10.0)
    assert exposed(gateway) == {'a{instance="",job="x"}': 1, 'a{instance="i",job="x"}': 2}
    assert gateway.push("DELETE", "/metrics/job/x", b"", "", 11.0)[0] == 202
    assert list(exposed(gateway).values()) == [2]
    gateway.delete_all()
    assert gateway.page() == ""


def test_grouping_labels_win_over_pushed_ones() -> None:
    gateway = PushGateway()
    gateway.push("PUT", "/metrics/job/x", b'a{job="mine",instance="own"} 1\n', TEXT, 10.0)
    assert exposed(gateway) == {'a{instance="own",job="x"}': 1}


def test_histograms_stay_one_family() -> None:
    gateway = PushGateway()
    body = b'# TYPE h histogram\nh_bucket{le="+Inf"} 1\nh_sum 2\nh_count 1\n'
    gateway.push("PUT", "/metrics/job/x", body, TEXT, 10.0)
    assert gateway.page().count("# TYPE h histogram") == 1
    assert "# TYPE h_sum" not in gateway.page()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"a{ 1\n", "text format parsing error in line 1"),
        (b"a 1 1700000000000\n", "must not have timestamps"),
        (b"a 1\na 2\n", "inconsistent"),
    ],
)
def test_a_refused_push_changes_nothing_but_its_failure_time(body: bytes, why: str) -> None:
    gateway = PushGateway()
    gateway.push("PUT", "/metrics/job/x", b"a 1\n", TEXT, 10.0)
    with pytest.raises(PushRefused, match=why):
        gateway.push("PUT", "/metrics/job/x", body, TEXT, 20.0)
    assert list(exposed(gateway).values()) == [1]
    page = read_page(gateway.page().encode())
    times = dict(zip((dict(labels)["__name__"] for labels in page.shape.labels), page.values))
    assert (times["push_time_seconds"], times["push_failure_time_seconds"]) == (10.0, 20.0)


def test_compressed_pushes() -> None:
    gateway = PushGateway()
    gateway.push("PUT", "/metrics/job/x", gzip.compress(b"a 1\n"), TEXT, 10.0, "gzip")
    assert list(exposed(gateway).values()) == [1]
    with pytest.raises(PushRefused) as bomb:
        gateway.push("PUT", "/metrics/job/x", gzip.compress(b"#" * 20_000_000), TEXT, 10.0, "gzip")
    assert bomb.value.status == 413


def test_other_methods_are_refused() -> None:
    with pytest.raises(PushRefused) as caught:
        PushGateway().push("GET", "/metrics/job/x", b"", "", 1.0)
    assert caught.value.status == 405
