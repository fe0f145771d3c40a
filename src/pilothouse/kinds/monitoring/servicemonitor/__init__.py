"""ServiceMonitor: which services Prometheus scrapes, and how."""
