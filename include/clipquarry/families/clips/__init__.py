"""Labelled clips, one label each: Kinetics and its relatives."""
