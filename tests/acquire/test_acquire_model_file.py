"""Weights by address and sum: fetched once, checked always."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from clipquarry.acquire.download import Downloader, Limits
from clipquarry.acquire.model_file import download_model
from clipquarry.acquire.network import Network
from clipquarry.demo.origin import Origin
from clipquarry.errors import RetryLater, UserError

WEIGHTS = bytes(range(256)) * 4000
SUM = hashlib.sha256(WEIGHTS).hexdigest()
OPENMMLAB = f"cascade_rcnn_1x_coco_20200515_075702-{SUM[:8]}.pth"


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[Origin]:
    (tmp_path / "served").mkdir()
    for name in ("w.pth", OPENMMLAB, "other-00000000.pth"):
        (tmp_path / "served" / name).write_bytes(WEIGHTS)
    with Origin(tmp_path / "served") as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data/.clipquarry/models"


def obtain(url: str, sha256: str | None, folder: Path, max_bytes: int = 1 << 30) -> Path:
    limits = Limits(attempts=1, connect=1, read=1, backoff=0.01, max_bytes=max_bytes)
    return download_model(url, sha256, folder, downloader=Downloader(limits))


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_fetched_once_and_kept(origin: Origin, folder: Path) -> None:
    path = obtain(f"{origin.url}/w.pth", SUM.upper(), folder)
    assert path == folder / f"{SUM[:16]}-w.pth"
    assert path.read_bytes() == WEIGHTS
    assert files(folder) == [path.name], "no lock, nothing unfinished"
    assert obtain(f"{origin.url}/w.pth", SUM, folder) == path
    assert origin.asked["w.pth"] == 1


def test_a_damaged_file_is_fetched_again(origin: Origin, folder: Path) -> None:
    path = obtain(f"{origin.url}/w.pth", SUM, folder)
    path.write_bytes(WEIGHTS[:-1])
    assert obtain(f"{origin.url}/w.pth", SUM, folder).read_bytes() == WEIGHTS
    assert origin.asked["w.pth"] == 2


def test_openmmlabs_names_hold_the_sum(origin: Origin, folder: Path) -> None:
    path = obtain(f"{origin.url}/{OPENMMLAB}", None, folder)
    assert path.name == f"{SUM[:16]}-{OPENMMLAB}"
    assert obtain(f"{origin.url}/{OPENMMLAB}", "", folder) == path
    with pytest.raises(UserError, match=f"its sha256 is {SUM}, expected is one that begins with 00000000"):
        obtain(f"{origin.url}/other-00000000.pth", None, folder)
    for name in ("w.pth", f"x-{SUM[:8]}.zip", f"x-{SUM[:7]}.pth", f"-{SUM[:8]}.pth.pth"):
        with pytest.raises(UserError, match=r"needs a sha256|no address"):
            obtain(f"{origin.url}/{name}", None, folder)
    assert files(folder) == [path.name]


def test_another_sum_is_refused_with_both(origin: Origin, folder: Path) -> None:
    with pytest.raises(UserError, match=f"its sha256 is {SUM}, expected is {'0' * 64}"):
        obtain(f"{origin.url}/w.pth", "0" * 64, folder)
    assert files(folder) == []


def test_placed_by_hand(origin: Origin, folder: Path) -> None:
    with pytest.raises(UserError, match="could not be fetched") as told:
        obtain(f"{origin.url}/gone-{SUM[:8]}.pth", None, folder)
    path = folder / f"{SUM[:8]}-gone-{SUM[:8]}.pth"
    assert f"Place it by hand as {path}," in str(told.value)
    path.write_bytes(WEIGHTS)
    assert obtain(f"{origin.url}/gone-{SUM[:8]}.pth", None, folder) == path


@pytest.mark.parametrize(("plan", "kind"), [("404", UserError), ("html", UserError), ("truncate", RetryLater)])
def test_half_a_file_or_a_page_is_no_model(origin: Origin, folder: Path, plan: str, kind: type[Exception]) -> None:
    origin.set_plan({"w.pth": plan})
    with pytest.raises(kind, match="could not be fetched"):
        obtain(f"{origin.url}/w.pth", SUM, folder)
    assert not list(folder.glob("*.pth"))


def test_without_a_network_it_is_tried_again(folder: Path) -> None:
    def unreachable(host: str, port: int, timeout: float) -> None:
        raise OSError(101, "Network is unreachable")

    network = Network(connect=unreachable, route=lambda: True, proxies=dict)
    down = Downloader(Limits(attempts=1, backoff=0.01), network=network)
    with pytest.raises(RetryLater, match="no_network"):
        download_model("http://no-such-host.invalid/w.pth", SUM, folder, downloader=down)


def test_the_size_is_bounded(origin: Origin, folder: Path) -> None:
    with pytest.raises(UserError, match="more than the limit"):
        obtain(f"{origin.url}/w.pth", SUM, folder, max_bytes=1000)


def test_two_at_once_fetch_once(origin: Origin, folder: Path) -> None:
    with ThreadPoolExecutor(6) as pool:
        paths = list(pool.map(lambda _: obtain(f"{origin.url}/w.pth", SUM, folder), range(6)))
    assert len(set(paths)) == 1
    assert origin.asked["w.pth"] == 1


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "w.pth", "https://host/", "https://host/..", "https://host/%2e%2e%2fx.pth", "https://h/a b"],
)
def test_what_is_no_address(url: str, folder: Path) -> None:
    with pytest.raises(UserError, match="no address of a model file"):
        obtain(url, SUM, folder)
    with pytest.raises(UserError, match="64 hexadecimal"):
        obtain("https://host/x.pth", "abc", folder)
    assert not folder.exists()
