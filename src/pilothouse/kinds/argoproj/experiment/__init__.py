"""argoproj.io/Experiment: ReplicaSets and analyses for a while."""
