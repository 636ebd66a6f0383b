"""What is published: list files, the lock file, and the comparison of two locks."""
