"""AVA-Kinetics, flat, from Kinetics-700: AVA-Kinetics as 2.5 seconds around each labelled second, cut out of
Kinetics-700's clips, all in one folder.

Annotations come from deepmind, cvdf, google, by_hand. Items come from kinetics700 (derived), kinetics700_2020
(derived), kinetics700_2020_flat (derived), youtube (crawl). Whoever has a copy sets up local, mirror: it is
asked in the order of the YAML.

What a run does, phase by phase:

prepare
    made_of: Notes the releases that the data set is made of.
    annotations: Downloads the annotation files and builds the catalog.
    gate_annotations: Checks the catalog: counts, ids, times, labels.
    plan: Chooses the items whose time has come, and cuts them into shards.

acquire
    fetch: Fetches, cuts and verifies each clip.
    record: Tells the ledger what came of each item that was asked for.
    gate_clips: Checks what was fetched, and how much of it.

process
    frames: Extracts raw frames.
    gate_frames: Checks the frames.
    boxes: Writes the annotations of the clips that are there.
    gate_boxes: Checks these annotations against the official ones and the frames.

publish
    release: Publishes what is complete, with a lock of checksums.
    report: Writes the quality report, whatever happened before.

At the end a verdict is green or red. The DAG ava_kinetics_flat_700_refresh looks again at what is missing.

This file is written by 'clipquarry new-dag ava_kinetics_flat_700'; the facts stand in ava_kinetics_flat_700.yaml.
"""

from clipquarry_airflow.dag_files import data_set_dags

globals().update(data_set_dags("ava_kinetics_flat_700"))
