"""Runs of data sets of labelled person boxes: AVA and AVA-Kinetics."""
