"""DataSource of OpenSLO: where the numbers of indicators come from."""
