"""Formats of action labels that people make themselves: key frames, proposals, labelling projects, person ids, final files.

Nothing here knows of runs or data sets. Functions take and give plain values, and say what they refuse.
"""
