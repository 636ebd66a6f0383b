"""What is said about a machine before YouTube is asked."""

from __future__ import annotations

import os
import shutil
import sys
import time
from datetime import date, timedelta
from pathlib import Path

import pytest
from clipquarry.acquire import preflight
from clipquarry.acquire.archives.native import library
from clipquarry.acquire.preflight import Finding, js_runtimes, preflight_youtube, youtube_cookies
from yt_dlp.version import __version__

BUILT = date(*map(int, __version__.split(".")[:3]))


def topic(findings: list[Finding], name: str) -> list[Finding]:
    return [finding for finding in findings if finding.topic == name]


def test_this_machine_is_fit(tmp_path: Path) -> None:
    findings = preflight_youtube(folder=tmp_path / "not" / "made", today=BUILT + timedelta(days=3))
    assert {finding.topic for finding in findings} == {"yt-dlp", "yt-dlp-ejs", "javascript", "ffmpeg", "disk"}
    assert all(finding.level == "ok" for finding in findings if finding.topic != "disk"), findings
    assert all(finding.sentence.endswith(".") for finding in findings)
    assert "3 days old" in topic(findings, "yt-dlp")[0].sentence


def test_an_old_yt_dlp_is_a_warning() -> None:
    (finding,) = topic(preflight_youtube(today=BUILT + timedelta(days=61)), "yt-dlp")
    assert finding.level == "warn" and "61 days" in finding.sentence and "upgrade" in finding.sentence
    (fresh,) = topic(preflight_youtube(today=BUILT + timedelta(days=60)), "yt-dlp")
    assert fresh.level == "ok"


def test_the_scripts_must_match(monkeypatch: pytest.MonkeyPatch) -> None:
    import yt_dlp_ejs

    monkeypatch.setattr(yt_dlp_ejs, "version", "0.1.0")
    (finding,) = topic(preflight_youtube(), "yt-dlp-ejs")
    assert finding.level == "fail" and "pip install yt-dlp-ejs==" in finding.sentence
    monkeypatch.setitem(__import__("sys").modules, "yt_dlp_ejs", None)
    (finding,) = topic(preflight_youtube(), "yt-dlp-ejs")
    assert finding.level == "fail" and "not installed" in finding.sentence


def test_the_runtime_comes_from_the_package_and_is_given_to_yt_dlp() -> None:
    from yt_dlp import YoutubeDL

    runtimes = js_runtimes()
    assert os.access(runtimes["deno"]["path"], os.X_OK)
    with YoutubeDL({"quiet": True, "js_runtimes": {name: dict(one) for name, one in runtimes.items()}}) as ydl:
        info = ydl._js_runtimes["deno"].info
    assert info.supported and info.path == runtimes["deno"]["path"]


def test_no_or_an_old_runtime_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "node"
    old.write_text("#!/bin/sh\necho v20.1.0\n")
    old.chmod(0o755)
    monkeypatch.setattr(preflight, "js_runtimes", lambda: {"node": {"path": str(old)}})
    (finding,) = topic(preflight_youtube(), "javascript")
    assert finding.level == "fail" and "node 20.1.0" in finding.sentence and "deno" in finding.sentence
    old.write_text("#!/bin/sh\necho v22.1.0\n")
    (finding,) = topic(preflight_youtube(), "javascript")
    assert finding.level == "ok"
    monkeypatch.setattr(preflight, "js_runtimes", dict)
    (finding,) = topic(preflight_youtube(), "javascript")
    assert finding.level == "fail"


def test_no_ffmpeg_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "find_ffmpeg", lambda: None)
    assert topic(preflight_youtube(), "ffmpeg")[0].level == "fail"


def test_ffmpeg_of_the_package_is_the_second_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    found = preflight.find_ffmpeg()
    assert found is not None and "imageio_ffmpeg" in str(found) and os.access(found, os.X_OK)


HEAD = "# Netscape HTTP Cookie File\n"
GOOD = HEAD + ".youtube.com\tTRUE\t/\tTRUE\t{later}\tSID\tv\n#HttpOnly_.youtube.com\tTRUE\t/\tTRUE\t0\tHSID\tv\n"


@pytest.mark.parametrize(
    ("text", "mode", "levels", "words"),
    [
        (GOOD, 0o600, ["ok"], "2 cookies"),
        (GOOD, 0o644, ["warn", "ok"], "everybody"),
        (GOOD, 0o640, ["warn", "ok"], "group"),
        ('[{"domain": ".youtube.com"}]', 0o600, ["fail"], "JSON"),
        ("SID=abc; HSID=def", 0o600, ["fail"], "Netscape"),
        (
            "# Netscape HTTP Cookie File\n.youtube.com\tTRUE\t/\tTRUE\t1000\tSID\tv\n",
            0o600,
            ["warn"],
            "no valid cookie",
        ),
        (
            "# Netscape HTTP Cookie File\n.notyoutube.com\tTRUE\t/\tTRUE\t0\tSID\tv\n",
            0o600,
            ["warn"],
            "no valid cookie",
        ),
    ],
)
def test_cookies(tmp_path: Path, text: str, mode: int, levels: list[str], words: str) -> None:
    jar = tmp_path / "cookies.txt"
    jar.write_text(text.format(later=int(time.time()) + 1000) if "{later}" in text else text)
    jar.chmod(mode)
    findings = topic(preflight_youtube(cookies=jar), "cookies")
    assert [finding.level for finding in findings] == levels
    assert words in findings[0].sentence and "\tv" not in findings[0].sentence


def test_cookies_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "absent", tmp_path, tmp_path / "binary"):
        findings = topic(preflight_youtube(cookies=path), "cookies")
        assert findings[-1].level == "fail" and str(path) in findings[-1].sentence


def test_cookie_names() -> None:
    assert youtube_cookies(GOOD.format(later=2_000_000_000), now=1_900_000_000) == {"SID", "HSID"}
    assert youtube_cookies(GOOD.format(later=2_000_000_000), now=2_100_000_000) == {"HSID"}


@pytest.mark.parametrize(("free", "level"), [(1 << 30, "fail"), (20 << 30, "warn"), (500 << 30, "ok")])
def test_free_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: str) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=free))
    (finding,) = topic(preflight_youtube(folder=tmp_path), "disk")
    assert finding.level == level and f"{free >> 30}.0 GiB" in finding.sentence


def test_archives(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without libarchive is told which data sets need it."""
    monkeypatch.setitem(sys.modules, "libarchive.ffi", None)
    library.cache_clear()
    try:
        found = preflight.preflight_archives(["ava", "ucf101"])
    finally:
        library.cache_clear()
    assert (
        found.level == "warn" and "libarchive-c" in found.sentence and found.sentence.endswith("need it: ava, ucf101.")
    )
