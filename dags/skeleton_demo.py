"""Skeletons demo: Toy packages of skeletons in two and three dimensions, which a local server gives.

Items come from origin (mirror). Whoever has a copy sets up local: it is asked in the order of the YAML.

What a run does, phase by phase:

prepare
    annotations: Lists the packages, with what is published of each.
    gate_annotations: Checks the list of packages.
    plan: Chooses the items whose time has come, and cuts them into shards.

acquire
    collect_packages: Takes each package, verifies that it is a whole pickle that calls nothing, and keeps it as published.
    record: Tells the ledger what came of each item that was asked for.
    gate_clips: Checks what was fetched, and how much of it.

process
    samples: Reads each package sample by sample, and notes what is wrong.
    gate_packages: Checks the packages' samples, splits and sizes.

publish
    release: Publishes what is complete, with a lock of checksums.
    report: Writes the quality report, whatever happened before.

At the end a verdict is green or red. The DAG skeleton_demo_refresh looks again at what is missing.

This file is written by 'clipquarry new-dag skeleton_demo'; the facts stand in skeleton_demo.yaml.
"""

from clipquarry_airflow.dag_files import data_set_dags

globals().update(data_set_dags("skeleton_demo"))
