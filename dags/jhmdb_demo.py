"""JHMDB demo: A toy data set of the JHMDB family, whose package the demo places.

Items come from package (by hand). Whoever has a copy sets up local: it is asked in the order of the YAML.

What a run does, phase by phase:

prepare
    annotations: Downloads the annotation files and builds the catalog.
    gate_annotations: Checks the catalog: counts, ids, times, labels.
    plan: Chooses the items whose time has come, and cuts them into shards.

acquire
    extract: Unpacks the archives, all or nothing, beside what is there.
    collect_frames: Takes each folder of frames, reads it to verify it, and keeps it as published.
    record: Tells the ledger what came of each item that was asked for.
    gate_clips: Checks what was fetched, and how much of it.

process
    flow_images: Takes the published optical flow of each video from a copy, and counts it.
    gate_tubes: Compares frames and flow with the ground truth.

publish
    release: Publishes what is complete, with a lock of checksums.
    report: Writes the quality report, whatever happened before.

At the end a verdict is green or red. Nothing in it expires: another run asks for what is missing.

This file is written by 'clipquarry new-dag jhmdb_demo'; the facts stand in jhmdb_demo.yaml.
"""

from clipquarry_airflow.dag_files import data_set_dags

globals().update(data_set_dags("jhmdb_demo"))
