"""The family's sample: a small AVA with drawn people, as its sources serve it."""
