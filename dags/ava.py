"""AVA: Atomic visual actions of people, labelled once a second in the 15th to 30th minute of 430 films.

Annotations come from google, cvdf_lists, openmmlab, by_hand. Items come from cvdf (mirror). Whoever has a
copy sets up local, mirror: it is asked in the order of the YAML.

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

At the end a verdict is green or red. The DAG ava_refresh looks again at what is missing.

This file is written by 'clipquarry new-dag ava'; the facts stand in ava.yaml.
"""

from clipquarry_airflow.dag_files import data_set_dags

globals().update(data_set_dags("ava"))
