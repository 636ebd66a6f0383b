"""Kinetics-700 (2020): 700 human actions, the 2020 edition (its val csv says "validate").

Annotations come from cvdf_annotations. Items come from cvdf (archive), youtube (crawl). Whoever has a copy
sets up local, mirror: it is asked in the order of the YAML.

What a run does, phase by phase:

prepare
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
    audio: Extracts the sound of each clip.
    audio_features: Computes log-mel features of the sound.
    gate_frames: Checks copies and frames, and the sound of clips.

publish
    lists: Writes the list files from the catalog and what is on disk.
    gate_lists: Checks the list files.
    release: Publishes what is complete, with a lock of checksums.
    report: Writes the quality report, whatever happened before.

At the end a verdict is green or red. The DAG kinetics700_2020_refresh looks again at what is missing.

This file is written by 'clipquarry new-dag kinetics700_2020'; the facts stand in kinetics700_2020.yaml.
"""

from clipquarry_airflow.dag_files import data_set_dags

globals().update(data_set_dags("kinetics700_2020"))
