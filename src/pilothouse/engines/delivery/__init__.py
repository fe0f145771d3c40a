"""The arithmetic of progressive delivery, without objects and without writing.

`split`: how many canary and stable pods a weight means; `counts`: how far one pass may go towards it; `steps`: what the
steps of a canary mean; `assessment`: what measurements mean for a metric and metrics for a run; `metrics`: whether a
metric is well formed and when it is due. Used by the kinds of argoproj.io and by whoever reasons about them.
"""
