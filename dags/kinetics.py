"""Kinetics and relatives: one DAG per data set, and one that looks again at what is missing.

A data set is one YAML in the package or in a folder that CLIPQUARRY_DATASETS names; its recipe is
``clipquarry_airflow.dags.build_dag``; CLIPQUARRY_ONLY names the ones that are wanted.
"""

from clipquarry.datasets.load import load_all
from clipquarry.settings import Settings
from clipquarry_airflow.dags import build_dags

settings = Settings.from_env()
specs, _ = load_all(settings.dataset_folders)
globals().update(build_dags(specs.values(), ("kinetics_csv",), settings.only))
