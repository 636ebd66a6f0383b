"""A YouTube that needs no network: ``clipquarryfake:ID`` does what the playbook says for ID.

The playbook is a JSON file that ``CLIPQUARRY_FAKE_PLAYBOOK`` names: ``{ID: act}`` or ``{ID: [act, act, ...]}`` (one per
extraction, the last one for ever). An act may hold: ``warn`` (warnings), ``debug`` (lines of yt-dlp's debug log), ``get``
(an address that is really asked for), ``say`` (an ExtractorError with that text, ``expected`` unless that is false), ``geo`` (countries), ``bug`` (the
name of a built-in exception), ``wait`` (seconds), and else the info of a video: ``formats``, ``duration``, ...
Every extraction is noted in ``{playbook}.calls`` (one line each).
"""

import builtins
import json
import os
import time
from pathlib import Path

from yt_dlp.extractor.common import InfoExtractor
from yt_dlp.utils import ExtractorError


class ClipquarryFakeIE(InfoExtractor):
    IE_NAME = "clipquarryfake"
    _VALID_URL = r"clipquarryfake:(?P<id>[A-Za-z0-9_-]{11})$"

    def _real_extract(self, url):
        video_id = self._match_id(url)
        playbook = Path(os.environ["CLIPQUARRY_FAKE_PLAYBOOK"])
        calls = Path(f"{playbook}.calls")
        with open(calls, "a") as handle:
            handle.write(f"{video_id}\n")
        act = json.loads(playbook.read_text())[video_id]
        if isinstance(act, list):
            act = act[min(calls.read_text().split().count(video_id), len(act)) - 1]
        for text in act.get("warn", []):
            self.report_warning(text)
        for text in act.get("debug", []):
            self.write_debug(text)
        for _ in range(int(act.get("wait", 0) * 20)):
            time.sleep(0.05)
            self.to_screen("waiting")
        if "get" in act:
            self._download_webpage(act["get"], video_id)
        if "geo" in act:
            self.raise_geo_restricted(act.get("say", "geo"), countries=act["geo"])
        if "say" in act:
            raise ExtractorError(act["say"], expected=act.get("expected", True))
        if "bug" in act:
            raise getattr(builtins, act["bug"])("a bug in an extractor")
        return {"id": video_id, "title": "fake", **act}
