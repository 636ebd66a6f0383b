"""Fetching small clips from a local web server: Clipquarry against one ``yt-dlp`` process per clip.

    python bench/bench_fetch.py [--clips 500] [--dead 100] [--jobs 8] [--seconds 10] [--reference N] [--quick]

Both sides ask the same server for the same clips, of which ``--dead`` are dead links (404, 410, 403, 500, a web page,
a truncated file), with as many downloads in parallel, in one run. With ``--reference N`` only N clips, spread evenly,
are asked for by yt-dlp and its figures are scaled, which the row then says. CPU time is that of the side's processes
(user + system), of Clipquarry including the interpreter's start, the journal, the manifest, the hash of every file and
the decoding of every frame of every clip (which yt-dlp does not do); the server's is in neither. Clipquarry's 100
reasons are checked.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from clipquarry.demo.videos import make_video
from clipquarry.files import read_json
from clipquarry.ids import clip_id
from clipquarry.manifest import ITEM_FIELDS, read_rows, schema_of, write_rows
from clipquarry.microseconds import of

DEAD = {
    "404": "not_found", "410": "gone", "403": "forbidden_media", "500": "http_5xx", "html": "not_a_video",
    "truncate": "truncated",
}  # fmt: skip
STEP = (
    "import sys; from pathlib import Path; from clipquarry.steps.registry import make_step; "
    "from clipquarry.steps.runner import run_step; "
    "r = run_step(make_step('fetch'), items=Path(sys.argv[1]), params=sys.argv[2], out=Path(sys.argv[3]), "
    "data=Path(sys.argv[4]), jobs=int(sys.argv[5])); print(r.sentence); sys.exit(r.exit)"
)


def run(argv: list[str]) -> tuple[float, int]:
    """CPU seconds (with all its children) and exit code of a program."""
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_utime + used.ru_stime, child.returncode


def prepare(folder: Path, clips: int, dead: int, seconds: int) -> tuple[list[str], dict[str, str]]:
    """Serve one real clip under many names; returns the names and the plan of the dead ones."""
    served = folder / "served"
    served.mkdir()
    film = make_video(folder / "film.mp4", seconds, 25, (340, 256), label="bench")
    names = [clip_id(f"bench{n:06d}", 7, 7 + seconds) for n in range(clips)]
    for name in names:
        os.link(film, served / f"{name}.mp4")
    kinds = list(DEAD)
    dice = random.Random(clips)
    plan = {f"{name}.mp4": kinds[n % len(kinds)] for n, name in enumerate(dice.sample(names, dead))}
    (folder / "plan.json").write_text(json.dumps(plan))
    return names, plan


def serve(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """The server, in its own process."""
    ready = folder / "ready.json"
    arguments = ["--folder", str(folder / "served"), "--plan", str(folder / "plan.json"), "--ready-file", str(ready)]
    child = subprocess.Popen([sys.executable, "-m", "clipquarry.demo.origin", *arguments], stdout=subprocess.DEVNULL)
    while not ready.exists():
        if child.poll() is not None:
            raise SystemExit("the server did not start")
        time.sleep(0.05)
    return child, str(read_json(ready)["url"])


def clipquarry(folder: Path, url: str, names: list[str], plan: dict[str, str], jobs: int) -> tuple[float, float]:
    """CPU and wall seconds of the fetch step; its results are checked."""
    rows = [
        {
            "item_id": f"val/bench/{name}", "video_id": name[:11], "clip_id": name, "split": "val", "label": "bench",
            "class_dir": "bench", "label_index": 0, "start": of(int(name[12:18])), "end": of(int(name[19:])), "row": n + 2,
        }
        for n, name in enumerate(names)
    ]  # fmt: skip
    items, out, data = folder / "items.parquet", folder / "out.parquet", folder / "data"
    write_rows(items, schema_of(ITEM_FIELDS, "plan"), rows)
    mirror = {"id": "mirror", "kind": "http", "provides": "items", "content": "clip", "url": f"{url}/{{clip}}.mp4"}
    params = json.dumps({"root": "bench", "sources": [mirror], "source_attempts": 1})
    begun = time.monotonic()
    used, code = run([sys.executable, "-c", STEP, str(items), params, str(out), str(data), str(jobs)])
    wall = time.monotonic() - begun
    if code:
        raise SystemExit(f"the step ended with {code}")
    for row in read_rows(out):
        wanted = DEAD[plan[f"{row['clip_id']}.mp4"]] if f"{row['clip_id']}.mp4" in plan else "ok"
        if row["reason"] != wanted:
            raise SystemExit(f"{row['clip_id']}: {row['reason']} instead of {wanted}: {row['evidence']}")
    print("Clipquarry:", dict(Counter(row["reason"] for row in read_rows(out))))
    return used, wall


def reference(folder: Path, url: str, names: list[str], jobs: int) -> tuple[float, float]:
    """CPU and wall seconds of one yt-dlp process per clip, one try each."""
    out = folder / "reference"
    out.mkdir()
    program = str(Path(sys.executable).with_name("yt-dlp"))

    def one(name: str) -> tuple[float, int]:
        options = ["--quiet", "--no-warnings", "--ignore-config", "--retries", "0", "--extractor-retries", "0"]
        return run([program, *options, "-f", "mp4", "-o", f"{out}/{name}.%(ext)s", f"{url}/{name}.mp4"])

    begun = time.monotonic()
    with ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(one, names))
    wall = time.monotonic() - begun
    print("yt-dlp: exit codes", dict(Counter(code for _, code in results)), "files", len(list(out.glob("*.mp4"))))
    return sum(used for used, _ in results), wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=500)
    parser.add_argument("--dead", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--reference", type=int, help="ask yt-dlp for this many clips only, and scale")
    parser.add_argument("--quick", action="store_true", help="12 clips of two seconds, 6 of them dead; 3 of yt-dlp")
    args = parser.parse_args()
    if args.quick:
        args.clips, args.dead, args.seconds, args.reference = 12, 6, 2, 3
    with tempfile.TemporaryDirectory(prefix="bench-fetch-") as name:
        folder = Path(name)
        names, plan = prepare(folder, args.clips, args.dead, args.seconds)
        server, url = serve(folder)
        try:
            ours, our_wall = clipquarry(folder, url, names, plan, args.jobs)
            asked = names[:: max(1, len(names) // (args.reference or len(names)))]
            theirs, their_wall = (used * len(names) / len(asked) for used in reference(folder, url, asked, args.jobs))
        finally:
            server.terminate()
            server.wait()
    size = f"{args.clips} clips ({len(plan)} dead), {args.jobs} in parallel"
    print("\n| fetch | CPU s | wall s |\n|---|---|---|")
    scaled = "" if len(asked) == len(names) else f" (SCALED from {len(asked)} processes)"
    print(f"| {size}: one yt-dlp process per clip{scaled} | {theirs:.1f} | {their_wall:.1f} |")
    print(f"| {size}: Clipquarry, every frame decoded | {ours:.1f} | {our_wall:.1f} |")
    print(f"| ratio | **{theirs / ours:.1f}×** | {their_wall / our_wall:.1f}× |")


if __name__ == "__main__":
    main()
