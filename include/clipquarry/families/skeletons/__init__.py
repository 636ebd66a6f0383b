"""The family ``skeletons``: packages of key points of people."""
