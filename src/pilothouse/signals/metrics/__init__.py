"""Metrics as a live server gathers them: pages, scraping, discovery, pushes, rules on a clock, blocks."""
