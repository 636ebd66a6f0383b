"""Your own AVA: Crops of your own videos as frames and key frames, to be labelled as in AVA.

Annotations come from by_hand. Items come from mirror (mirror). Whoever has a copy sets up raw, local: it is
asked in the order of the YAML.

What a run does, phase by phase:

prepare
    annotations: Downloads the annotation files and builds the catalog.
    gate_annotations: Checks the catalog: counts, ids, times, labels.
    plan: Chooses the items whose time has come, and cuts them into shards.

acquire
    fetch: Cuts and verifies each crop.
    record: Tells the ledger what came of each item that was asked for.
    gate_clips: Checks what was fetched, and how much of it.

process
    frames: Extracts raw frames.
    key_frames: Links frames and key frames under the reference's names.
    gate_frames: Checks frames and key frames.

people
    detect: Finds people in the frames.
    proposals: Writes the people who were detected as proposals.
    gate_proposals: Checks the proposals, and how many key frames have any.
    track: Looks at the frames between, and gives each person one id.
    projects: Makes what a person labels: on the labelling page, or with VIA 3.

combine
    labels: Waits until people have labelled all crops, and reads what they said.
    gate_labels: Checks the csv of the labels, and the people in it.

publish
    release: Publishes what is complete, with a lock of checksums.
    report: Writes the quality report, whatever happened before.

At the end a verdict is green or red. The DAG custom_ava_refresh looks again at what is missing.

This file is written by 'clipquarry new-dag custom_ava'; the facts stand in custom_ava.yaml.
"""

from clipquarry_airflow.dag_files import data_set_dags

globals().update(data_set_dags("custom_ava"))
