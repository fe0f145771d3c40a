"""The only room that knows everything: it builds worlds from written lists and runs rehearsals in them.

`rehearse(request, progress)` is the face that `cli` and tests use.
"""

from pilothouse.assemble.rehearsal import rehearse

__all__ = ["rehearse"]
