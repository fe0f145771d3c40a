"""Chance as an argument: one seed, one independent stream per (name, entity).

Streams are PCG64 seeded from a BLAKE2 digest of (seed, name, entity), so that drawing more in one place never
changes the luck of another: two variants of a scenario see the same users (common random numbers).
"""

from __future__ import annotations

import hashlib

import numpy as np


class Entropy:
    """All randomness of a run. The same seed gives the same draws on the same numpy version."""

    __slots__ = ("_streams", "seed")

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._streams: dict[tuple[str, str], np.random.Generator] = {}

    def stream(self, name: str, entity: str = "") -> np.random.Generator:
        """The generator of this name and entity; asked twice, it goes on where it was."""
        key = (name, entity)
        stream = self._streams.get(key)
        if stream is None:
            digest = hashlib.blake2b(f"{self.seed}\x00{name}\x00{entity}".encode(), digest_size=16).digest()
            stream = self._streams[key] = np.random.Generator(np.random.PCG64(int.from_bytes(digest, "little")))
        return stream

    def token(self, name: str, length: int, alphabet: str = "bcdfghjklmnpqrstvwxz2456789") -> str:
        """A random word as Kubernetes makes them for generated names."""
        picks = self.stream(name).integers(0, len(alphabet), length)
        return "".join(alphabet[i] for i in picks)

    def uid(self) -> str:
        """A random (version 4) UUID in text."""
        raw = bytearray(self.stream("uid").bytes(16))
        raw[6] = raw[6] & 0x0F | 0x40
        raw[8] = raw[8] & 0x3F | 0x80
        text = raw.hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
