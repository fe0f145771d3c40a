"""argoproj.io/AnalysisTemplate: metrics and their limits."""
