"""Go's text/template (as of Go 1.23) over a small model of Go values; knows nothing of alerts.

`parser.parse` turns text into templates, `execution.execute` runs one over data and functions, `formatting` is Go's
fmt.
Used by `alerting.expansion` (rule labels and annotations) and `alerting.alertmanager` (notification texts).
"""
