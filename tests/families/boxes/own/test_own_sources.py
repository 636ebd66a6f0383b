"""Raw videos of one's own AVA that lie elsewhere: behind a server, or in the folder of another data set."""

from __future__ import annotations

from pathlib import Path

import pytest
from box_world import BoxWorld, serve
from clipquarry.families.boxes.own.sample import SAMPLE
from clipquarry.manifest import read_rows
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.run import run_all
from clipquarry.settings import DataRoot

PARAMS = {"shards": 1, "fps": 10, "margin": 1, "proposals": "none"}


def fetched(ctx: RunContext) -> dict[str, tuple[str, str]]:
    """Of each crop its source and the sum of its bytes."""
    rows = [row for path in ctx.place.manifests("fetch") for row in read_rows(path)]
    return {row["item_id"]: (row["source"], row["sha256"]) for row in rows}


def run(data: DataRoot, name: str, **more: object) -> RunContext:
    ctx = BoxWorld(data.root).context(SAMPLE.dataset, name, **{**PARAMS, **more})
    run_all(ctx)
    return ctx


@pytest.mark.slow
@pytest.mark.parametrize("where", ["mirror", "local"])
def test_videos_that_lie_elsewhere_give_the_same_crops(where: str, data: DataRoot, tmp_path: Path) -> None:
    near = fetched(run(data, "near"))
    assert len(near) == 3 and {source for source, _ in near.values()} == {"raw"}

    away = DataRoot(tmp_path / "away")
    away.dataset(SAMPLE.dataset).mkdir(parents=True)
    for name in ("crops.csv", "actions.yaml"):
        data.dataset(SAMPLE.dataset, name).rename(away.dataset(SAMPLE.dataset, name))
    videos = data.dataset(SAMPLE.dataset, "videos")
    if where == "local":  # the data set's own folder is searched too
        own = away.dataset(SAMPLE.dataset, "videos", "door.mp4")
        own.parent.mkdir()
        (videos / "door.mp4").rename(own)
        far = fetched(run(away, "far", local_folder=str(videos)))
    else:
        server, url = serve(videos)
        try:
            far = fetched(run(away, "far", mirror_url=f"{url}/{{id}}.mp4", sources=["mirror"]))
        finally:
            server.shutdown()
            server.server_close()
    assert {source for source, _ in far.values()} == {"mirror": {"mirror"}, "local": {"local", "raw"}}[where]
    assert {item: content for item, (_, content) in far.items()} == {
        item: content for item, (_, content) in near.items()
    }
