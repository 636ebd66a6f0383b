"""Release of a data set: list files, the lock file, and the comparison of two locks."""
