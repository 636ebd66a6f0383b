"""yt-dlp's plug-ins: only what is allowed is loaded, and whether a provider of PO tokens answers is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from clipquarry.acquire.plugins import load_plugins, parse_extractor_args
from clipquarry.errors import MachineError, UserError
from fake_youtube import serving

SUPPORT = Path(__file__).parents[1] / "support" / "pot_provider"
LOOK = """
import json, sys
from pathlib import Path
from clipquarry.acquire.preflight import preflight_youtube
from clipquarry.acquire.youtube import YouTubeOptions, YouTubeSource
names, args = json.loads(sys.argv[1])
source = YouTubeSource(YouTubeOptions(), plugins=names, extractor_args=args)
ydl = source._sessions.get().ydl
ydl.get_info_extractor("Youtube")
from yt_dlp.extractor.youtube.pot._registry import _pot_providers
print(json.dumps({
    "providers": sorted(_pot_providers.value), "args": ydl.params["extractor_args"],
    "said": [(f.level, f.sentence) for f in preflight_youtube(plugins=names, extractor_args=args) if f.topic == "po-token"],
}))
"""


def look(tmp_path: Path, names: list[str], args: list[str]) -> dict[str, object]:
    """In a process of its own: what is loaded stays loaded."""
    loaded = tmp_path / "loaded"
    environ = {key: value for key, value in os.environ.items() if key != "YTDLP_NO_PLUGINS"}
    environ |= {"PYTHONPATH": str(SUPPORT), "CLIPQUARRY_TEST_LOADED": str(loaded)}
    done = subprocess.run(
        [sys.executable, "-c", LOOK, json.dumps([names, args])], env=environ, capture_output=True, text=True, check=True
    )
    assert not loaded.exists(), "a plug-in that nobody allowed was loaded"
    return dict(json.loads(done.stdout))


def test_nothing_is_loaded_unless_it_is_named(tmp_path: Path) -> None:
    found = look(tmp_path, [], [])
    assert "Fake" not in str(found["providers"])
    assert [level for level, _ in found["said"]] == ["ok"]  # type: ignore[misc]


def test_a_named_provider_is_loaded_and_asked(tmp_path: Path) -> None:
    (tmp_path / "ping").write_text("pong")
    with serving(tmp_path) as server:
        found = look(tmp_path, ["getpot_fake"], [f"youtubepot-fake:base_url={server.url}"])
    assert "Fake" in found["providers"]  # type: ignore[operator]
    assert found["args"] == {"youtubepot-fake": {"base_url": [server.url]}}
    assert found["said"] == [["ok", "The PO-token provider Fake 1.2.3 answers."]]


def test_one_that_does_not_answer_is_a_failure(tmp_path: Path) -> None:
    ((level, sentence),) = look(tmp_path, ["getpot_fake"], [])["said"]  # type: ignore[misc]
    assert level == "fail" and "Fake 1.2.3 does not answer" in sentence and "CLIPQUARRY_YTDLP_ARGS" in sentence


@pytest.mark.parametrize("name", ["../evil", "a.b", "", "a-b", "x" * 200])
def test_hostile_names_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="CLIPQUARRY_YTDLP_PLUGINS"):
        load_plugins([name])


def test_one_that_is_not_installed_is_a_sentence() -> None:
    with pytest.raises(MachineError, match="'getpot_absent', which cannot be imported"):
        load_plugins(["getpot_absent"])


def test_extractor_args_are_read_as_yt_dlp_reads_them() -> None:
    from yt_dlp import parse_options

    texts = ["youtube:player-client=web,tv;po_token=web.gvs+X", "youtubepot-bgutilhttp:base_url=http://pot:4416"]
    theirs = parse_options([part for text in texts for part in ("--extractor-args", text)]).ydl_opts["extractor_args"]
    assert parse_extractor_args(texts) == theirs
    for wrong in ("youtube", ":x=1", "youtube:"):
        with pytest.raises(UserError, match="CLIPQUARRY_YTDLP_ARGS"):
            parse_extractor_args([wrong])
