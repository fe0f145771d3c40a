"""AlertCondition of OpenSLO: a burn rate over a window, compared with a threshold."""
