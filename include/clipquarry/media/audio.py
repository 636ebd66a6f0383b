"""The sound of a video as a wav file: the first audio stream, 16 bit PCM, at its own rate and with its own channels.

The samples are those of ``ffmpeg -map 0:a``, as in mmaction2's ``extract_audio.py``; nothing is resampled or mixed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import av
import ffmpeg
import numpy as np
import numpy.typing as npt

from clipquarry.media.encoding import SLOWEST, argv_of, input_options
from clipquarry.media.errors import MediaError
from clipquarry.media.probe import PROTOCOLS, opened
from clipquarry.media.run import run
from clipquarry.media.tools import ffmpeg as find_ffmpeg
from clipquarry.reasons import Reason

SILENT_DB = -60.0
"""Peak in dB of full scale below which a file counts as silent. Quieter sound is inaudible."""

NOTHING_DB = -100.0
"""The peak that is told where every sample is zero; the quietest other sample of 16 bits has -90.3 dB."""

_LOST_SECONDS, _LOST_SHARE = 0.1, 0.05
"""Seconds, and share of the whole, by which the wav may be shorter or longer than the packets of its source."""

_PIECE = 1 << 16
"""Bytes of a wav that are read at a time."""
_PROBED = 1 << 15
"""Bytes of a wav that libavformat reads to know what it is; usually 5 MB, which costs more than the features."""

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class AudioFacts:
    """Facts of a wav file, counted by decoding it."""

    samples: int
    """Samples of each channel."""
    rate: int
    """Samples per second."""
    channels: int
    peak_db: float
    """The loudest sample of any channel, in dB of full scale (0: full; :data:`NOTHING_DB`: all are zero)."""
    digest: str
    """sha256 of the decoded samples, whatever the file's header says."""

    @property
    def seconds(self) -> float:
        return self.samples / self.rate

    @property
    def silent(self) -> bool:
        return self.peak_db < SILENT_DB


@dataclass(frozen=True)
class SoundStream:
    """The first audio stream of a video."""

    rate: int
    """Samples per second, as decoded."""
    channels: int
    shortest: float
    longest: float
    """Seconds: of all packets together, and from the begin of the first to the end of the last. A clock of milliseconds
    makes the former too short, and a gap the latter too long; both are 0 where packets have no times.
    """


def sound_stream(source: Path) -> SoundStream:
    """The first audio stream of a video. Raises MediaError NO_AUDIO where there is none, or where none of it decodes
    to a sample; CORRUPT for an unknown codec; and what :func:`clipquarry.media.probe.opened` raises.
    """
    with opened(source) as (container, _):
        streams = container.streams.audio
        if not streams:
            raise MediaError(Reason.NO_AUDIO, "the video has no audio stream")
        stream = streams[0]
        if stream.codec_context is None:
            raise MediaError(Reason.CORRUPT, "unknown audio codec")
        ticks, begin, end, first = 0, None, 0, None
        for packet in container.demux(stream):
            if not packet.size:
                continue
            if not packet.is_discard and packet.pts is not None:
                length = packet.duration or 0
                ticks, begin = ticks + length, packet.pts if begin is None else min(begin, packet.pts)
                end = max(end, packet.pts + length)
            if first is None:
                try:
                    first = next(iter(packet.decode()), None)
                except av.InvalidDataError:
                    continue
        if first is None:
            raise MediaError(Reason.NO_AUDIO, "the audio stream of the video holds no sound that decodes")
        shortest, longest = sorted(float(count * stream.time_base) for count in (ticks, end - (begin or 0)))
        return SoundStream(first.sample_rate, first.layout.nb_channels, shortest, longest)


@contextmanager
def _opened_wav(path: Path) -> Iterator[Any]:
    options = {"protocol_whitelist": PROTOCOLS, "max_size": str(_PIECE), "probesize": str(_PROBED)}
    with open(path, "rb"):
        pass  # from here on, PyAV's errors are about the bytes
    try:
        with av.open(f"file:{path}", format="wav", options=options, metadata_errors="replace") as container:
            yield container
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise MediaError(Reason.CORRUPT, f"{path.name} is no wav file that decodes: {error}") from error


def _pieces(path: Path, through: Callable[[int], int] | None = None) -> Iterator[tuple[npt.NDArray[Any], int]]:
    """The samples of a wav, (samples, channels), in pieces, and their rate, resampled where ``through`` gives another."""
    with _opened_wav(path) as container:
        own = int(container.streams.audio[0].sample_rate)
        wanted = through(own) if through else own
        resampler = av.AudioResampler("fltp", rate=wanted) if wanted != own else None
        for frame in container.decode(audio=0):
            for piece in resampler.resample(frame) if resampler else (frame,):
                yield _array(piece), piece.sample_rate
        for piece in resampler.resample(None) if resampler else ():
            yield _array(piece), piece.sample_rate


def _array(frame: Any) -> npt.NDArray[Any]:
    """(samples, channels), whatever the frame's format."""
    values = frame.to_ndarray()
    return np.asarray(values.T if frame.format.is_planar else values.reshape(-1, frame.layout.nb_channels))


def measure(path: Path) -> AudioFacts:
    """Decode a wav file to its end. Raises MediaError CORRUPT if it is none, or holds no sample."""
    samples = rate = channels = 0
    peak, digest = 0.0, hashlib.sha256()
    for piece, rate in _pieces(path):  # noqa: B007 - the last one's
        samples, channels = samples + len(piece), piece.shape[1]
        peak = max(peak, float(np.abs(_floats(piece)).max(initial=0.0)))
        digest.update(piece.tobytes())
    if not samples:
        raise MediaError(Reason.CORRUPT, f"{path.name} holds no sample")
    level = round(20 * math.log10(peak), 2) if peak else NOTHING_DB
    return AudioFacts(samples, rate, channels, level, digest.hexdigest())


def _floats(piece: npt.NDArray[Any]) -> Samples:
    """Samples of any format between -1 and 1."""
    found: Samples = piece.astype(np.float32)
    if piece.dtype == np.uint8:  # unsigned, around 128
        found -= np.float32(128)
        found /= np.float32(128)
    elif np.issubdtype(piece.dtype, np.integer):
        found /= np.float32(-float(np.iinfo(piece.dtype).min))
    return found


def mono(path: Path, through: Callable[[int], int] | None = None) -> Iterator[tuple[Samples, int]]:
    """The mean of a wav's channels between -1 and 1, in pieces, and their rate in samples per second; libswresample
    brings it to ``through`` of the wav's own rate first.

    Raises MediaError CORRUPT if it is no wav file.
    """
    for piece, rate in _pieces(path, through):
        values = _floats(piece)
        mean = values[:, 0].copy()
        for channel in range(1, values.shape[1]):  # numpy's own mean of short rows takes ten times as long
            mean += values[:, channel]
        yield mean / np.float32(values.shape[1]), rate


def wav_argv(source: Path, out: Path) -> list[str]:
    """ffmpeg's arguments for the wav of a video's first audio stream."""
    options = {
        "c:a": "pcm_s16le", "f": "wav", "rf64": "auto",  # a wav of more than 4 GB has another header
        "map_metadata": -1, "fflags": "+bitexact", "flags:a": "+bitexact",
    }  # fmt: skip
    into = ffmpeg.input(f"file:{source}", **input_options())
    return argv_of(find_ffmpeg(), ffmpeg.output(into["a:0"], f"file:{out}", **options))


def extract_audio(source: Path, out: Path, *, seconds: float, cancelled: Event | None = None) -> AudioFacts:
    """Write the wav ``out`` of the video ``source``, which has ``seconds``, and verify it by decoding.

    ``out`` is written under its own name, so give a temporary one; it is removed on failure. Raises MediaError
    NO_AUDIO for a video without sound, and else as :func:`clipquarry.media.cut.cut_clip`.
    """
    source, out = Path(source).absolute(), Path(out).absolute()
    wanted = sound_stream(source)
    try:
        run(wav_argv(source, out), timeout=60 + SLOWEST * max(seconds, wanted.longest), cancelled=cancelled)
        made = measure(out)
        if problem := _problem(made, wanted):
            raise MediaError(Reason.TOOL_FAILED, f"the wav just made is wrong: {problem}")
    except BaseException:
        out.unlink(missing_ok=True)
        raise
    return made


def _problem(made: AudioFacts, wanted: SoundStream) -> str | None:
    """What is wrong with a wav, or None."""
    if (made.rate, made.channels) != (wanted.rate, wanted.channels):
        return f"{made.channels} channels at {made.rate} Hz, its source has {wanted.channels} at {wanted.rate} Hz"
    allowed = _LOST_SECONDS + _LOST_SHARE * wanted.longest
    if wanted.longest and not wanted.shortest - allowed <= made.seconds <= wanted.longest + allowed:
        return f"{made.seconds:.2f} s, the packets of its source have {wanted.shortest:.2f} to {wanted.longest:.2f} s"
    return None
