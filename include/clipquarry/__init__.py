"""Clipquarry: video action data sets, from annotation to checked release.

The library and its command line work without Airflow; ``plugins/clipquarry_airflow`` holds everything
that imports it. The rooms and the arrows between them are described in ``ARCHITECTURE.md``.
"""

__version__ = "0.1.0"
