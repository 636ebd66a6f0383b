"""Engine of the checks between the tasks of a run: Great Expectations suites over the run's tables.

Families bring the suites and the catalogue of their checks; ``pipeline.gates`` runs the gates of a data set. Nothing is imported here:
Great Expectations takes seconds, and only a gate that runs needs it.
"""
