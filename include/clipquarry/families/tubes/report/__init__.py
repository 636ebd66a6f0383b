"""The section "Tubes" of the report."""
