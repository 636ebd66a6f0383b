"""Kinetics-710: The training clips of Kinetics-400, 600 and 700 together, each video once, under 710 classes; no
video of their evaluation.

Annotations come from of_kinetics400, of_kinetics600, of_kinetics700, deepmind400, deepmind600, deepmind700.
Items come from kinetics400 (derived), kinetics600 (derived), kinetics700 (derived).

What a run does, phase by phase:

prepare
    made_of: Notes the releases that the data set is made of.
    annotations: Downloads the annotation files and builds the catalog.
    gate_annotations: Checks the catalog: counts, ids, times, labels.
    plan: Chooses the items whose time has come, and cuts them into shards.

acquire
    unpack: Reads archive volumes as a stream and keeps the wanted clips.
    fetch: Fetches, cuts and verifies each clip.
    record: Tells the ledger what came of each item that was asked for.
    gate_clips: Checks what was fetched, and how much of it.

process
    resize: Makes copies with a short edge of fixed size.
    frames: Extracts raw frames.
    gate_frames: Checks copies and frames.

publish
    lists: Writes the list files from the catalog and what is on disk.
    gate_lists: Checks the list files.
    release: Publishes what is complete, with a lock of checksums.
    report: Writes the quality report, whatever happened before.

At the end a verdict is green or red. Nothing in it expires: another run asks for what is missing.

This file is written by 'clipquarry new-dag kinetics710'; the facts stand in kinetics710.yaml.
"""

from clipquarry_airflow.dag_files import data_set_dags

globals().update(data_set_dags("kinetics710"))
