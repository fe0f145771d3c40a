"""Protobuf bodies, written here by hand, read as the JSON they stand for."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.wire.kubernetes.server import CONFIG_MAPS, Server

from pilothouse.base.errors import BadRequest
from pilothouse.wire.kubernetes.protobuf import decode


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value & (1 << 64) - 1)


def chunk(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def body(api_version: str, kind: str, message: bytes) -> bytes:
    return b"k8s\x00" + chunk(1, chunk(1, api_version) + chunk(2, kind)) + chunk(2, message)


def metadata(name: str) -> bytes:
    # Go writes empty plain fields too: generateName, namespace, generation.
    return chunk(1, name) + chunk(2, "") + chunk(3, "") + number(7, 0) + chunk(8, b"")


def test_a_config_map_with_a_map() -> None:
    entry = chunk(1, "key") + chunk(2, "value")
    found = decode(body("v1", "ConfigMap", chunk(1, metadata("a")) + chunk(2, entry)))
    assert found == {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"key": "value"}}


def test_bytes_become_base64() -> None:
    secret = chunk(1, metadata("s")) + chunk(2, chunk(1, "k") + chunk(2, b"\x00\xff")) + chunk(3, "Opaque")
    found = decode(body("v1", "Secret", secret))
    assert (found["data"], found["type"]) == ({"k": "AP8="}, "Opaque")


def test_what_is_carried_inline_is_not_nested() -> None:
    volume = chunk(1, "v") + chunk(2, chunk(2, chunk(1, "Memory")))
    pod = chunk(1, metadata("p")) + chunk(2, chunk(1, volume))
    assert decode(body("v1", "Pod", pod))["spec"]["volumes"] == [{"name": "v", "emptyDir": {"medium": "Memory"}}]


def test_a_zero_behind_a_pointer_stays() -> None:
    deployment = chunk(1, metadata("d")) + chunk(2, number(1, 0))
    assert decode(body("apps/v1", "Deployment", deployment))["spec"] == {"replicas": 0}


def test_times_and_quantities_have_their_json_forms() -> None:
    stamp = number(1, 1_700_000_000)
    quota = chunk(1, chunk(1, "q") + chunk(8, stamp)) + chunk(2, chunk(1, chunk(1, "pods") + chunk(2, chunk(1, "2"))))
    found = decode(body("v1", "ResourceQuota", quota))
    assert found["metadata"]["creationTimestamp"] == "2023-11-14T22:13:20Z"
    assert found["spec"] == {"hard": {"pods": "2"}}


def test_it_goes_through_the_server() -> None:
    server = Server()
    headers = {"content-type": "application/vnd.kubernetes.protobuf"}
    reply = server.call("POST", CONFIG_MAPS, body("v1", "ConfigMap", chunk(1, metadata("a"))), headers=headers)
    assert reply.status == 201


@pytest.mark.parametrize("data", [b"", b"k8s", b"k8s\x00", b"k8s\x00\x0a\xff", body("v1", "Nothing", b"")])
def test_broken_bodies_are_refused(data: bytes) -> None:
    with pytest.raises(BadRequest):
        decode(data)


@given(st.binary(max_size=200))
def test_any_message_is_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(BadRequest):
        assert decode(body("v1", "Pod", data))["kind"] == "Pod"
