"""YAML files of rules, rule tests and routing as their own tools read them: scalars as written, every value with its
place. Reads the disk, nothing else; what is wrong comes back as a finding. Called by `rule_tests` and `backtest`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml

from pilothouse.base import limits, manifest_errors
from pilothouse.base.errors import Finding, Place
from pilothouse.base.yaml_dialect import Broken, Marks, PathPart, load, unpack

_TEXT_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


@dataclass(frozen=True, slots=True)
class YamlFile:
    """The first document of a file. value: mappings, lists and texts (a label `0500` stays `0500`); None when empty."""

    file: str
    value: Any
    place_of: Callable[[tuple[PathPart, ...]], Place]


def read_yaml(path: str) -> YamlFile | Finding:
    """The file, or why it cannot be used."""
    try:
        with open(path, "rb") as file:
            data = file.read(limits.MANIFEST_FILE_BYTES + 1)
    except FileNotFoundError:
        return manifest_errors.missing(path)
    except (OSError, ValueError) as error:
        return manifest_errors.unreadable(path, error)
    if len(data) > limits.MANIFEST_FILE_BYTES:
        return manifest_errors.too_large(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return manifest_errors.not_text(path)
    return parse_yaml(text, path)


def parse_yaml(text: str, file: str) -> YamlFile | Finding:
    """The first document of a text; the dialect's own checks (duplicate keys, depth, size) hold."""
    try:
        first = next(load(text), None)
        value = None if first is None else next(yaml.load_all(text, Loader=_TEXT_LOADER), None)
    except Broken as broken:
        return manifest_errors.broken(file, text, 1, broken)
    except (yaml.YAMLError, RecursionError) as error:
        return Finding("PH101", str(error).splitlines()[0], Place(file))

    def place_of(path: tuple[PathPart, ...]) -> Place:
        if first is None or not isinstance(first.marks, Marks):
            return Place(file)
        return Place(file, *(first.marks.find(path) if path else unpack(first.marks.at)))

    return YamlFile(file, value, place_of)
