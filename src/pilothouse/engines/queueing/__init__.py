"""Queues as formulas: how long requests take at a given utilisation, and what a backlog does to them.

`response.table` is what worlds use; `service`, `waiting`, `balancing` and `overload` are its parts. `reference` is a
discrete-event simulation that tests compare against and nothing else calls. Pure: numbers in, numbers out.
"""
