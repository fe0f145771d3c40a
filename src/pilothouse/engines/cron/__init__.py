"""Cron schedules as Kubernetes reads them: what a line means, when it runs next, which runs were missed."""
