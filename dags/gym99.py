"""FineGYM (GYM99): 99 elements of women's gymnastics in 29,005 clips, cut out of 303 videos of competitions, and
the events that hold them.

Annotations come from finegym, finegym_train, finegym_val. Items come from youtube (crawl). Whoever has a copy
sets up local, kept, mirror: it is asked in the order of the YAML.

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
    gate_frames: Checks copies and frames.

publish
    lists: Writes the list files from the catalog and what is on disk.
    gate_lists: Checks the list files.
    release: Publishes what is complete, with a lock of checksums.
    report: Writes the quality report, whatever happened before.

At the end a verdict is green or red. The DAG gym99_refresh looks again at what is missing.

This file is written by 'clipquarry new-dag gym99'; the facts stand in gym99.yaml.
"""

from clipquarry_airflow.dag_files import data_set_dags

globals().update(data_set_dags("gym99"))
