"""The environment of a step's container: what the step's own parameters name, and nothing else of the worker's."""

from __future__ import annotations

import json
from pathlib import Path

from airflow.sdk._shared.secrets_masker import redact
from clipquarry.steps.extract import ExtractParams
from clipquarry_airflow.containers import step_environment

WORKER = {
    "THUMOS14_PASSWORD": "secret", "OTHER_PASSWORD": "other", "AIRFLOW__CORE__FERNET_KEY": "key", "MY_MIRROR": "http://x",
    "HTTPS_PROXY": "http://proxy",
}  # fmt: skip


def extract(folder: Path, password_env: str | None) -> Path:
    archive = {"into": "videos/val", "password_env": password_env}
    params = ExtractParams.model_validate({"source": "videos", "root": "mine", "archive": archive})
    path = folder / "extract.json"
    path.write_text(params.model_dump_json())
    return path


def test_the_container_of_an_archive_gets_its_password_and_no_other(tmp_path: Path) -> None:
    params = extract(tmp_path, "THUMOS14_PASSWORD")
    found = step_environment(params, tmp_path, WORKER)
    assert found == {
        "THUMOS14_PASSWORD": "secret", "HTTPS_PROXY": "http://proxy", "CLIPQUARRY_DATA": str(tmp_path), "HOME": "/tmp",
        "USER": "clipquarry",
    }  # fmt: skip
    assert "secret" not in params.read_text()


def test_the_task_s_log_hides_the_password(tmp_path: Path) -> None:
    worker = {**WORKER, "THUMOS14_PASSWORD": "only-for-the-registered"}
    step_environment(extract(tmp_path, "THUMOS14_PASSWORD"), tmp_path, worker)
    assert redact("the pod has only-for-the-registered in it") == "the pod has *** in it"


def test_a_password_that_is_not_set_is_left_out_so_that_the_step_says_so(tmp_path: Path) -> None:
    assert "THUMOS14_PASSWORD" not in step_environment(extract(tmp_path, "THUMOS14_PASSWORD"), tmp_path, {})


def test_other_steps_get_no_password(tmp_path: Path) -> None:
    assert "THUMOS14_PASSWORD" not in step_environment(extract(tmp_path, None), tmp_path, WORKER)
    fetch = tmp_path / "fetch.json"
    fetch.write_text(json.dumps({"sources": [{"url": "${MY_MIRROR}/{clip}"}], "overrides": {"a": "${OTHER_PASSWORD}"}}))
    found = step_environment(fetch, tmp_path, WORKER)
    assert found["MY_MIRROR"] == "http://x" and not {"OTHER_PASSWORD", "THUMOS14_PASSWORD"} & set(found)
