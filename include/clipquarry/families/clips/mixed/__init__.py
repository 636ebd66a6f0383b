"""Labelled clips whose splits hold different things: files, folders of files, and long videos that are cut into parts."""
