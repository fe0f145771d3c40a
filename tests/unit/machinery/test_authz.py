"""Roles and bindings decide who may do what."""

from __future__ import annotations

from typing import Any

import pytest

from pilothouse.base.errors import InputError
from pilothouse.machinery.authn import AUTHENTICATED, MASTERS, Authenticator, Unauthorized, User, read_tokens
from pilothouse.machinery.authz import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING, Attributes, Rbac
from pilothouse.store.memory import Store


def role(store: Store, name: str, *rules: dict[str, Any], namespace: str = "n") -> None:
    metadata: dict[str, Any] = {"name": name, "uid": name}
    kind = CLUSTER_ROLE
    if namespace:
        metadata["namespace"], kind = namespace, ROLE
    store.put(kind, {"metadata": metadata, "rules": list(rules)})


def binding(store: Store, role_name: str, subject: dict[str, str], *, kind: str = "Role", namespace: str = "n") -> None:
    metadata: dict[str, Any] = {"name": f"b-{role_name}", "uid": f"b-{role_name}"}
    if namespace:
        metadata["namespace"] = namespace
    body = {"metadata": metadata, "roleRef": {"kind": kind, "name": role_name}, "subjects": [subject]}
    store.put(ROLE_BINDING if namespace else CLUSTER_ROLE_BINDING, body)


READ_PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}
ANN = User("ann", "1", (AUTHENTICATED,))
ANN_SUBJECT = {"kind": "User", "name": "ann"}


def test_a_role_holds_in_its_namespace_only() -> None:
    store = Store()
    rbac = Rbac(store)
    role(store, "r", READ_PODS)
    binding(store, "r", ANN_SUBJECT)
    assert rbac.allows(ANN, Attributes("get", "", "pods", namespace="n", name="p"))
    assert not rbac.allows(ANN, Attributes("get", "", "pods", namespace="other", name="p"))
    assert not rbac.allows(ANN, Attributes("delete", "", "pods", namespace="n", name="p"))
    assert not rbac.allows(ANN, Attributes("get", "", "pods", "log", "n", "p"))


def test_a_change_of_bindings_is_seen_at_once() -> None:
    store = Store()
    rbac = Rbac(store)
    asked = Attributes("get", "", "pods", namespace="n")
    assert not rbac.allows(ANN, asked)
    role(store, "r", READ_PODS)
    binding(store, "r", ANN_SUBJECT)
    assert rbac.allows(ANN, asked)
    store.remove(ROLE_BINDING, "n", "b-r")
    assert not rbac.allows(ANN, asked)


def test_a_cluster_role_bound_in_a_namespace_stays_there() -> None:
    store = Store()
    rbac = Rbac(store)
    role(store, "view", READ_PODS, namespace="")
    binding(store, "view", {"kind": "Group", "name": "devs"}, kind="ClusterRole")
    user = User("bob", "", ("devs",))
    assert rbac.allows(user, Attributes("list", "", "pods", namespace="n"))
    assert not rbac.allows(user, Attributes("list", "", "pods"))
    assert rbac.why(user, Attributes("list", "", "pods", namespace="n")) == (
        'RBAC: allowed by RoleBinding "b-view/n" of ClusterRole "view" to Group "devs"'
    )


@pytest.mark.parametrize(
    ("rule", "asked", "allowed"),
    [
        ({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}, Attributes("x", "g", "r", "s"), True),
        ({"verbs": ["get"], "apiGroups": [""], "resources": ["*/log"]}, Attributes("get", "", "pods", "log"), True),
        ({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}, Attributes("get", "apps", "pods"), False),
        (
            {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"]},
            Attributes("get", "", "pods", name="a"),
            True,
        ),
        (
            {"verbs": ["list"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"]},
            Attributes("list", "", "pods"),
            False,
        ),
        ({"verbs": ["get"], "nonResourceURLs": ["/healthz/*"]}, Attributes("get", path="/healthz/x"), True),
        ({"verbs": ["get"], "nonResourceURLs": ["/healthz"]}, Attributes("get", path="/healthz/x"), False),
    ],
)
def test_rules(rule: dict[str, Any], asked: Attributes, allowed: bool) -> None:
    store = Store()
    rbac = Rbac(store)
    role(store, "r", rule, namespace="")
    binding(store, "r", ANN_SUBJECT, kind="ClusterRole", namespace="")
    assert rbac.allows(ANN, asked) is allowed


def test_nobody_covers_more_than_they_hold() -> None:
    store = Store()
    rbac = Rbac(store)
    role(store, "r", READ_PODS)
    binding(store, "r", ANN_SUBJECT)
    assert rbac.covers(ANN, "n", [READ_PODS])
    assert not rbac.covers(ANN, "n", [{**READ_PODS, "verbs": ["get", "delete"]}])
    assert not rbac.covers(ANN, "n", [{**READ_PODS, "resources": ["*"]}])
    assert rbac.covers(User("root", "", (MASTERS,)), "n", [{**READ_PODS, "verbs": ["*"]}])


def test_tokens_are_read_from_lines() -> None:
    users = read_tokens('t1,ann,1,"devs,ops"\nt2,bob,2\n', "tokens.csv")
    assert users["t1"] == User("ann", "1", ("devs", "ops", AUTHENTICATED))
    assert users["t2"].groups == (AUTHENTICATED,)


def test_a_short_token_line_names_its_place() -> None:
    with pytest.raises(InputError, match=r"tokens.csv:2: error PH510"):
        read_tokens("t1,ann,1\nt2,bob\n", "tokens.csv")


def test_an_unknown_token_is_refused_and_none_is_anonymous() -> None:
    authenticator = Authenticator({"t": ANN})
    assert authenticator.of_headers({"authorization": "Bearer t"}) is ANN
    assert authenticator.of_headers({}).name == "system:anonymous"
    with pytest.raises(Unauthorized):
        authenticator.of_headers({"authorization": "Bearer other"})
