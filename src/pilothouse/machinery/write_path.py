"""The one way in: every create, update and delete, whoever asks (kubectl, controllers, scenarios, GitOps) and in both
worlds.

    fit to the schema → default → admit → validate → metadata and version rules → commit

It never waits; the client's `await` leaves room for a store on disk. Only this module calls `Store.put` and
`Store.remove`. Source of the rules: Kubernetes 1.36 apiserver `registry/generic/registry/store.go`,
`registry/rest/{create,update,delete}.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.clock import Clock, rfc3339
from pilothouse.base.entropy import Entropy
from pilothouse.base.errors import BadRequest, Cause, Invalid
from pilothouse.engines.apply.merge_patch import apply_merge_patch
from pilothouse.engines.schema import wording
from pilothouse.engines.schema.structure import Findings
from pilothouse.machinery import admission, deletion, object_meta, refusals
from pilothouse.machinery.identities import Identities
from pilothouse.machinery.kind import Kind, Kinds
from pilothouse.store.memory import Store, Stored


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a write of an object would complain about. unknown: field paths that would be dropped; causes: why it would
    be refused."""

    unknown: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = field(default=())


class WritePath:
    """Writes objects of `kinds` into `store`. `hooks` run in the given order on every create and update."""

    def __init__(
        self, store: Store, kinds: Kinds, clock: Clock, entropy: Entropy, hooks: Sequence[admission.Hook] = ()
    ) -> None:
        self.store = store
        self.kinds = kinds
        self._clock = clock
        self._identities = Identities(entropy)
        self._hooks = tuple(hooks)
        self._second = -1
        self._second_text = ""

    # Create

    def create(self, kind_name: str, obj: Object, *, dry_run: bool = False) -> Object:
        """Store a new object and give it as stored; namespaced objects without a namespace go to "default".

        Raises BadRequest, ForbiddenWrite, Invalid, AlreadyExists.
        """
        kind = self._kind(kind_name)
        body, causes = self._new_body(kind, obj)
        if causes:
            raise refusals.invalid(kind, body["metadata"].get("name", ""), causes)
        metadata = body["metadata"]
        if self.store.get(kind.name, metadata.get("namespace", ""), metadata["name"]) is not None:
            raise refusals.already_exists(kind, metadata["name"])
        if kind.strategy.allocate is not None:
            body = kind.strategy.allocate(body, None, self._all_of(kind))
        return body if dry_run else self.store.put(kind.name, body).object

    def _new_body(self, kind: Kind, obj: Object) -> tuple[Object, list[Cause]]:
        found = Findings()
        if obj.__class__ is not dict:
            obj = self._as_object(kind, obj)
        body: Object = self._fitted(kind, self._without_status(kind, obj), found)
        metadata = self._new_metadata(kind, body.get("metadata") or {})
        body = {"apiVersion": kind.api_version, "kind": kind.kind, **body, "metadata": metadata}
        body = self._ruled(kind, body, None)
        causes = object_meta.causes_on_create(body["metadata"], kind)
        return body, causes + self._causes(kind, body, None, found)

    def _new_metadata(self, kind: Kind, given: Mapping[str, Any]) -> dict[str, Any]:
        metadata = {
            k: v for k, v in given.items() if k not in ("resourceVersion", "uid", "deletionTimestamp", "selfLink")
        }
        if not kind.namespaced:
            metadata.pop("namespace", None)
        elif not metadata.get("namespace"):
            metadata["namespace"] = "default"
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = self._free_name(kind, metadata.get("namespace", ""), metadata["generateName"])
        metadata["uid"] = self._identities.uid()
        metadata["creationTimestamp"] = self.now()
        if kind.strategy.generation:
            metadata["generation"] = 1
        else:
            metadata.pop("generation", None)
        return metadata

    def _free_name(self, kind: Kind, namespace: str, prefix: str) -> str:
        """A generated name, drawn again while it is taken: eight times in all, as since Kubernetes 1.30."""
        name = ""
        for _ in range(object_meta.GENERATED_TRIES):
            name = object_meta.generated_name(prefix, self._identities.suffix())
            if self.store.get(kind.name, namespace, name) is None:
                break
        return name

    # Update

    def replace(self, kind_name: str, obj: Object, *, subresource: str = "", dry_run: bool = False) -> Object:
        """Put the whole object in place of the stored one; with subresource "status" only its status.

        A resourceVersion or uid in the metadata must be the stored one. Raises NotFound, Conflict, Invalid, BadRequest.
        """
        kind = self._kind(kind_name)
        metadata = self._metadata(kind, obj)
        namespace = (metadata.get("namespace") or "default") if kind.namespaced else ""
        old = self.store.get(kind.name, namespace, metadata.get("name", ""))
        if old is None:
            if kind.strategy.create_on_replace and not subresource:
                return self.create(kind_name, obj, dry_run=dry_run)
            raise refusals.not_found(kind, metadata.get("name", ""))
        if not metadata.get("resourceVersion") and not kind.strategy.unconditional:
            cause = wording.invalid("metadata.resourceVersion", 0, "must be specified for an update")
            raise Invalid(kind.resource, metadata["name"], [cause])
        self._same_version(kind, old, metadata)
        if subresource == "status":
            return self._put_status(kind, old, obj.get("status") or {}, dry_run, metadata)
        if subresource:
            return self.patch(kind_name, namespace, metadata["name"], obj, subresource=subresource, dry_run=dry_run)
        return self._update(kind, old, obj, dry_run)

    def patch(
        self,
        kind_name: str,
        namespace: str,
        name: str,
        patch: Mapping[str, Any],
        *,
        subresource: str = "",
        resource_version: str = "",
        dry_run: bool = False,
    ) -> Object:
        """Apply a JSON merge patch. subresource: "" (all but status), "status", "scale" (spec.replicas) or "binding".

        Nothing is written when nothing differs. Raises NotFound, Conflict, Invalid, BadRequest.
        """
        kind = self._kind(kind_name)
        old = self._existing(kind, namespace, name)
        if resource_version and resource_version != old.object["metadata"]["resourceVersion"]:
            raise refusals.conflict(kind, name)
        metadata = self._metadata(kind, patch) if patch.__class__ is not dict or "metadata" in patch else {}
        if metadata:
            self._same_version(kind, old, {"resourceVersion": metadata.get("resourceVersion")})
        if subresource == "status":
            status = apply_merge_patch(old.object.get("status") or {}, patch.get("status") or {})
            asked = apply_merge_patch(old.object["metadata"], patch["metadata"]) if metadata else None
            return self._put_status(kind, old, status, dry_run, asked)
        if subresource == "scale":
            return self._scale(kind, old, patch, dry_run)
        if subresource == "binding":
            return self._bind(kind, old, patch, dry_run)
        if subresource:
            raise refusals.not_found(kind, f"{name}/{subresource}")
        return self._update(kind, old, apply_merge_patch(old.object, patch), dry_run)

    def put_status(self, kind_name: str, namespace: str, name: str, status: Mapping[str, Any]) -> Object:
        """Replace the status as a whole; nothing is written when it equals the stored one."""
        kind = self._kind(kind_name)
        return self._put_status(kind, self._existing(kind, namespace, name), status, False)

    def _update(self, kind: Kind, old: Stored, proposed: Object, dry_run: bool) -> Object:
        before = old.object
        if proposed is before:
            return before
        found = Findings()
        body: dict[str, Any] = self._fitted(kind, self._without_status(kind, proposed), found)
        if kind.strategy.status:
            body.pop("status", None)
            if "status" in before:
                body["status"] = before["status"]
        body["apiVersion"], body["kind"] = kind.api_version, kind.kind
        metadata, causes = object_meta.on_update(body.get("metadata") or {}, before["metadata"])
        body["metadata"] = metadata
        ruled = self._ruled(kind, body, before)
        if kind.strategy.allocate is not None:
            ruled = kind.strategy.allocate(ruled, before, self._all_of(kind))
        causes += self._causes(kind, ruled, before, found)
        if causes:
            raise refusals.invalid(kind, metadata["name"], causes)
        return self._commit(kind, old, ruled, dry_run)

    def _commit(self, kind: Kind, old: Stored, body: Object, dry_run: bool) -> Object:
        before = old.object
        if body == before:
            return before
        if kind.strategy.generation and _specification(body) != _specification(before):
            generation = before["metadata"].get("generation", 0) + 1
            body = {**body, "metadata": {**body["metadata"], "generation": generation}}
        if dry_run:
            return body
        metadata = body["metadata"]
        if deletion.is_over(kind, body):
            self.store.remove(kind.name, metadata.get("namespace", ""), metadata["name"])
            return body
        return self.store.put(kind.name, body).object

    def _put_status(
        self,
        kind: Kind,
        old: Stored,
        status: Mapping[str, Any],
        dry_run: bool,
        asked: Mapping[str, Any] | None = None,
    ) -> Object:
        """Store a new status; `asked`: metadata that came with it, of which some kinds take labels and annotations."""
        if not kind.strategy.status:
            raise refusals.not_found(kind, f"{old.object['metadata']['name']}/status")
        before = old.object
        body = before
        if asked is not None and kind.strategy.status_writes_labels:
            body = self._with_labels(kind, before, asked)
        stored = before.get("status")
        if status != stored:
            fitted = self._fitted_status(kind, before, status)
            if kind.strategy.prepare_status is not None:
                fitted = kind.strategy.prepare_status(fitted, before)
            if fitted != stored:
                body = {**body, "status": fitted}
        if body is before:
            return before
        for hook in self._hooks:
            body = hook(admission.Request(admission.UPDATE, kind, body, before, "status"), self.store)
        return body if dry_run else self.store.put(kind.name, body).object

    def _fitted_status(self, kind: Kind, before: Object, status: Mapping[str, Any]) -> Any:
        schema, found = kind.schema.load(), Findings()
        fitted = schema.fit_status(status, before.get("status"), found)
        if found or schema.custom is not None:
            self._refuse_undecodable(kind, found)
            causes = found.causes + schema.causes({**before, "status": fitted})
            if causes:
                raise refusals.invalid(kind, before["metadata"]["name"], causes)
        return fitted

    @staticmethod
    def _with_labels(kind: Kind, before: Object, asked: Mapping[str, Any]) -> Object:
        taken = {field: asked[field] for field in ("labels", "annotations") if asked.get(field)}
        kept = {k: v for k, v in before["metadata"].items() if k not in ("labels", "annotations")}
        metadata, causes = object_meta.on_update({**kept, **taken}, before["metadata"])
        if causes:
            raise refusals.invalid(kind, metadata["name"], causes)
        return before if metadata == before["metadata"] else {**before, "metadata": metadata}

    def _scale(self, kind: Kind, old: Stored, patch: Mapping[str, Any], dry_run: bool) -> Object:
        name = old.object["metadata"]["name"]
        if not kind.strategy.scale:
            raise refusals.not_found(kind, f"{name}/scale")
        spec = patch.get("spec")
        replicas = spec.get("replicas", 0) if isinstance(spec, Mapping) else None
        if replicas.__class__ is not int or replicas < 0:
            raise refusals.bad_scale(kind, name, replicas)
        return self._update(kind, old, apply_merge_patch(old.object, {"spec": {"replicas": replicas}}), dry_run)

    def _bind(self, kind: Kind, old: Stored, binding: Mapping[str, Any], dry_run: bool) -> Object:
        name = old.object["metadata"]["name"]
        if kind.strategy.bind is None:
            raise refusals.not_found(kind, f"{name}/binding")
        return self._commit(kind, old, kind.strategy.bind(old.object, binding, self.now()), dry_run)

    # Delete

    def delete(
        self,
        kind_name: str,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        resource_version: str = "",
        grace_s: int | None = None,
        propagation: str = "Background",
        dry_run: bool = False,
    ) -> Object:
        """Delete, or begin to: grace periods and finalizers keep the object until they are over. Gives its last form.

        propagation: Background, Foreground or Orphan. Raises NotFound, Conflict, BadRequest.
        """
        kind = self._kind(kind_name)
        old = self._existing(kind, namespace, name)
        metadata = old.object["metadata"]
        if uid and uid != metadata["uid"]:
            why = (
                f"the UID in the precondition ({uid}) does not match the UID in record ({metadata['uid']}). The "
                f"object might "
                "have been deleted and then recreated"
            )
            raise refusals.conflict(kind, name, why)
        if resource_version and resource_version != metadata["resourceVersion"]:
            why = (
                f"the ResourceVersion in the precondition ({resource_version}) does not match the ResourceVersion "
                f"in record "
                f"({metadata['resourceVersion']}). The object might have been modified"
            )
            raise refusals.conflict(kind, name, why)
        plan = deletion.plan(kind, old.object, grace_s, propagation, self._clock.time())
        if dry_run:
            return plan.object
        if plan.marked:
            old = self.store.put(kind.name, plan.object)
        if plan.removed:
            self.store.remove(kind.name, namespace, name)
        return old.object

    # Asking

    def inspect(self, kind_name: str, obj: Object) -> Inspection:
        """What creating this object would say about its fields, without looking at other objects or writing."""
        kind = self._kind(kind_name)
        found = Findings()
        try:
            self._fitted(kind, obj, found)
            _body, causes = self._new_body(kind, obj)
        except Invalid as refusal:
            causes = refusal.causes
        except BadRequest:
            causes = [
                Cause("FieldValueTypeInvalid", text.replace("{field}", "field"), wording.path_text(path))
                for path, text in found.decoding
            ]
        return Inspection(tuple(wording.path_text(path) for path in found.unknown), tuple(causes))

    def now(self) -> str:
        """The current second in RFC 3339."""
        second = int(self._clock.time() // 1)
        if second != self._second:
            self._second, self._second_text = second, rfc3339(second)
        return self._second_text

    # Parts

    def _kind(self, name: str) -> Kind:
        kind = self.kinds.get(name)
        if kind is None:
            raise BadRequest(f'no kind "{name}" is registered')
        return kind

    def _existing(self, kind: Kind, namespace: str, name: str) -> Stored:
        stored = self.store.get(kind.name, namespace, name)
        if stored is None:
            raise refusals.not_found(kind, name)
        return stored

    def _metadata(self, kind: Kind, obj: Any) -> Mapping[str, Any]:
        """The metadata that came with a request, {} when none did; BadRequest when it cannot be metadata."""
        metadata = self._as_object(kind, obj).get("metadata")
        if metadata is None or metadata == {}:
            return {}
        found = Findings()
        fitted: Mapping[str, Any] = kind.schema.load().fit_field("metadata", metadata, found)
        self._refuse_undecodable(kind, found)
        return fitted or {}

    @staticmethod
    def _as_object(kind: Kind, obj: Any) -> Object:
        if isinstance(obj, Mapping):
            return dict(obj)
        raise refusals.undecodable(kind, f"json: cannot unmarshal it into Go value of type {kind.version}.{kind.kind}")

    def _all_of(self, kind: Kind) -> Callable[[], Iterable[Object]]:
        return lambda: (stored.object for stored in self.store.list(kind.name))

    def _same_version(self, kind: Kind, old: Stored, metadata: Mapping[str, Any]) -> None:
        stored, name = old.object["metadata"], old.object["metadata"]["name"]
        if metadata.get("resourceVersion") and metadata["resourceVersion"] != stored["resourceVersion"]:
            raise refusals.conflict(kind, name)
        if metadata.get("uid") and metadata["uid"] != stored["uid"]:
            where = (
                f"/registry/{kind.plural}/{stored['namespace']}/{name}"
                if kind.namespaced
                else f"/registry/{kind.plural}/{name}"
            )
            why = (
                f"StorageError: invalid object, Code: 4, Key: {where}, ResourceVersion: 0, AdditionalErrorMsg: "
                f"Precondition failed: "
                f"UID in precondition: {metadata['uid']}, UID in object meta: {stored['uid']}"
            )
            raise refusals.conflict(kind, name, why)

    @staticmethod
    def _without_status(kind: Kind, obj: Object) -> Object:
        if kind.strategy.status and "status" in obj:
            return {key: value for key, value in obj.items() if key != "status"}
        return obj

    def _fitted(self, kind: Kind, obj: Object, found: Findings) -> dict[str, Any]:
        fitted = kind.schema.load().fit(obj, found)
        if found.decoding:
            self._refuse_undecodable(kind, found)
        return fitted

    @staticmethod
    def _refuse_undecodable(kind: Kind, found: Findings) -> None:
        error = kind.schema.load().decoding_error(found)
        if error:
            raise refusals.undecodable(kind, error)

    def _ruled(self, kind: Kind, body: Object, old: Object | None) -> Object:
        """Defaults, preparation and admission."""
        body = kind.default(body)
        if kind.strategy.prepare is not None:
            body = kind.strategy.prepare(body, old)
        operation = admission.CREATE if old is None else admission.UPDATE
        for hook in self._hooks:
            body = hook(admission.Request(operation, kind, body, old), self.store)
        return body

    @staticmethod
    def _causes(kind: Kind, body: Object, old: Object | None, found: Findings) -> list[Cause]:
        """Schema and kind together; where both speak of one field, the kind's own wording stands."""
        own = kind.validate(body, old)
        schema = kind.schema.load()
        if schema.custom is not None:
            own = schema.causes(body) + own
        if found.causes:
            spoken = {cause.field for cause in own}
            own = [cause for cause in found.causes if cause.field not in spoken] + own
        return own


def _specification(obj: Object) -> dict[str, Any]:
    """What a generation counts: everything but metadata and status."""
    return {key: value for key, value in obj.items() if key not in ("metadata", "status")}
