"""Keeps the Docker engine clean: removes containers whose Airflow task does not run.

There is a DAG only where a step runs in Docker (CLIPYARD_RUNTIME, or auto); the recipe is
``clipyard_airflow.housekeeping.build_housekeeping``.
"""

from clipyard_airflow.housekeeping import build_housekeeping

globals().update(build_housekeeping())
