"""The section of the report on packages of skeletons."""
