"""Who may do what: RBAC over the roles and bindings in the store (apiserver 1.36 `plugin/pkg/auth/authorizer/rbac`).

Reads the store only. Rules of a subject are gathered once and kept until a role or binding changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.machinery.authn import MASTERS, User
from pilothouse.store.memory import Store

GROUP = "rbac.authorization.k8s.io"
ROLE, CLUSTER_ROLE = f"{GROUP}/Role", f"{GROUP}/ClusterRole"
ROLE_BINDING, CLUSTER_ROLE_BINDING = f"{GROUP}/RoleBinding", f"{GROUP}/ClusterRoleBinding"

Rule = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Attributes:
    """One thing somebody wants to do. path: set for requests that name no resource."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


class Rbac:
    """Decides by the roles and bindings of `store`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changes = store.watch(ROLE, CLUSTER_ROLE, ROLE_BINDING, CLUSTER_ROLE_BINDING)
        self._rules: dict[tuple[str, tuple[str, ...], str], list[tuple[Rule, str]]] = {}

    def allows(self, user: User, asked: Attributes) -> bool:
        """True when the user may do it; members of system:masters always may."""
        return MASTERS in user.groups or self.why(user, asked) is not None

    def why(self, user: User, asked: Attributes) -> str | None:
        """The sentence that names the binding which allows it, or None."""
        for rule, reason in self.rules_with_reasons(user, asked.namespace):
            if rule_allows(rule, asked):
                return reason
        return None

    def rules(self, user: User, namespace: str) -> list[Rule]:
        """Every rule that holds for the user in a namespace, cluster-wide ones first."""
        return [rule for rule, _reason in self.rules_with_reasons(user, namespace)]

    def rules_with_reasons(self, user: User, namespace: str) -> list[tuple[Rule, str]]:
        """Every rule with the sentence upstream gives as a reason."""
        if self._changes.take():
            self._rules.clear()
        key = (user.name, user.groups, namespace)
        known = self._rules.get(key)
        if known is None:
            if len(self._rules) > 1_000:
                self._rules.clear()
            known = self._rules[key] = [*self._gather(user, namespace)]
        return known

    def _gather(self, user: User, namespace: str) -> Iterator[tuple[Rule, str]]:
        for stored in self._store.list(CLUSTER_ROLE_BINDING):
            subject = _subject_of(stored.object, user, "")
            if subject:
                yield from self._bound(stored.object, "ClusterRoleBinding", subject, "")
        if not namespace:
            return
        for stored in self._store.list(ROLE_BINDING, namespace):
            subject = _subject_of(stored.object, user, namespace)
            if subject:
                yield from self._bound(stored.object, "RoleBinding", subject, namespace)

    def _bound(self, binding: Object, kind: str, subject: str, namespace: str) -> Iterator[tuple[Rule, str]]:
        reference = binding["roleRef"]
        metadata = binding["metadata"]
        shown = f"{metadata['name']}/{namespace}" if namespace else metadata["name"]
        reason = f'RBAC: allowed by {kind} "{shown}" of {reference["kind"]} "{reference["name"]}" to {subject}'
        for rule in self.role_rules(reference, namespace):
            yield rule, reason

    def role_rules(self, reference: Mapping[str, Any], namespace: str) -> list[Rule]:
        """The rules of the role a binding names; none when it does not exist."""
        if reference.get("kind") == "ClusterRole":
            stored = self._store.get(CLUSTER_ROLE, "", reference["name"])
        else:
            stored = self._store.get(ROLE, namespace, reference["name"])
        return [] if stored is None else stored.object.get("rules") or []

    def covers(self, user: User, namespace: str, wanted: list[Rule]) -> bool:
        """True when the user holds every right that `wanted` gives (escalation prevention)."""
        if MASTERS in user.groups:
            return True
        held = self.rules(user, namespace)
        return all(any(_rule_covers(own, one) for own in held) for rule in wanted for one in breakdown(rule))


def _subject_of(binding: Object, user: User, namespace: str) -> str:
    """How upstream names the subject through which a binding reaches the user; "" when it does not."""
    for subject in binding.get("subjects") or ():
        kind, name = subject.get("kind"), subject.get("name", "")
        if kind == "User" and name == user.name:
            return f'User "{name}"'
        if kind == "Group" and name in user.groups:
            return f'Group "{name}"'
        if kind == "ServiceAccount":
            where = subject.get("namespace") or namespace
            if user.name == f"system:serviceaccount:{where}:{name}":
                return f'ServiceAccount "{name}/{where}"'
    return ""


def rule_allows(rule: Rule, asked: Attributes) -> bool:
    """Does one rule allow it (`RuleAllows`)?"""
    verbs = rule.get("verbs") or ()
    if asked.verb not in verbs and "*" not in verbs:
        return False
    if asked.path:
        return any(_path_matches(pattern, asked.path) for pattern in rule.get("nonResourceURLs") or ())
    groups = rule.get("apiGroups") or ()
    if asked.group not in groups and "*" not in groups:
        return False
    if not _resource_matches(rule.get("resources") or (), asked.resource, asked.subresource):
        return False
    names = rule.get("resourceNames")
    return not names or asked.name in names


def _path_matches(pattern: str, path: str) -> bool:
    return pattern in ("*", path) or (pattern.endswith("*") and path.startswith(pattern.rstrip("*")))


def _resource_matches(listed: Any, resource: str, subresource: str) -> bool:
    full = f"{resource}/{subresource}" if subresource else resource
    return full in listed or "*" in listed or bool(subresource and f"*/{subresource}" in listed)


def breakdown(rule: Rule) -> Iterator[dict[str, Any]]:
    """A rule as single rights: one verb, one group, one resource, one name each."""
    for verb in rule.get("verbs") or ():
        for url in rule.get("nonResourceURLs") or ():
            yield {"verbs": [verb], "nonResourceURLs": [url]}
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                one = {"verbs": [verb], "apiGroups": [group], "resources": [resource]}
                names = rule.get("resourceNames") or ()
                if names:
                    for name in names:
                        yield {**one, "resourceNames": [name]}
                else:
                    yield one


def _rule_covers(own: Rule, one: Rule) -> bool:
    def holds(field: str, match: Callable[[str, Any], bool]) -> bool:
        mine = own.get(field) or ()
        return all("*" in mine or match(value, mine) for value in one.get(field) or ())

    if not holds("verbs", lambda value, mine: value in mine):
        return False
    if one.get("nonResourceURLs"):
        mine = own.get("nonResourceURLs") or ()
        return all(any(_path_matches(pattern, url) for pattern in mine) for url in one["nonResourceURLs"])
    if not holds("apiGroups", lambda value, mine: value in mine):
        return False
    for resource in one.get("resources") or ():
        name, _, sub = resource.partition("/")
        if not _resource_matches(own.get("resources") or (), name, sub):
            return False
    names = own.get("resourceNames")
    if not names:
        return True
    wanted = one.get("resourceNames") or ()
    return bool(wanted) and all(name in names for name in wanted)
