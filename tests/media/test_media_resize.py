from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import pytest
from clipquarry.datasets.model import Recipe
from clipquarry.demo.videos import make_video, read_frame_numbers
from clipquarry.media.errors import MediaError
from clipquarry.media.frames import FrameRecipe, count_frames, extract_frames, frame_name
from clipquarry.media.probe import frame_size, probe
from clipquarry.media.resize import CONTAINERS, resize_clip
from clipquarry.reasons import Reason
from media_sources import SIZE, convert

ORACLES = Path(__file__).parents[2].parent / "shared" / "oracles"
needs_oracles = pytest.mark.skipif(not ORACLES.is_dir(), reason="the folder with the reference cases is not there")


def resize(source: Path, out: Path, recipe: Recipe, short: int = 256, *, dense: bool = True, remove_dup: bool = False):
    return resize_clip(source, out, short_edge=short, dense=dense, remove_dup=remove_dup, recipe=recipe)


def key_frames(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        return [n for n, frame in enumerate(container.decode(video=0)) if frame.key_frame]


@pytest.mark.parametrize(
    ("size", "short", "expected"),
    [((160, 120), 64, (86, 64)), ((120, 160), 64, (64, 86)), ((100, 100), 64, (64, 64)), ((854, 480), 256, (456, 256)),
     ((64, 48), 128, (170, 128))],
)  # fmt: skip
def test_sizes_key_frames_and_frames(
    tmp_path: Path, recipe: Recipe, size: tuple[int, int], short: int, expected: tuple[int, int]
) -> None:
    source = make_video(tmp_path / "s.mp4", 2, 25, size)
    facts = resize(source, tmp_path / "r.mp4", recipe, short)
    assert (facts.width, facts.height) == expected
    assert key_frames(tmp_path / "r.mp4") == [0, 16, 32, 48]
    assert (facts.keyframe_gap, facts.frames, facts.fps, facts.has_audio) == (16, 50, 25.0, False)
    if min(size) > 64:
        assert read_frame_numbers(tmp_path / "r.mp4") == list(range(50))


@pytest.mark.parametrize("kind", ["29.97 fps", "variable rate", "starts at 7.3 s", "edit list", "vp8 webm"])
def test_every_frame_is_kept(
    sources: dict[str, Path], kind: str, tmp_path: Path, recipe: Recipe, any_ffmpeg: str
) -> None:
    resize(sources[kind], tmp_path / "r.mp4", recipe, 128)
    assert read_frame_numbers(tmp_path / "r.mp4") == read_frame_numbers(sources[kind])


def test_not_dense_has_few_key_frames(plain: Path, tmp_path: Path, recipe: Recipe) -> None:
    assert resize(plain, tmp_path / "r.mp4", recipe, 64, dense=False).keyframe_gap > 100


def test_repeated_frames_are_removed_on_request(plain: Path, tmp_path: Path, recipe: Recipe) -> None:
    doubled = convert(plain, tmp_path / "d.mp4", "-t", "2", "-r", "60", "-c:v", "libx264", "-qp", "0")
    assert resize(doubled, tmp_path / "r.mp4", recipe, 120).frames == 120
    facts = resize(doubled, tmp_path / "r.mp4", recipe, 120, remove_dup=True)
    assert 55 <= facts.frames <= 70
    assert facts.duration == pytest.approx(2, abs=0.05)


def test_an_odd_short_edge_is_refused(plain: Path, tmp_path: Path, recipe: Recipe) -> None:
    with pytest.raises(ValueError, match="even"):
        resize(plain, tmp_path / "r.mp4", recipe, 255)


@pytest.mark.parametrize(
    ("recipe", "size", "expected"),
    [
        (FrameRecipe(256), (340, 254), (340, 254)),
        (FrameRecipe(256), (250, 334), (250, 334)),
        (FrameRecipe(256), (300, 300), (256, 256)),
        (FrameRecipe(256), (320, 240), (320, 240)),
        (FrameRecipe(240), (1280, 720), (427, 240)),
        (FrameRecipe(256), (1920, 1080), (455, 256)),
        (FrameRecipe(3), (7, 6), (4, 3)),  # 3.5: halves go up
        (FrameRecipe(0), (321, 241), (321, 241)),
        (FrameRecipe(256, 340, 256), (250, 334), (340, 256)),
        (FrameRecipe(256, parity=True), (340, 254), (342, 256)),
        (FrameRecipe(256, parity=True), (250, 334), (256, 342)),
        (FrameRecipe(256, parity=True), (320, 240), (341, 256)),
        (FrameRecipe(240, parity=True), (1280, 720), (426, 240)),
        (FrameRecipe(256, even=True), (640, 360), (456, 256)),
        (FrameRecipe(256, even=True), (340, 480), (256, 362)),
        (FrameRecipe(256, even=True), (340, 256), (340, 256)),
        (FrameRecipe(256, even=True), (322, 240), (322, 240)),
    ],
)
def test_image_sizes(recipe: FrameRecipe, size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert recipe.size(*size) == expected


def numbers(folder: Path) -> list[int]:
    return [read_frame_numbers(path)[0] for path in sorted(folder.iterdir())]


def test_every_decoded_frame_gives_one_image(sources: dict[str, Path], tmp_path: Path, any_ffmpeg: str) -> None:
    for kind in ("30 fps", "variable rate", "edit list"):
        folder = tmp_path / f"{kind} 100%d (x)'s"
        facts = extract_frames(sources[kind], folder, recipe=FrameRecipe(81))
        assert numbers(folder) == read_frame_numbers(sources[kind])
        assert sorted(p.name for p in folder.iterdir())[:: facts.frames - 1] == [
            "img_00001.jpg",
            frame_name(facts.frames),
        ]
        assert frame_size(folder / "img_00001.jpg") == (108, 81) == (facts.width, facts.height)
        assert count_frames(folder) == (facts.frames, facts.bytes)


def test_a_frame_rate_samples_in_time(sources: dict[str, Path], tmp_path: Path, any_ffmpeg: str) -> None:
    facts = extract_frames(sources["30 fps"], tmp_path / "f", recipe=FrameRecipe(0, fps=10))
    assert facts.frames == 120
    assert numbers(tmp_path / "f") == list(range(0, 360, 3))
    extract_frames(sources["29.97 fps"], tmp_path / "f", recipe=FrameRecipe(0, fps=5))
    assert numbers(tmp_path / "f") == list(range(0, 360, 6))
    facts = extract_frames(sources["25 fps, one key frame"], tmp_path / "f", recipe=FrameRecipe(0, fps=30))
    shown = numbers(tmp_path / "f")
    assert [shown[30 * second] for second in range(12)] == [25 * second for second in range(12)]


@pytest.mark.parametrize("rate", [8, 10, 24, 25, 60])
def test_a_frame_rate_fills_the_whole_film(tmp_path: Path, rate: int, any_ffmpeg: str) -> None:
    source = make_video(tmp_path / "s.mp4", 6, rate, SIZE, tone=False)
    assert extract_frames(source, tmp_path / "f", recipe=FrameRecipe(0, fps=30)).frames == 180
    shown = numbers(tmp_path / "f")
    assert [shown[30 * second] for second in range(6)] == [rate * second for second in range(6)]
    assert shown[-1] == 6 * rate - (2 if rate == 60 else 1)


@pytest.mark.parametrize("fps", [0.3, 1, 5, 30])
def test_a_clip_of_one_frame_gives_images_at_any_rate(tmp_path: Path, fps: float, any_ffmpeg: str) -> None:
    source = make_video(tmp_path / "s.mp4", 2, Fraction(1, 2), SIZE, tone=False)
    facts = extract_frames(source, tmp_path / "f", recipe=FrameRecipe(0, fps=fps))
    assert facts.frames == len(list((tmp_path / "f").iterdir())) == max(1, round(fps * 2))


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_images_at_a_rate_show_the_nearest_frame_of_a_varying_one(tmp_path: Path, suffix: str, any_ffmpeg: str) -> None:
    times = [n / 12 + (0.06 if n % 3 == 1 else 0) for n in range(60)]
    source = make_video(tmp_path / f"s.{suffix}", 5, size=SIZE, times=times, tone=False)
    extract_frames(source, tmp_path / "f", recipe=FrameRecipe(0, fps=10))
    shown = [read_frame_numbers(path)[0] for path in sorted((tmp_path / "f").iterdir())]
    assert len(shown) in (49, 50)
    for slot, number in enumerate(shown):
        assert abs(times[number] - slot / 10) <= min(abs(time - slot / 10) for time in times) + 0.0015


def test_a_copy_of_an_uneven_clip_keeps_every_time(tmp_path: Path, recipe: Recipe, any_ffmpeg: str) -> None:
    # On average 30 a second, which Matroska's header then says of all frames.
    times = [n // 2 / 15 + n % 2 * 0.01 for n in range(90)]
    source = make_video(tmp_path / "s.mkv", 3, size=SIZE, times=times, tone=False)
    made: list[float] = []
    resize_clip(source, tmp_path / "o.mp4", short_edge=64, dense=True, remove_dup=False, recipe=recipe)
    probe(tmp_path / "o.mp4", times=made)
    assert made == pytest.approx(times, abs=0.0015)


def test_names_without_a_prefix(plain: Path, tmp_path: Path) -> None:
    recipe = FrameRecipe(64, fps=2, quality=1, pattern="%06d.jpg", even=True)
    facts = extract_frames(plain, tmp_path / "f", recipe=recipe)
    assert (facts.frames, facts.width, facts.height) == (24, 86, 64)
    assert sorted(path.name for path in (tmp_path / "f").iterdir()) == [f"{n:06d}.jpg" for n in range(1, 25)]
    assert count_frames(tmp_path / "f", "%06d.jpg") == (24, facts.bytes)
    with pytest.raises(MediaError, match=r"'0000..\.jpg' is in the folder and is no frame of it"):
        count_frames(tmp_path / "f")


def test_quality_1_is_the_reference_s(plain: Path, tmp_path: Path) -> None:
    extract_frames(plain, tmp_path / "f", recipe=FrameRecipe(0, quality=1))
    (tmp_path / "g").mkdir()
    convert(plain, tmp_path / "g" / "img_%05d.jpg", "-q:v", "1", "-flags:v", "+bitexact", "-frames:v", "5")
    for path in (tmp_path / "g").iterdir():
        assert path.read_bytes() == (tmp_path / "f" / path.name).read_bytes()


def test_an_older_folder_is_replaced_whole(plain: Path, tmp_path: Path) -> None:
    folder = tmp_path / "f"
    extract_frames(plain, folder, recipe=FrameRecipe(64))
    (folder / "img_99999.jpg").write_bytes(b"of an earlier version")
    extract_frames(plain, folder, recipe=FrameRecipe(64, fps=2))
    assert count_frames(folder)[0] == 24
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_a_failure_leaves_the_older_folder(plain: Path, tmp_path: Path) -> None:
    folder = tmp_path / "f"
    extract_frames(plain, folder, recipe=FrameRecipe(64, fps=2))
    (tmp_path / "page.mp4").write_bytes(b"<html>")
    with pytest.raises(MediaError):
        extract_frames(tmp_path / "page.mp4", folder, recipe=FrameRecipe(64))
    assert count_frames(folder)[0] == 24
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f", "page.mp4"]


def test_a_video_that_gives_no_image(plain: Path, tmp_path: Path) -> None:
    # Whole packets, all of them nonsense: the container is fine, nothing decodes.
    with av.open(str(plain)) as container, av.open(str(tmp_path / "n.mkv"), "w") as out:
        stream = out.add_stream_from_template(container.streams.video[0])
        for packet in container.demux(video=0):
            if packet.dts is not None:
                noise = av.Packet(bytes((11 * n) % 253 for n in range(packet.size)))
                noise.pts, noise.dts, noise.time_base, noise.stream = packet.pts, packet.dts, packet.time_base, stream
                noise.is_keyframe = packet.is_keyframe
                out.mux(noise)
    with pytest.raises(MediaError) as caught:
        extract_frames(tmp_path / "n.mkv", tmp_path / "f", recipe=FrameRecipe(64))
    assert caught.value.reason is Reason.NO_FRAMES
    assert not (tmp_path / "f").exists()


def test_gaps_and_strangers_among_images_are_seen(plain: Path, tmp_path: Path) -> None:
    folder = tmp_path / "f"
    extract_frames(plain, folder, recipe=FrameRecipe(64, fps=2))
    (folder / "img_00007.jpg").rename(folder / "img_00099.jpg")
    with pytest.raises(MediaError, match=r"img_00007\.jpg is not there"):
        count_frames(folder)
    (folder / "img_00099.jpg").rename(folder / "img_000007.jpg")
    with pytest.raises(MediaError, match="is no frame of it"):
        count_frames(folder)
    (folder / "img_000007.jpg").rename(folder / "img_00007.jpg")
    (folder / "img_00003.jpg").write_bytes(b"")
    with pytest.raises(MediaError, match=r"img_00003\.jpg is empty"):
        count_frames(folder)


def test_image_names() -> None:
    assert [frame_name(n) for n in (1, 99_999, 100_000)] == ["img_00001.jpg", "img_99999.jpg", "img_100000.jpg"]


@pytest.mark.shared
@needs_oracles
def test_resized_copies_are_those_of_the_reference(tmp_path: Path, recipe: Recipe) -> None:
    case = ORACLES / "kinetics_resize_dense"
    expected = json.loads((case / "expected" / "outputs_dense.json").read_text())
    for name, source in json.loads((case / "inputs" / "videos.json").read_text()).items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        make_video(path, source["seconds"], source["fps"], (source["width"], source["height"]), tone="audio" in source)
        facts = resize(path, tmp_path / "out.mp4", recipe)
        wanted = expected.get(
            name, {"width": 512, "height": 256, "decoded_frames": 60, "key_frames_0based": [0, 16, 32, 48]}
        )
        assert (facts.width, facts.height) == (wanted["width"], wanted["height"])
        assert facts.frames == wanted["decoded_frames"]
        assert key_frames(tmp_path / "out.mp4") == wanted["key_frames_0based"]


@pytest.mark.shared
@needs_oracles
def test_resized_files_are_those_of_the_reference(tmp_path: Path, recipe: Recipe) -> None:
    case = ORACLES / "resize_videos"
    outputs = json.loads((case / "expected" / "_runs.json").read_text())[0]["outputs"]
    for name, expected in outputs.items():
        facts = resize(case / "inputs" / "videos" / Path(name).relative_to("out"), tmp_path / "out.mp4", recipe)
        stream = expected["streams"][0]
        assert (facts.width, facts.height, facts.frames) == (
            stream["width"], stream["height"], int(stream["nb_read_frames"]),
        )  # fmt: skip
        assert key_frames(tmp_path / "out.mp4") == expected["keyframes"]


@pytest.mark.shared
@needs_oracles
@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_an_avi_of_the_reference(tmp_path: Path, recipe: Recipe, suffix: str) -> None:
    """Its option --to-mp4 changes the container, and nothing that is counted."""
    case = ORACLES / "resize_videos"
    runs = json.loads((case / "expected" / "_runs.json").read_text())
    expected = next(run for run in runs if run["case"] == "avi_to_mp4_scale64")["outputs"]["out/c2/u.mp4"]
    facts = resize_clip(
        case / "inputs/videos/c2/u.avi", tmp_path / f"u{suffix}", short_edge=64, dense=True, remove_dup=False,
        recipe=recipe, container=CONTAINERS[suffix],
    )  # fmt: skip
    stream = expected["streams"][0]
    assert (facts.width, facts.height, facts.frames, facts.video_codec) == (
        stream["width"], stream["height"], int(stream["nb_read_frames"]), "h264",
    )  # fmt: skip
    assert key_frames(tmp_path / f"u{suffix}") == expected["keyframes"]


@pytest.mark.shared
@needs_oracles
def test_frames_are_those_of_the_reference(tmp_path: Path) -> None:
    case = ORACLES / "rawframes_opencv"
    videos = json.loads((case / "inputs" / "videos.json").read_text())
    for file, recipe in {
        "new_short_256_ext_mp4.json": FrameRecipe(256, parity=True),
        "new_340x256_mixed_ext.json": FrameRecipe(0, 340, 256),
        "level1_original_size.json": FrameRecipe(0),
    }.items():
        for name, wanted in json.loads((case / "expected" / file).read_text()).items():
            found = next(video for key, video in videos.items() if Path(name).name in key)
            source = videos["class_b/CCCCCCCCCCC_000000_000010.mp4"] if isinstance(found, str) else found
            size = (source["width"], source["height"])
            video = make_video(tmp_path / "v.mp4", source["seconds"], source["fps"], size)
            facts = extract_frames(video, tmp_path / "f", recipe=recipe)
            names = sorted(path.name for path in (tmp_path / "f").iterdir())
            assert (len(names), names[0], names[-1]) == (wanted["n"], wanted["first"], wanted["last"])
            assert f"{facts.width},{facts.height}" == wanted["size"]
            assert frame_size(tmp_path / "f" / names[0]) == (facts.width, facts.height)


@pytest.mark.shared
@needs_oracles
def test_frames_of_files_are_those_of_the_reference(tmp_path: Path) -> None:
    case = ORACLES / "build_rawframes_opencv"
    recipes = {
        "l2_original_size": FrameRecipe(0), "l2_short32": FrameRecipe(32, parity=True), "l2_mixed_50x40": FrameRecipe(0, 50, 40),
        "l2_upscale_short128": FrameRecipe(128, parity=True),
    }  # fmt: skip
    checked = 0
    for run in json.loads((case / "expected" / "_runs.json").read_text()):
        for name, wanted in run["frames"].items() if run["case"] in recipes else ():
            source = next((case / "inputs" / "videos").glob(f"*/{Path(name).name}.*"))
            facts = extract_frames(source, tmp_path / "f", recipe=recipes[run["case"]])
            assert (facts.frames, [facts.height, facts.width, 3]) == (wanted["count"], wanted["shape"])
            checked += 1
    assert checked >= 8
    with pytest.raises(MediaError):
        extract_frames(case / "inputs" / "videos" / "land" / "broken.avi", tmp_path / "g", recipe=FrameRecipe())


@pytest.mark.shared
@needs_oracles
def test_flat_frames_are_those_of_the_reference(tmp_path: Path) -> None:
    case = ORACLES / "gurkirt_frame_extract"
    expected = json.loads((case / "expected" / "frames_fps30.json").read_text())
    recipe = FrameRecipe(256, fps=30, quality=1, pattern="%06d.jpg", even=True)
    for name, told in json.loads((case / "inputs" / "videos.json").read_text()).items():
        size, fps, seconds = told.replace("fps", "").replace("s", "").split()
        width, height = map(int, size.split("x"))
        source = make_video(tmp_path / "v.mp4", int(seconds), int(fps), (width, height), tone=False)
        extract_frames(source, tmp_path / "f", recipe=recipe)
        names = sorted(path.name for path in (tmp_path / "f").iterdir())
        found = ",".join(map(str, frame_size(tmp_path / "f" / names[0])))
        wanted = {"n": len(names), "first": names[0], "last": names[-1], "size": found}
        assert wanted == expected[Path(name).stem]


@pytest.mark.shared
@needs_oracles
def test_the_image_of_each_second_is_that_of_the_reference(tmp_path: Path, recipe: Recipe) -> None:
    from clipquarry.media.cut import cut_clip

    expected = json.loads((ORACLES / "frame_time_mapping" / "expected" / "first_frame_of_each_second.json").read_text())
    source = make_video(tmp_path / "s.mp4", 10, 25, SIZE, tone=False, gop=250)
    total = expected.pop("total_frames")
    for chosen in (recipe, recipe.model_copy(update={"fps": 30})):
        cut_clip(source, tmp_path / "c.mp4", start=3, duration=4, recipe=chosen, tolerance=0.5)
        facts = extract_frames(tmp_path / "c.mp4", tmp_path / "f", recipe=FrameRecipe(0, fps=30))
        assert facts.frames == total
        seconds = [number // 25 for number in numbers(tmp_path / "f")]
        assert {str(second): seconds.index(second) + 1 for second in sorted(set(seconds))} == expected


@pytest.mark.parametrize("suffix", [suffix for suffix in CONTAINERS if suffix not in (".mts", ".m2ts")])
def test_a_copy_in_the_container_of_its_clip(tmp_path: Path, recipe: Recipe, suffix: str, any_ffmpeg: str) -> None:
    source = make_video(tmp_path / "s.mkv", 2, 25, (160, 120), b_frames=3)
    out = tmp_path / f"r{suffix}"
    facts = resize_clip(
        source, out, short_edge=64, dense=True, remove_dup=False, recipe=recipe, container=CONTAINERS[suffix]
    )
    assert (facts.video_codec, facts.width, facts.height, facts.frames, facts.has_audio) == ("h264", 86, 64, 50, False)
    assert facts.fps == pytest.approx(25, rel=0.01)
    assert facts.keyframe_gap <= 16
    assert key_frames(out) == [0, 16, 32, 48]
    assert read_frame_numbers(out) == list(range(50))


@pytest.mark.parametrize("kind", ["mpeg4 avi", "transport stream", "matroska"])
def test_a_copy_of_a_clip_in_its_own_container(
    sources: dict[str, Path], tmp_path: Path, recipe: Recipe, kind: str
) -> None:
    source = sources[kind]
    out = tmp_path / f"r{source.suffix}"
    container = CONTAINERS[source.suffix]
    facts = resize_clip(source, out, short_edge=128, dense=True, remove_dup=False, recipe=recipe, container=container)
    assert facts.keyframe_gap <= 16
    assert read_frame_numbers(out) == read_frame_numbers(source)
