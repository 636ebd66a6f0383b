"""Suites of the gates of packages of skeletons."""
