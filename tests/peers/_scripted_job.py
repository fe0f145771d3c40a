"""How the pods of scripted jobs end: `peer/duration` and `peer/exit` of their annotations.

`peer/exit` is a list of exit codes (the i-th pod that ends takes the i-th, the last one repeats) or a map from
completion index (`*` for the others) to such a list; a negative code is a disruption: Failed, with DisruptionTarget.
"""

from __future__ import annotations

import json
from typing import Any

from pilothouse.base.actions import Object
from pilothouse.base.clock import rfc3339
from pilothouse.kinds.batch.job.views import INDEX


class Script:
    """Counts the pods that have ended, by owner and index: the exit code depends on it."""

    def __init__(self) -> None:
        self._ended: dict[tuple[str, str], int] = {}

    @staticmethod
    def duration_s(pod: Object) -> float | None:
        """Seconds of work; None: for ever."""
        text = pod["metadata"]["annotations"]["peer/duration"]
        return None if text == "forever" else float(text)

    def ended(self, pod: Object, now_s: float) -> Object:
        """The patch of the status of a pod that ends now."""
        code = self._next_code(pod)
        now = rfc3339(now_s)
        conditions = [{"type": "Ready", "status": "False", "lastTransitionTime": now}]
        if code < 0:
            conditions.append({"type": "DisruptionTarget", "status": "True", "lastTransitionTime": now})
        terminated = {"exitCode": abs(code), "finishedAt": now}
        names = [container["name"] for container in pod["spec"]["containers"]]
        statuses = [{"name": name, "ready": False, "state": {"terminated": terminated}} for name in names]
        phase = "Succeeded" if code == 0 else "Failed"
        return {"status": {"phase": phase, "conditions": conditions, "containerStatuses": _complete(statuses)}}

    def _next_code(self, pod: Object) -> int:
        annotations = pod["metadata"]["annotations"]
        owner, index = pod["metadata"]["ownerReferences"][0]["uid"], annotations.get(INDEX, "")
        codes: Any = json.loads(annotations["peer/exit"])
        if isinstance(codes, dict):
            codes = codes.get(index, codes.get("*"))
        else:
            index = ""
        at = self._ended.get((owner, index), 0)
        self._ended[(owner, index)] = at + 1
        return int(codes[min(at, len(codes) - 1)])


def _complete(statuses: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"image": "job:v1", "imageID": "", "restartCount": 0, **status} for status in statuses]
