"""A made-up run of many classes, as the stages leave it on disk: for tests, for looking at, and for the screenshot."""

from __future__ import annotations

import random
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import imageio_ffmpeg
from clipquarry.datasets.load import find_spec
from clipquarry.datasets.model import DatasetSpec
from clipquarry.files import link_or_copy
from clipquarry.ids import clip_id, normalise_label
from clipquarry.ledger import Ledger
from clipquarry.manifest import Row
from clipquarry.reasons import Reason, Status
from clipquarry.settings import DataRoot
from families.made_run import FINE, MadeRun, item_row

NOW = datetime(2026, 11, 21, 2, 13, tzinfo=UTC)
RUN = "scheduled__2026-11-21T00_00_00_00_00"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
SOURCES = ("testsrc2", "smptehdbars", "mandelbrot", "life=mold=10:r=25", "cellauto", "gradients=n=4", "rgbtestsrc")
FRAMES = ((340, 256), (1280, 720), (640, 360), (480, 360), (1920, 1080))
GONE = (
    (Reason.UNAVAILABLE, 40, "Video unavailable"),
    (Reason.PRIVATE, 25, "Private video. Sign in if you've been granted access to this video"),
    (Reason.TERMINATED, 15, "This video is no longer available because the account has been terminated"),
    (Reason.REMOVED, 10, "This video has been removed by the uploader"),
    (Reason.COPYRIGHT, 5, "This video contains content from SME, who has blocked it on copyright grounds"),
    (Reason.TOO_SHORT, 3, "the source ends at 7.2 s of 10"),
    (Reason.AGE, 2, "Sign in to confirm your age. This video may be inappropriate for some users"),
)
NAMES = (
    "abseiling", "air drumming", "answering questions", "applauding", "archery", "arm wrestling", "baking cookies",
    "barbequing", "beatboxing", "bee keeping", "belly dancing", "biking through snow", "blowing glass", "bookbinding",
    "bowling", "brush painting", "building cabinet", "bungee jumping", "capoeira", "carving pumpkin", "catching fish",
    "cheerleading", "clay pottery making", "climbing ladder", "massaging person's head",
    "passing American football (in game)", "playing harmonica", "riding unicycle", "skiing slalom", "tai chi",
)  # fmt: skip


@dataclass(frozen=True)
class World:
    """A data root with runs of one data set in it."""

    spec: DatasetSpec
    data: DataRoot
    run: str
    ledger_url: str

    @property
    def folder(self) -> Path:
        return self.data.run(self.spec.name, self.run)

    @property
    def made(self) -> MadeRun:
        """The writer of the run's folder."""
        return MadeRun(self.folder)


def labels(count: int) -> list[str]:
    """Real names first, made-up ones after."""
    rest = (f"{NAMES[n % len(NAMES)]} {n // len(NAMES) + 1}" for n in range(len(NAMES), count))
    return sorted([*NAMES[:count], *rest])


def catalog_rows(classes: int, per_class: int, rng: random.Random) -> list[Row]:
    """The split val with ``per_class`` clips a class, and three rows that are rejected."""
    rows: list[Row] = []
    for index, label in enumerate(labels(classes)):
        for _ in range(per_class):
            video = "".join(rng.choices(ALPHABET, k=11))
            start = rng.randrange(0, 300)
            clip, folder = clip_id(video, start, start + 10), normalise_label(label)
            place = {"clip": clip, "folder": folder, "label": label, "index": index, "line": len(rows) + 2}
            rows.append({**item_row("val", video, start, start + 10, **place), **FINE})
    for reason, text in (
        (Reason.BAD_ID, '=HYPERLINK("http://evil.example"),../../etc/passwd,0,10,val'),
        (Reason.BAD_LABEL, "<script>alert(1)</script>\u202egnp.exe,abcdefghijk,0,10,val"),
        (Reason.BAD_TIME, "abseiling,abcdefghijk,20,10,val"),
    ):
        line = len(rows) + 2
        rows.append(
            {
                "item_id": f"val/#row-{line}", "split": "val", "label_index": -1, "row": line,
                "status": "rejected", "reason": str(reason), "evidence": text,
            }
        )  # fmt: skip
    return rows


def result_rows(rows: list[Row], rng: random.Random, at: datetime, root: str, lost: float) -> list[Row]:
    """What fetch made of the usable rows: ``lost`` of them on average, unevenly over the classes."""
    found: list[Row] = []
    share: dict[str, float] = {}
    names = [reason for reason, _, _ in GONE]
    for row in rows:
        if row["status"] == "rejected":
            continue
        chance = share.setdefault(row["class_dir"], min(0.95, rng.expovariate(1 / lost)))
        result: Row = {name: row[name] for name in list(row)[:10]} | {"key": "0" * 32, "source": "youtube"}
        reason, evidence = Reason.OK, ""
        if rng.random() < chance:
            picked = rng.choices(range(len(GONE)), [weight for _, weight, _ in GONE])[0]
            reason, evidence = names[picked], GONE[picked][2]
            status = Status.MISSING
        elif rng.random() < 0.002:
            status, reason, evidence = Status.FAILED, Reason.TOOL_FAILED, "ffmpeg: Conversion failed! (exit status 1)"
        else:
            status = Status.DONE
            seconds = 10.0 if rng.random() < 0.97 else rng.uniform(9.5, 10.0)
            width, height = rng.choices(FRAMES, [5, 4, 3, 2, 1])[0]
            rate = rng.choice((25.0, 29.97, 30.0))
            result |= {
                "bytes": int(rng.lognormvariate(13.6, 0.6)), "sha256": "0" * 64, "duration": seconds,
                "frames": int(seconds * rate), "fps": rate, "width": width, "height": height,
                "has_audio": rng.random() < 0.94, "path": f"{root}/videos_val/{row['class_dir']}/{row['clip_id']}.mp4",
                "source": "cvdf" if rng.random() < 0.6 else "youtube",
            }  # fmt: skip
        attempt = {"source": result["source"], "at": at.isoformat(), "reason": str(reason), "evidence": evidence}
        result |= {"status": str(status), "reason": str(reason), "evidence": evidence, "attempts": [attempt]}
        found.append(result)
    return found


def without_attempts(rows: list[Row]) -> list[Row]:
    return [{name: value for name, value in row.items() if name != "attempts"} for row in rows]


def check(id_: str, title: str, *, severity: str = "error", success: bool = True, **more: Any) -> dict[str, Any]:
    return {"id": id_, "title": title, "severity": severity, "success": success, "scope": "", "skipped": "", **more}


def gate_json(name: str, verdict: str, *checks: dict[str, Any]) -> dict[str, Any]:
    """The stored form ``gate-result/v1``."""
    return {
        "schema": "gate-result/v1", "gate": name, "dataset": "kinetics400", "run": RUN, "verdict": verdict,
        "blocked": verdict == "block", "sentence": f"The gate '{name}' {verdict}.", "checks": list(checks),
        "rows": 0, "rows_file": f"{name}.rows.csv", "seconds": 1.2,
        "started": NOW.isoformat(), "ended": NOW.isoformat(), "params": {}, "tables": {}, "versions": {},
    }  # fmt: skip


def coverage_check(rows: list[Row], *, blocks: bool) -> dict[str, Any]:
    absent = [row for row in rows if row["status"] != "done"]
    return check(
        "clips.coverage", "enough clips are there", scope="val", severity="error" if blocks else "warn", success=False,
        sentence=f"{len(absent)} of {len(rows)} clips of val are not there, more than the warning threshold of 5 %.",
        checked=len(rows), unexpected=len(absent), share=len(absent) / len(rows),
        worst=[{"item_id": row["item_id"], "reason": row["reason"]} for row in absent[:20]],
    )  # fmt: skip


def write_gates(folder: Path, rows: list[Row], *, blocks: bool = False) -> None:
    good = check("annotations.item_unique", "items are unique", checked=len(rows), unexpected=0)
    told = check(
        "annotations.video_shared", "videos belong to one split", severity="info", success=False,
        sentence="4 videos are in two splits.", unexpected=4, checked=len(rows),
        worst=[{"item_id": rows[0]["item_id"], "other": "<img src=x onerror=alert(2)>"}],
    )  # fmt: skip
    skipped = check("annotations.sha256", "the csv is the published one") | {"skipped": "no sha256 is published"}
    MadeRun(folder).gate("annotations", gate_json("annotations", "pass", good, told, skipped))
    clips = [coverage_check(rows, blocks=blocks)] + [
        check(f"clips.{name}", title, checked=len(rows), unexpected=0)
        for name, title in (("one_row", "every clip has exactly one result"), ("facts", "clips have bytes and frames"))
    ]
    MadeRun(folder).gate("clips", gate_json("clips", "block" if blocks else "warn", *clips))
    lines = "".join(f"clips.coverage,{row['item_id']},{row['reason']}\n" for row in rows if row["status"] != "done")
    (folder / "gates" / "clips.rows.csv").write_text("check,item_id,reason\n" + lines)
    if not blocks:
        exists = check("lists.exists", "the list files are there")
        MadeRun(folder).gate("lists", gate_json("lists", "pass", exists))


def write_run_files(world: World, *, begun: datetime, kind: str = "full") -> None:
    world.made.facts(
        dataset=world.spec.name, run=world.run, kind=kind, title=world.spec.title,
        params={"splits": ["val"], "jobs": 4, "limit": None, "resize": False, "dry_run": False},
        started=begun.isoformat(), ended=(begun + timedelta(hours=2)).isoformat(),
        tools={"clipquarry": "0.1.0", "ffmpeg": "7.1", "ffmpeg_origin": "wheel", "yt-dlp": "2026.10.26"},
    )  # fmt: skip


def make_clips(folder: Path) -> list[Path]:
    """A few small videos that look different."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for number, source in enumerate(SOURCES):
        path = folder / f"{number}.mp4"
        joint = ":" if "=" in source else "="
        inputs = ["-f", "lavfi", "-i", f"{source}{joint}s=320x240", "-t", "1"]
        ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
        subprocess.run([ffmpeg, "-v", "error", *inputs, "-pix_fmt", "yuv420p", "-y", str(path)], check=True)
        made.append(path)
    return made


def build(root: Path, *, classes: int = 400, per_class: int = 50, earlier: int = 6, blocks: bool = False) -> World:
    """A Kinetics-400 validation run, ``earlier`` monthly runs before it, gates, a ledger; sample clips exist."""
    from clipquarry.pipeline.reporting import write_report
    from clipquarry.report.aggregate import aggregate

    rng = random.Random(400)
    spec = find_spec("kinetics400")
    data = DataRoot(root)
    url = f"sqlite:///{data.private / 'ledger.sqlite'}"
    rows = catalog_rows(classes, per_class, rng)
    with Ledger.open(url) as ledger:
        for back in range(earlier, -1, -1):
            at = NOW - timedelta(days=30 * back, hours=2)
            run = RUN if back == 0 else f"scheduled__{at:%Y-%m-%d}T00_00_00_00_00"
            world = World(spec, data, run, url)
            world.made.catalog(rows)
            found = result_rows(rows, random.Random(7), at, spec.root, 0.115 - 0.009 * back)
            world.made.results(found)
            world.made.recorded(without_attempts(found))
            write_run_files(world, begun=at)
            write_gates(world.folder, found, blocks=blocks and back == 0)
            ledger.sync_catalog(spec.name, world.folder / "catalog.parquet")
            ledger.begin_run(spec.name, run, started=at)
            ledger.record(spec.name, run, "default", [world.folder / "results.parquet"], at)
            ledger.end_run(spec.name, run, ended=at + timedelta(hours=2))
            if back == 0:
                clips = make_clips(root / "made")
                for number, sample in enumerate(aggregate(world.folder / "recorded.parquet").samples):
                    link_or_copy(clips[number % len(clips)], root / sample.path)
            write_report(spec, data, run, ledger, at + timedelta(hours=2))
    return world
