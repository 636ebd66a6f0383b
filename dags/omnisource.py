"""OmniSource (200 classes): Web images, web videos, trimmed and untrimmed videos of 200 Kinetics classes, in six
sources, which their authors send after a form.

Annotations come from form. Items come from kinetics_200_train (by hand), kinetics_200_val (by hand),
kinetics_raw_200_train (by hand), insvideo_200 (by hand), googleimage_200 (by hand), insimage_200 (by hand).

What a run does, phase by phase:

prepare
    annotations: Downloads the annotation files and builds the catalog.
    gate_annotations: Checks the catalog: counts, ids, times, labels.
    plan: Chooses the items whose time has come, and cuts them into shards.

acquire
    extract: Unpacks each volume, all or nothing, into the folder of its source.
    collect_mixed: Decodes every file to verify it, and cuts long videos into parts.
    record: Tells the ledger what came of each item that was asked for.
    gate_clips: Checks what was fetched, and how much of it.

publish
    lists: Checks the published lists, and writes them with what is on disk.
    gate_lists: Checks the list files.
    release: Publishes what is complete, with a lock of checksums.
    report: Writes the quality report, whatever happened before.

At the end a verdict is green or red. Nothing in it expires: another run asks for what is missing.

This file is written by 'clipquarry new-dag omnisource'; the facts stand in omnisource.yaml.
"""

from clipquarry_airflow.dag_files import data_set_dags

globals().update(data_set_dags("omnisource"))
