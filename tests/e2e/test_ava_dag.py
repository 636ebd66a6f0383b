"""The real Airflow runs AVA, then AVA-Kinetics: films of a drawn person behind a server, found by the embedded detector."""

from __future__ import annotations

from pathlib import Path

import pytest
from box_world import FILM, KINETICS, VAL, place_ava, place_kinetics, serve, unpickled

pytestmark = pytest.mark.timeout(1500)


def test_both_dags(airflow, box_films: Path) -> None:
    root = airflow.data.root
    place_ava(root)
    place_kinetics(root)
    server, url = serve(box_films)
    try:
        code, summary, _, log = airflow.run(
            "ava", "ava", mirror_url=f"{url}/{{clip}}", sources=["mirror"], annotation_counts="warn", videos=[FILM, VAL]
        )
        assert code == 0, log[-4000:]
    finally:
        server.shutdown()
    assert (summary["present"], summary["expected"]) == (2, 2)
    assert len(list((root / "ava/rawframes" / FILM).iterdir())) == 30 * 8
    code, summary, run, log = airflow.run(
        "ava_kinetics", "ava_kinetics", local_folder=str(box_films), sources=["kinetics700", "local"], annotation_counts="warn",
        detector="hog", score=0.5,
    )  # fmt: skip
    assert code == 0, log[-4000:]
    assert summary["present"] == 3
    assert set(summary["gates"]) == {"annotations", "clips", "frames", "boxes", "proposals", "merged"}
    proposals = unpickled(root / "ava_kinetics/kinetics_proposal.pkl")
    assert f"{KINETICS},0017" in proposals
    assert (root / "ava_kinetics/rawframes" / FILM).is_symlink()
    assert (airflow.data.release("ava_kinetics") / run / "ava_train_v2.2.csv").exists()
    page = Path(summary["report"]).read_text()
    assert "Boxes" in page
