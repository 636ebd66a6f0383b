"""ActivityNet v1.3 features: Published features (CUHK, 100 rows a video) of ActivityNet's videos for networks of
proposals, with BSN's annotation by split.

Annotations come from bsn_json, bsn_csv, class_order, by_hand. Items come from cuhk (archive).

What a run does, phase by phase:

prepare
    annotations: Downloads the annotation files and builds the catalog.
    gate_annotations: Checks the catalog: counts, ids, times, labels.
    plan: Chooses the items whose time has come, and cuts them into shards.

acquire
    extract: Unpacks the archives, all or nothing, beside what is there.
    collect_features: Verifies the published csv of each video's features.
    record: Tells the ledger what came of each item that was asked for.
    gate_clips: Checks what was fetched, and how much of it.

combine
    copies: Writes the annotation by split, and a copy with the videos that are here.

publish
    release: Publishes what is complete, with a lock of checksums.
    report: Writes the quality report, whatever happened before.

At the end a verdict is green or red. Nothing in it expires: another run asks for what is missing.

This file is written by 'clipquarry new-dag activitynet_features'; the facts stand in activitynet_features.yaml.
"""

from clipquarry_airflow.dag_files import data_set_dags

globals().update(data_set_dags("activitynet_features"))
