"""ServiceLevelObjective: one objective in Pyrra's words; `engines.slo.pyrra` reads it."""
