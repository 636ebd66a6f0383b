"""Suites of the gates of labelled intervals."""
