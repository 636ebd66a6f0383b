"""Suites of the gates of labelled clips."""
