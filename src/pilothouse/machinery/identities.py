"""Uids and the random ends of generated names, drawn in blocks: one call to the generator per object costs more than
its write."""

from __future__ import annotations

from collections.abc import Iterator

from pilothouse.base.entropy import Entropy

_BLOCK = 128
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""Letters and digits that make no words and are not mistaken for each other (apimachinery `util/rand`)."""

SUFFIX_LENGTH = 5


class Identities:
    """An endless supply, the same for the same entropy."""

    __slots__ = ("_suffixes", "_uids")

    def __init__(self, entropy: Entropy) -> None:
        self._uids = _uids(entropy)
        self._suffixes = _suffixes(entropy)

    def uid(self) -> str:
        """A random (version 4) UUID in text."""
        return next(self._uids)

    def suffix(self) -> str:
        """Five random characters for a generateName."""
        return next(self._suffixes)


def _uids(entropy: Entropy) -> Iterator[str]:
    stream = entropy.stream("uid", "objects")
    while True:
        text = stream.bytes(16 * _BLOCK).hex()
        for at in range(0, 32 * _BLOCK, 32):
            # Version 4, variant 10xx: the two digits that RFC 9562 fixes.
            variant = "89ab"[int(text[at + 16], 16) & 3]
            yield (
                f"{text[at : at + 8]}-{text[at + 8 : at + 12]}-4{text[at + 13 : at + 16]}-"
                f"{variant}{text[at + 17 : at + 20]}-{text[at + 20 : at + 32]}"
            )


def _suffixes(entropy: Entropy) -> Iterator[str]:
    stream = entropy.stream("name", "objects")
    while True:
        picks = stream.integers(0, len(_ALPHABET), SUFFIX_LENGTH * _BLOCK).tolist()
        text = "".join([_ALPHABET[pick] for pick in picks])
        for at in range(0, len(text), SUFFIX_LENGTH):
            yield text[at : at + SUFFIX_LENGTH]
