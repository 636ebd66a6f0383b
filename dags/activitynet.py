"""ActivityNet v1.3: Temporal detection of 200 activities in about 20,000 untrimmed videos from YouTube, by their
official ids.

Annotations come from official, by_hand. Items come from youtube (crawl). Whoever has a copy sets up local,
mirror: it is asked in the order of the YAML.

What a run does, phase by phase:

prepare
    annotations: Downloads the annotation files and builds the catalog.
    gate_annotations: Checks the catalog: counts, ids, times, labels.
    plan: Chooses the items whose time has come, and cuts them into shards.

acquire
    collect: Takes each file, decodes it to verify it, and keeps it as published.
    record: Tells the ledger what came of each item that was asked for.
    gate_clips: Checks what was fetched, and how much of it.

process
    frames: Extracts raw frames.
    gate_frames: Checks the frames.
    pool_features: Pools the scores of each video's clips to a csv of fixed length.
    gate_features: Checks the pooled features.

combine
    copies: Writes the annotation by split, and a copy with the videos that are here.
    lists: Writes the lists of frames of videos and of their intervals.
    gate_lists: Checks the lists of frames line by line.

publish
    release: Publishes what is complete, with a lock of checksums.
    report: Writes the quality report, whatever happened before.

At the end a verdict is green or red. The DAG activitynet_refresh looks again at what is missing.

This file is written by 'clipquarry new-dag activitynet'; the facts stand in activitynet.yaml.
"""

from clipquarry_airflow.dag_files import data_set_dags

globals().update(data_set_dags("activitynet"))
