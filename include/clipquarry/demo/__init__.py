"""Data for the demos and the tests: generated videos, and a web server that simulates dead links."""
