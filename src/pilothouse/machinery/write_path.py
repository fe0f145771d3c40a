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
from pilothouse.machinery import admission, applying, deletion, object_meta, refusals
from pilothouse.machinery.identities import Identities
from pilothouse.machinery.kind import Kind, Kinds
from pilothouse.store.memory import Store, Stored

Finish = applying.Finish

CONTROLLER_MANAGER = "kube-controller-manager"
"""The field manager of writers who name none: our own controllers."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a write of an object would complain about. unknown: field paths that would be dropped; causes: why it would
    be refused."""

    unknown: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = field(default=())


class WritePath:
    """Writes objects of `kinds` into `store`. `hooks` run in the given order on every create and update.

    managed_fields: keep `metadata.managedFields` on every write; worlds that nobody applies to leave it off. A write's
    `finish` tells who writes; it is called once defaults are filled, before admission changes anything.
    """

    def __init__(
        self,
        store: Store,
        kinds: Kinds,
        clock: Clock,
        entropy: Entropy,
        hooks: Sequence[admission.Hook] = (),
        *,
        managed_fields: bool = False,
    ) -> None:
        self.store = store
        self.kinds = kinds
        self._clock = clock
        self._identities = Identities(entropy)
        self._hooks = tuple(hooks)
        self._managed_fields = managed_fields
        self._second = -1
        self._second_text = ""

    # Create

    def create(
        self, kind_name: str, obj: Object, *, dry_run: bool = False, manager: str = "", finish: Finish | None = None
    ) -> Object:
        """Store a new object and give it as stored; namespaced objects without a namespace go to "default".

        manager: who owns its fields from now on; or `finish`, which works that out.
        Raises BadRequest, ForbiddenWrite, Invalid, AlreadyExists.
        """
        kind = self._kind(kind_name)
        body, causes = self._new_body(kind, obj, finish or self._finish(manager))
        if causes:
            raise refusals.invalid(kind, body["metadata"].get("name", ""), causes)
        metadata = body["metadata"]
        if self.store.get(kind.name, metadata.get("namespace", ""), metadata["name"]) is not None:
            raise refusals.already_exists(kind, metadata["name"])
        if kind.strategy.allocate is not None:
            body = kind.strategy.allocate(body, None, self._all_of(kind))
        return body if dry_run else self.store.put(kind.name, body).object

    def _finish(self, manager: str) -> Finish | None:
        """How an ordinary write by this manager keeps managedFields; None when this path keeps none."""
        return applying.finish(manager or CONTROLLER_MANAGER, self.now()) if self._managed_fields else None

    def _new_body(self, kind: Kind, obj: Object, finish: Finish | None = None) -> tuple[Object, list[Cause]]:
        found = Findings()
        if obj.__class__ is not dict:
            obj = self._as_object(kind, obj)
        body: Object = self._fitted(kind, self._without_status(kind, obj), found)
        metadata = self._new_metadata(kind, body.get("metadata") or {})
        body = {"apiVersion": kind.api_version, "kind": kind.kind, **body, "metadata": metadata}
        body = self._ruled(kind, body, None, finish)
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

    def replace(
        self,
        kind_name: str,
        obj: Object,
        *,
        subresource: str = "",
        dry_run: bool = False,
        manager: str = "",
        finish: Finish | None = None,
    ) -> Object:
        """Put the whole object in place of the stored one; with subresource "status" only its status.

        A resourceVersion or uid in the metadata must be the stored one. Raises NotFound, Conflict, Invalid, BadRequest.
        """
        kind = self._kind(kind_name)
        finish = finish or self._finish(manager)
        metadata = self._metadata(kind, obj)
        namespace = (metadata.get("namespace") or "default") if kind.namespaced else ""
        old = self.store.get(kind.name, namespace, metadata.get("name", ""))
        if old is None:
            if kind.strategy.create_on_replace and not subresource:
                return self.create(kind_name, obj, dry_run=dry_run, finish=finish)
            raise refusals.not_found(kind, metadata.get("name", ""))
        if not metadata.get("resourceVersion") and not kind.strategy.unconditional:
            cause = wording.invalid("metadata.resourceVersion", 0, "must be specified for an update")
            raise Invalid(kind.plural, metadata["name"], [cause], group=kind.group)
        self._same_version(kind, old, metadata)
        if subresource == "status":
            return self._put_status(kind, old, obj.get("status") or {}, dry_run, metadata, finish)
        if subresource in kind.strategy.parts:
            return self._put_part(kind, old, obj, subresource, dry_run, finish)
        if subresource:
            return self.patch(
                kind_name, namespace, metadata["name"], obj, subresource=subresource, dry_run=dry_run, finish=finish
            )
        return self._update(kind, old, obj, dry_run, finish)

    def patch(
        self,
        kind_name: str,
        namespace: str,
        name: str,
        patch: Any,
        *,
        patch_type: str = applying.MERGE,
        subresource: str = "",
        resource_version: str = "",
        dry_run: bool = False,
        manager: str = "",
        finish: Finish | None = None,
    ) -> Object:
        """Apply a patch. subresource: "" (all but status), "status", "scale" (spec.replicas) or "binding".

        patch_type: "merge" (RFC 7386), "strategic", or "json" (RFC 6902, a list of operations). Nothing is written when
        nothing differs. Raises NotFound, Conflict, Invalid, BadRequest, and a 422 or 500 where upstream answers so.
        """
        kind = self._kind(kind_name)
        old = self._existing(kind, namespace, name)
        if resource_version and resource_version != old.object["metadata"]["resourceVersion"]:
            raise refusals.conflict(kind, name)
        finish = finish or self._finish(manager)
        if subresource == "binding":
            return self._bind(kind, old, patch, dry_run)
        try:
            if patch_type == applying.MERGE and not ("kind" in patch or "apiVersion" in patch):
                return self._merge(kind, old, patch, subresource, dry_run, finish)
            return self._patch_whole(kind, old, patch, patch_type, subresource, dry_run, finish)
        except refusals.Undecodable as error:
            raise applying.unreadable(kind, old.object, patch, patch_type, error) from None

    def _merge(
        self, kind: Kind, old: Stored, patch: Any, subresource: str, dry_run: bool, finish: Finish | None
    ) -> Object:
        """A merge patch: only the parts that it speaks of are looked at."""
        metadata = self._metadata(kind, patch) if patch.__class__ is not dict or "metadata" in patch else {}
        if metadata:
            self._same_version(kind, old, {"resourceVersion": metadata.get("resourceVersion")})
        if subresource == "status":
            status = apply_merge_patch(old.object.get("status") or {}, patch.get("status") or {})
            asked = apply_merge_patch(old.object["metadata"], patch["metadata"]) if metadata else None
            return self._put_status(kind, old, status, dry_run, asked, finish)
        if subresource == "scale":
            return self._scale(kind, old, patch, dry_run, finish)
        if subresource:
            raise refusals.not_found(kind, f"{old.object['metadata']['name']}/{subresource}")
        return self._update(kind, old, apply_merge_patch(old.object, patch), dry_run, finish)

    def _patch_whole(
        self,
        kind: Kind,
        old: Stored,
        patch: Any,
        patch_type: str,
        subresource: str,
        dry_run: bool,
        finish: Finish | None,
    ) -> Object:
        """A patch that needs the whole object to find its places."""
        before = old.object
        if subresource == "scale":
            scale = {"spec": {"replicas": (before.get("spec") or {}).get("replicas", 0)}}
            return self._scale(kind, old, applying.scale_patched(scale, patch, patch_type), dry_run, finish)
        new = applying.patched(kind, before, patch, patch_type)
        if new is before:
            return before
        refusals.demand_kind(kind, new, self.kinds)
        metadata = self._metadata(kind, new)
        self._same_version(kind, old, {"resourceVersion": metadata.get("resourceVersion")})
        if subresource == "status":
            return self._put_status(kind, old, new.get("status") or {}, dry_run, metadata, finish)
        if subresource:
            raise refusals.not_found(kind, f"{before['metadata']['name']}/{subresource}")
        return self._update(kind, old, new, dry_run, finish)

    def apply(
        self,
        kind_name: str,
        namespace: str,
        name: str,
        manifest: Any,
        *,
        manager: str,
        force: bool = False,
        dry_run: bool = False,
        subresource: str = "",
    ) -> Object:
        """Server-side apply: lay the manifest over the stored object in the manager's name; create it when absent.

        The stored object itself comes back when neither it nor its owners change. Raises Conflict with a cause for each
        field that others own (unless `force`), BadRequest, Invalid, and a 500 when the manifest does not fit the
        schema.
        """
        kind = self._kind(kind_name)
        namespace = namespace if kind.namespaced else ""
        config = applying.demand_config(kind, namespace, name, manifest, manager, subresource)
        old = self.store.get(kind.name, namespace, name)
        if old is None:
            if subresource:
                raise refusals.not_found(kind, name)
            return self._apply_new(kind, namespace, name, config, manager, dry_run)
        who = applying.writer(kind, manager, self.now(), subresource)
        if subresource == "scale":
            replicas, entries = applying.scale_applied(kind, old.object, config, who, force)
            return self._scale(kind, old, {"spec": {"replicas": replicas}}, dry_run, applying.finish_with(entries))
        new, entries = applying.applied(kind, old.object, config, who, force=force)
        metadata = new["metadata"]
        self._same_version(kind, old, metadata)
        if new is old.object:
            return self._commit(kind, old, applying.with_entries(new, entries), dry_run)
        finish = applying.finish_with(entries)
        if subresource == "status":
            return self._put_status(kind, old, new.get("status") or {}, dry_run, metadata, finish)
        if subresource:
            raise refusals.not_found(kind, f"{name}/{subresource}")
        return self._update(kind, old, new, dry_run, finish)

    def _apply_new(self, kind: Kind, namespace: str, name: str, config: Object, manager: str, dry_run: bool) -> Object:
        new, entries = applying.applied(kind, {}, config, applying.writer(kind, manager, self.now()))
        metadata = new.get("metadata") or {}
        if not metadata.get("name"):
            raise BadRequest(f"the name of the object ({name} based on URL) was undeterminable: name must be provided")
        if metadata.get("uid"):
            raise refusals.conflict(kind, name, refusals.uid_of_nothing(metadata["uid"]))
        placed = {**metadata, "namespace": namespace} if kind.namespaced else metadata
        made = {**new, "metadata": placed}
        return self.create(kind.name, made, dry_run=dry_run, finish=applying.finish_with(entries))

    def put_status(self, kind_name: str, namespace: str, name: str, status: Mapping[str, Any]) -> Object:
        """Replace the status as a whole; nothing is written when it equals the stored one."""
        kind = self._kind(kind_name)
        old = self._existing(kind, namespace, name)
        return self._put_status(kind, old, status, False, None, self._finish(""))

    def _update(
        self,
        kind: Kind,
        old: Stored,
        proposed: Object,
        dry_run: bool,
        finish: Finish | None = None,
        subresource: str = "",
    ) -> Object:
        before = old.object
        if proposed is before and finish is None:
            return before
        found = Findings()
        body: dict[str, Any] = self._fitted(kind, self._without_status(kind, proposed), found, before)
        if kind.strategy.status:
            body.pop("status", None)
            if "status" in before:
                body["status"] = before["status"]
        body["apiVersion"], body["kind"] = kind.api_version, kind.kind
        metadata, causes = object_meta.on_update(body.get("metadata") or {}, before["metadata"])
        body["metadata"] = metadata
        ruled = self._ruled(kind, body, before, finish, subresource)
        if kind.strategy.allocate is not None:
            ruled = kind.strategy.allocate(ruled, before, self._all_of(kind))
        causes += self._causes(kind, ruled, before, found)
        if causes:
            raise refusals.invalid(kind, metadata["name"], causes)
        return self._commit(kind, old, ruled, dry_run)

    def _put_part(
        self, kind: Kind, old: Stored, sent: Object, subresource: str, dry_run: bool, finish: Finish | None
    ) -> Object:
        """A subresource of the kind's own that writes a part of the object."""
        before = old.object
        body, causes = kind.strategy.parts[subresource](sent, before)
        if causes:
            raise refusals.invalid(kind, before["metadata"]["name"], causes)
        if finish is not None:
            body = finish(kind, body, before, subresource)
        for hook in self._hooks:
            body = hook(admission.Request(admission.UPDATE, kind, body, before, subresource), self.store)
        return self._commit(kind, old, body, dry_run)

    def _commit(self, kind: Kind, old: Stored, body: Object, dry_run: bool, *, counted: bool = True) -> Object:
        """Store what differs; counted: a change of the specification raises the generation."""
        before = old.object
        if body == before or ("managedFields" in body["metadata"] and applying.only_times_differ(body, before)):
            return before
        if counted and kind.strategy.generation and _specification(body) != _specification(before):
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
        finish: Finish | None = None,
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
        if finish is not None:
            body = finish(kind, body, before, "status")
            if body is not before and applying.only_times_differ(body, before):
                return before
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

    def _scale(
        self, kind: Kind, old: Stored, patch: Mapping[str, Any], dry_run: bool, finish: Finish | None = None
    ) -> Object:
        name = old.object["metadata"]["name"]
        if not kind.strategy.scale:
            raise refusals.not_found(kind, f"{name}/scale")
        spec = patch.get("spec")
        replicas = spec.get("replicas", 0) if isinstance(spec, Mapping) else None
        if replicas.__class__ is not int or replicas < 0:
            raise refusals.bad_scale(kind, name, replicas)
        scaled = apply_merge_patch(old.object, {"spec": {"replicas": replicas}})
        if scaled is old.object and finish is not None:
            return self._commit(kind, old, finish(kind, scaled, scaled, "scale"), dry_run)
        return self._update(kind, old, scaled, dry_run, finish, "scale")

    def _bind(self, kind: Kind, old: Stored, binding: Mapping[str, Any], dry_run: bool) -> Object:
        name = old.object["metadata"]["name"]
        if kind.strategy.bind is None:
            raise refusals.not_found(kind, f"{name}/binding")
        bound = kind.strategy.bind(old.object, binding, self.now())
        return self._commit(kind, old, bound, dry_run, counted=False)

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
            gone = old.object
            return {**gone, "metadata": {**gone["metadata"], "resourceVersion": str(self.store.revision)}}
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

    def _fitted(self, kind: Kind, obj: Object, found: Findings, stored: Object | None = None) -> dict[str, Any]:
        fitted = kind.schema.load().fit(obj, found, stored)
        if found.decoding:
            self._refuse_undecodable(kind, found)
        return fitted

    @staticmethod
    def _refuse_undecodable(kind: Kind, found: Findings) -> None:
        error = kind.schema.load().decoding_error(found)
        if error:
            raise refusals.undecodable(kind, error)

    def _ruled(
        self, kind: Kind, body: Object, old: Object | None, finish: Finish | None = None, subresource: str = ""
    ) -> Object:
        """Defaults, ownership, preparation and admission, in the API server's order."""
        body = kind.default(body)
        if finish is not None:
            body = finish(kind, body, old, subresource)
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
