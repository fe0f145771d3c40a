"""SLI of OpenSLO: an indicator that SLOs refer to."""
