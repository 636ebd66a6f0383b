"""THUMOS'14 demo: A toy data set of the THUMOS'14 family, whose videos and proposals a local server gives.

Annotations come from origin_proposals, by_hand. Items come from origin (mirror). Whoever has a copy sets up
local: it is asked in the order of the YAML.

What a run does, phase by phase:

prepare
    annotations: Downloads the annotation files and builds the catalog.
    gate_annotations: Checks the catalog: counts, ids, times, labels.
    plan: Chooses the items whose time has come, and cuts them into shards.

acquire
    collect: Takes each file, decodes it to verify it, and keeps it as published.
    record: Tells the ledger what came of each item that was asked for.
    gate_clips: Checks what was fetched, and how much of it.

process
    frames: Extracts raw frames.
    gate_frames: Checks the frames.

combine
    proposals: Fetches the lists of proposals, and writes them with the numbers of the frames that are here.
    gate_proposals: Checks the lists of proposals line by line.

publish
    release: Publishes what is complete, with a lock of checksums.
    report: Writes the quality report, whatever happened before.

At the end a verdict is green or red. The DAG thumos14_demo_refresh looks again at what is missing.

This file is written by 'clipquarry new-dag thumos14_demo'; the facts stand in thumos14_demo.yaml.
"""

from clipquarry_airflow.dag_files import data_set_dags

globals().update(data_set_dags("thumos14_demo"))
