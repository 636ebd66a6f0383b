"""Suites of the gates of tubes."""
