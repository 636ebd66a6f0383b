"""Keeps the Docker engine clean: removes containers whose Airflow task does not run.

There is a DAG only where CLIPYARD_RUNTIME (or that of one step) is docker; the recipe is
``clipyard_airflow.housekeeping.build_housekeeping``.
"""

from clipyard_airflow.housekeeping import build_housekeeping

globals().update(build_housekeeping())
