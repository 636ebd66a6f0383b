"""Keeps the Docker engine clean: removes containers whose Airflow task does not run.

There is a DAG only where a step runs in Docker (CLIPQUARRY_RUNTIME, or auto); the recipe is
``clipquarry_airflow.housekeeping.build_housekeeping``.
"""

from clipquarry_airflow.housekeeping import build_housekeeping

globals().update(build_housekeeping())
