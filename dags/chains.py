"""Starts data sets that are made of others when these are whole and have changed.

There is a DAG only after the first full run of such a data set, unless CLIPQUARRY_CHAINS is off; the recipe is
``clipquarry_airflow.chains.build_chains``.
"""

from clipquarry_airflow.chains import build_chains

globals().update(build_chains())
