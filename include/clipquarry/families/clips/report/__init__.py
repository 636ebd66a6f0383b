"""The report of labelled clips."""
