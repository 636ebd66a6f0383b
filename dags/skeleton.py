"""Skeletons: Key points of people in NTU RGB+D, FineGYM, UCF101, HMDB51, Diving48 and Kinetics-400, as packages
for PoseC3D, ST-GCN and others.

Items come from openmmlab (mirror), openmmlab_boxes (mirror). Whoever has a copy sets up local: it is asked in
the order of the YAML.

What a run does, phase by phase:

prepare
    annotations: Lists the packages, with what is published of each.
    gate_annotations: Checks the list of packages.
    make: Makes packages of the files that a person has placed.
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

At the end a verdict is green or red. The DAG skeleton_refresh looks again at what is missing.

This file is written by 'clipquarry new-dag skeleton'; the facts stand in skeleton.yaml.
"""

from clipquarry_airflow.dag_files import data_set_dags

globals().update(data_set_dags("skeleton"))
