"""Every limit has a name, a value and a reason. Nothing here is tuned by feel without saying so."""

from __future__ import annotations

EVENTS_PER_VIRTUAL_SECOND = 2_000_000
"""A loop that runs more callbacks than this without a virtual second passing is a livelock; 100,000 pods created in one
second need about 1,000,000."""

WATCH_HISTORY = 4_096
"""Changes kept per store for watches that resume; beyond it they get 410 Gone and list again."""

LATENCY_SERIES_PER_POD_UP_TO = 20_000
"""Above this many pods a rehearsal keeps latency histograms per service and version instead of per pod."""

RECONCILE_BACKOFF_BASE_S = 0.005
RECONCILE_BACKOFF_MAX_S = 1000.0
"""client-go's default item back-off: 5 ms doubling to 1000 s."""

EVENTS_KEPT = 20_000
"""Events kept in memory per run, oldest dropped first; the report reads its own record and loses nothing."""

YAML_DOCUMENT_BYTES = 3 * 1024 * 1024
"""One document; the API server's own limit for a request body."""

YAML_DEPTH = 100
"""Nesting depth of one document; deeper input is hostile or broken."""

YAML_VALUES = 1_000_000
"""Values of one document after its aliases are written out. The largest document the API takes (3 MiB) has fewer when
written by hand; more means an anchor multiplied through aliases."""

MANIFEST_FILE_BYTES = 64 * 1024 * 1024
"""One file of many documents: a dump of a cluster with 20,000 pods has this size."""

MANIFEST_FILES = 20_000
"""Files read below the given paths; more means that somebody pointed at a home directory."""

FINDINGS_PER_FILE = 50
"""Findings reported of one file; the rest is counted, not listed."""

WATCH_DEFAULT_S = 2_700
"""How long a watch lasts when its client does not say: the middle of upstream's 30 to 60 minutes."""

WATCH_BOOKMARK_S = 60
"""A quiet watch that asked for bookmarks gets one this often, as upstream's."""

WATCH_GATHER_S = 0.02
"""A watch that has just sent gathers for this long before it sends again: a busy one pays once for many events."""

REQUEST_BODY_BYTES = 3 * 1024 * 1024
"""One request body: upstream's limit."""
