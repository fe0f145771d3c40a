"""batch/CronJob: Jobs by the clock."""
