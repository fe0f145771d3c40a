"""argoproj.io/Rollout: a workload that is delivered in steps."""
