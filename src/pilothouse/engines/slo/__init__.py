"""Service level objectives: reading them, the rules they become, what is left of their budget, and that in words.

    documents ──► documents.read ──► Slo ──► rule_groups ──► recording rules, multi-window multi-burn-rate alerts
                       │              └────► status.measure(database, slo, time) ──► BudgetStatus ──► words
                       └── Findings (PH72x)

Formats: OpenSLO v1, Sloth's specs and objects (and OpenSLO v1alpha as Sloth reads it), Pyrra's objects. Pure: time,
data and documents are arguments. Imports base, engines.promql and engines.tsdb. Called by cli, assemble and the kinds.

| file | what it knows |
| --- | --- |
| `model` | what an SLO is, whatever its format |
| `documents` | which document is which format, duplicates, `rules_of` |
| `sloth`, `openslo`, `openslo_rules`, `pyrra` | the formats and their checks |
| `queries` | how a query's own range becomes the rules' window |
| `windows`, `burn` | the tiers per period, and burn-rate arithmetic |
| `rules`, `plugins`, `pyrra_rules` | rules in Sloth's and in Pyrra's manner |
| `status`, `calendar`, `words` | the budget now, where a calendar window began, and sentences about both |
| `codes` | the stable codes of all findings |
"""

from pilothouse.engines.slo.documents import Reading, groups_of, is_slo_document, read, rule_objects, rules_of
from pilothouse.engines.slo.ledger import Ledger
from pilothouse.engines.slo.model import Slo
from pilothouse.engines.slo.openslo_shapes import storable
from pilothouse.engines.slo.rules import Options
from pilothouse.engines.slo.status import BudgetStatus, Burn, Meter, Spent, measure
from pilothouse.engines.slo.windows import Windows, windows_for

__all__ = [
    "BudgetStatus",
    "Burn",
    "Ledger",
    "Meter",
    "Options",
    "Reading",
    "Slo",
    "Spent",
    "Windows",
    "groups_of",
    "is_slo_document",
    "measure",
    "read",
    "rule_objects",
    "rules_of",
    "storable",
    "windows_for",
]
