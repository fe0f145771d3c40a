"""Events as stored objects: what controllers record becomes an Event that clients list and watch."""

from __future__ import annotations

from pilothouse.base.errors import ApiError
from pilothouse.machinery.events import Event
from pilothouse.machinery.write_path import WritePath

_KIND = "Event"


class StoredEvents:
    """Writes every recorded event; one that is said again counts up in place."""

    def __init__(self, write_path: WritePath) -> None:
        self._write_path = write_path

    def write(self, event: Event) -> None:
        """For `EventRecorder.subscribe`. An event that cannot be written (its namespace goes away) is left out."""
        made = event.to_object()
        metadata = {key: made["metadata"][key] for key in ("name", "namespace")}
        try:
            stored = self._write_path.store.get(_KIND, metadata["namespace"], metadata["name"])
            if stored is None:
                self._write_path.create(_KIND, {**made, "metadata": metadata}, manager=event.component)
            else:
                body = {**made, "metadata": stored.object["metadata"]}
                self._write_path.replace(_KIND, body, manager=event.component)
        except ApiError:
            return
