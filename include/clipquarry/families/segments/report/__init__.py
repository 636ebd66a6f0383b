"""The section "Intervals" of the report."""
