"""argoproj.io/AnalysisRun: measures metrics and judges them."""
