"""The families: one folder for each kind of sample. Nobody imports them; ``datasets/families.py`` finds them by
name.
"""
