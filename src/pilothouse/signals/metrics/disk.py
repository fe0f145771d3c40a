"""The disk as an argument: the few operations that keeping series needs, and the real directory behind them.

Nothing else in this room touches files, so a rehearsal, which is given no disk, cannot write one. Called by `blocks`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol


class AppendFile(Protocol):
    """A file that only grows. What was appended survives the process, after `sync` also the machine."""

    def append(self, data: bytes) -> None: ...
    def sync(self) -> None: ...
    def close(self) -> None: ...


class Disk(Protocol):
    """One flat folder of files."""

    def names(self) -> list[str]:
        """File names, sorted."""

    def read(self, name: str) -> bytes: ...
    def create(self, name: str) -> AppendFile:
        """A new file, or an existing one from its end."""

    def replace(self, name: str, data: bytes) -> None:
        """The whole file at once: after a crash there is the old content or the new, never a mixture."""

    def remove(self, name: str) -> None: ...


class _OpenFile:
    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def append(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) or 0 :]

    def sync(self) -> None:
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


class DirectoryDisk:
    """A real directory, made when it is missing."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True)

    def names(self) -> list[str]:
        return sorted(entry.name for entry in self._root.iterdir() if entry.is_file())

    def read(self, name: str) -> bytes:
        return (self._root / name).read_bytes()

    def create(self, name: str) -> AppendFile:
        return _OpenFile(self._root / name)

    def replace(self, name: str, data: bytes) -> None:
        draft = self._root / (name + ".tmp")
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._root / name)
        self._sync_folder()

    def remove(self, name: str) -> None:
        (self._root / name).unlink(missing_ok=True)

    def _sync_folder(self) -> None:
        # A rename lives in the folder: without this it may be undone by a power cut.
        handle = os.open(self._root, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
