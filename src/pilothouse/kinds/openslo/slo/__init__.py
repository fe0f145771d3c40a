"""SLO of OpenSLO: an objective over a window, its indicator and its alert policies."""
