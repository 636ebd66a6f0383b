"""AVA demo: AVA in small, with drawn people, that `make demo-ava` makes and serves itself, a dead link included.

Annotations come from origin, origin_lists. Items come from origin_films (mirror).

What a run does, phase by phase:

prepare
    annotations: Downloads the annotation files and builds the catalog.
    gate_annotations: Checks the catalog: counts, ids, times, labels.
    plan: Chooses the items whose time has come, and cuts them into shards.

acquire
    download: Downloads each video whole, and goes on where it was.
    record: Tells the ledger what came of each item that was asked for.
    gate_clips: Checks what was fetched, and how much of it.

process
    excerpt: Makes the labelled minutes at a constant rate, and their frames, in one decode.
    flow: Makes optical flow of the frames, beside them.
    gate_frames: Checks excerpts and frames.

people
    detect: Finds people in the frames.
    proposals: Fetches the published person proposals, or writes those of the people who were detected.
    gate_proposals: Checks the proposals, and how many key frames have any.

publish
    release: Publishes what is complete, with a lock of checksums.
    report: Writes the quality report, whatever happened before.

At the end a verdict is green or red. The DAG ava_demo_refresh looks again at what is missing.

This file is written by 'clipquarry new-dag ava_demo'; the facts stand in ava_demo.yaml.
"""

from clipquarry_airflow.dag_files import data_set_dags

globals().update(data_set_dags("ava_demo"))
