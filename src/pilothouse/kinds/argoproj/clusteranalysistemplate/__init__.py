"""argoproj.io/ClusterAnalysisTemplate: an AnalysisTemplate for all namespaces."""
