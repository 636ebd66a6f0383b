"""THUMOS'14: Temporal detection of 20 sports actions in 413 untrimmed videos from YouTube, with proposals.

Annotations come from crcv_val, crcv_test, openmmlab, by_hand. Items come from val_videos (archive),
test_videos (archive). Whoever has a copy sets up local, mirror: it is asked in the order of the YAML.

What a run does, phase by phase:

prepare
    annotations: Downloads the annotation files and builds the catalog.
    gate_annotations: Checks the catalog: counts, ids, times, labels.
    plan: Chooses the items whose time has come, and cuts them into shards.

acquire
    extract: Unpacks the archives, all or nothing, beside what is there.
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

At the end a verdict is green or red. Nothing in it expires: another run asks for what is missing.

This file is written by 'clipquarry new-dag thumos14'; the facts stand in thumos14.yaml.
"""

from clipquarry_airflow.dag_files import data_set_dags

globals().update(data_set_dags("thumos14"))
