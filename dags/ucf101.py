"""UCF101: 101 human actions in 13,320 clips from YouTube, in three divisions into train and test.

Annotations come from crcv_splits, by_hand. Items come from crcv (archive). Whoever has a copy sets up local,
mirror: it is asked in the order of the YAML.

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
    resize: Makes copies with a short edge of fixed size.
    frames: Extracts raw frames.
    gate_frames: Checks copies and frames.

publish
    lists: Writes the list files from the catalog and what is on disk.
    gate_lists: Checks the list files.
    release: Publishes what is complete, with a lock of checksums.
    report: Writes the quality report, whatever happened before.

At the end a verdict is green or red. Nothing in it expires: another run asks for what is missing.

This file is written by 'clipquarry new-dag ucf101'; the facts stand in ucf101.yaml.
"""

from clipquarry_airflow.dag_files import data_set_dags

globals().update(data_set_dags("ucf101"))
