"""Suites of the gates of labelled person boxes."""
