"""Labelled person boxes on key frames: AVA, AVA-Kinetics."""
