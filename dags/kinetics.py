"""Kinetics and relatives: one DAG per data set, and one that looks again at what is missing.

A data set is one YAML in the package or in a folder that CLIPYARD_DATASETS names; its recipe is
``clipyard_airflow.dags.build_dag``.
"""

from clipyard.datasets.load import load_all
from clipyard.settings import Settings
from clipyard_airflow.dags import build_dag

specs, _ = load_all(Settings.from_env().dataset_folders)

for spec in specs.values():
    if spec.is_runnable:
        globals()[spec.name] = build_dag(spec, "full")
        globals()[f"{spec.name}_refresh"] = build_dag(spec, "refresh")
