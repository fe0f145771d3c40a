"""PrometheusRule: groups of recording and alerting rules, stored as they are; `engines.alerting` reads and
evaluates them.
"""
