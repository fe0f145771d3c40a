"""The group monitoring.coreos.com: what Prometheus scrapes and evaluates."""
