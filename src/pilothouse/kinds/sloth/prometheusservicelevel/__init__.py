"""PrometheusServiceLevel: the SLOs of one service; `engines.slo.sloth` reads it."""
