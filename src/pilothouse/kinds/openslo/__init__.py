"""The kinds of OpenSLO v1. `engines.slo` reads them, checks them and makes rules of them."""
