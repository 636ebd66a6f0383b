"""A person's own AVA: crops of raw videos, whose people are labelled by a person (``items: crops``)."""
