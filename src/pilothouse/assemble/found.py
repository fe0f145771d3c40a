"""Findings and places in the form that reports keep. Pure; imports nothing heavy."""

from __future__ import annotations

from pilothouse.base.errors import Finding, Place
from pilothouse.report.model import Found, Spot


def spot(place: Place) -> Spot | None:
    """The report's form of a place; None for an empty one."""
    return Spot(file=place.file, line=place.line) if place.file else None


def found(finding: Finding) -> Found:
    return Found(
        code=finding.code,
        severity=finding.severity,
        message=finding.message,
        at=spot(finding.place),
        remedy=finding.remedy,
    )
