"""Labelled intervals of long videos, with temporal proposals: THUMOS'14 and its relatives."""
