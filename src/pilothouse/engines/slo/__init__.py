"""Service level objectives: reading them, the rules they become, what is left of their budget, and that in words.

    documents ──► documents.read ──► Slo ──► rule_groups ──► recording rules, multi-window multi-burn-rate alerts
                       │              └────► status.measure(database, slo, time) ──► BudgetStatus ──► words
                       └── Findings (PH72x)

Formats: OpenSLO v1, Sloth's specs and objects (and OpenSLO v1alpha as Sloth reads it), Pyrra's objects. Pure: time, data
and documents are arguments. Imports base, engines.promql and engines.tsdb. Called by cli, assemble and the kinds.

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
