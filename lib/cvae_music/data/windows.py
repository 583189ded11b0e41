"""Clips of real music: a window of any file, or of a row of a collection's table."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cvae_music.audio.analysis import (
    beat_frame_times,
    log_mel,
    seconds_frame_times,
)
from cvae_music.audio.beats import FALLBACK_TEMPO, track_beats
from cvae_music.audio.files import READABLE, AudioError, load_audio, printable
from cvae_music.config import AudioConfig

READ_SECONDS = 40.0  # of a file, to find one clip in
LOOP_BEATS = 8  # of the composed loop that a clip on the grid in seconds is cut from
SILENCE_MARGIN_DB = 10.0  # above the floor; below it a clip counts as silent


@dataclasses.dataclass(frozen=True)
class RealClip:
    """Holds one clip of a collection or a file: samples, log-mel and tempo.

    Args:
        name: Name to show.
        samples: Float32 array, shape `(samples,)`, at the `sample_rate` of the config.
        log_mel: Float32 array, shape `(num_frames, n_mels)`, in dB.
        tempo: Mean tempo, in beats a minute.
        is_tracked: False where no steady beat was found, so that the grid is one of 120
            beats a minute.
    """

    name: str
    samples: np.ndarray
    log_mel: np.ndarray
    tempo: float
    is_tracked: bool


def load_window(row: Mapping, config: AudioConfig) -> RealClip:
    """Loads a clip of a collection: composes it again, or reads it from its file.

    Args:
        row: Pandas row or dict, a row of `FeatureSet.table`.
        config: `AudioConfig`.

    Returns:
        `RealClip`. The log-mel of composed music equals that of the features. That of a
        file differs a little, because its sound is taken as a loop with even beats.

    Raises:
        AudioError: If its file is gone or cannot be read.

    Example:
        >>> from known_music import draw_factors
        >>> config = AudioConfig(grid="seconds", num_frames=16)
        >>> row = draw_factors(6, seed=0).iloc[0].to_dict()
        >>> row |= {"path": "", "start": 0.0, "clip_id": "first", "grid": "seconds"}
        >>> load_window(row, config).log_mel.shape
        (16, 128)
    """
    row = dict(row)
    is_on_beats = config.grid == "beats"
    start = 0.0
    if row["path"]:
        whole = load_audio(row["path"], config, row["start"], row["end"] - row["start"])
    else:
        # Not at the top, or `code_key` of files would depend on the composer's code.
        from known_music import compose

        num_beats = config.num_beats if is_on_beats else LOOP_BEATS
        whole = compose(row, config.sample_rate, num_beats)
        start = row["start"]
    if is_on_beats:
        beats = np.linspace(0.0, config.seconds(row["tempo"]), config.num_beats + 1)
        samples = whole
        times = beat_frame_times(beats, config)
    else:
        index = np.arange(round(config.seconds() * config.sample_rate))
        first = round(start * config.sample_rate)
        samples = np.take(whole, first + index, mode="wrap")
        times = seconds_frame_times(start, config)
    return RealClip(
        name=f"{row['genre']}, {row['clip_id']}",
        samples=samples,
        log_mel=log_mel(whole, times, config, wrap=True),
        tempo=float(row["tempo"]),
        is_tracked=row["grid"] != "fallback",
    )


def load_first_window(
    path: Path | str, config: AudioConfig, start: float = 0.0
) -> RealClip:
    """Reads the first whole clip of a file after `start` seconds.

    Args:
        path: A sound file, see `cvae_music.audio.files.AUDIO_ENDINGS`.
        config: `AudioConfig` of the model.
        start: Where to begin, in seconds.

    Returns:
        `RealClip`.

    Raises:
        AudioError: If the file cannot be read, is silent there, or holds no whole clip
            in the 40 s after `start`.

    Example:
        >>> import tempfile
        >>> from cvae_music.audio.files import write_audio
        >>> config = AudioConfig()
        >>> noise = np.random.default_rng(0).uniform(-1, 1, 22050 * 6)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "noise.wav")
        ...     write_audio(path, noise, config)
        ...     load_first_window(path, config).log_mel.shape
        (128, 128)
    """
    path = existing_file(path)
    samples = read_sound(path, config, start, READ_SECONDS)
    edges, grid = frame_edges(samples, config)
    if len(edges) <= config.num_frames:
        found = f"{len(samples) / config.sample_rate:.1f} s from {start:g} s on"
        wanted = f"{config.seconds():.1f} s"
        if config.grid == "beats":
            found = f"{(len(edges) - 1) // config.frames_per_beat} beats in {found}"
            wanted = f"{config.num_beats} beats"
        raise AudioError(
            path,
            "too short",
            f"Found {found}; expected at least {wanted}. Choose a longer file or an "
            "earlier start.",
        )
    ends = edges[[0, config.num_frames]] * config.sample_rate
    first, last = ends.round().astype(int)
    return RealClip(
        name=printable(path.name),
        samples=samples[first:last],
        log_mel=log_mel(samples, edges[: config.num_frames], config),
        tempo=mean_tempo(edges, config),
        is_tracked=grid != "fallback",
    )


def existing_file(path: object) -> Path:
    """Checks that a path is a file, and returns it.

    Args:
        path: Path as somebody typed it: `~` is expanded, quotes around it are removed.

    Returns:
        `Path`.

    Raises:
        AudioError: If there is no such file.
    """
    given = str(path).strip().strip("'\"")
    if not given:
        raise AudioError(
            "No path",
            "nothing to read",
            f"Expected the path of a file ending in {READABLE}.",
        )
    found = Path(os.path.expanduser(given))
    if os.path.isdir(found):
        raise AudioError(
            found, "a folder", "Expected a file; add the name of one in it."
        )
    if not os.path.isfile(found):
        raise AudioError(
            found,
            "no such file",
            f"Expected a file that ends in {READABLE}; paths begin at {Path.cwd()}.",
        )
    return found


def read_sound(
    path: Path | str, config: AudioConfig, start: float, duration: float
) -> np.ndarray:
    """Reads a part of a file in mono, as `load_audio` does, but refuses silence.

    Args:
        path: A sound file.
        config: `AudioConfig`.
        start: Where to begin, in seconds.
        duration: How much to read, in seconds.

    Returns:
        Float32 array, shape `(samples,)`, at `config.sample_rate`.

    Raises:
        AudioError: As `load_audio`, and if no sample exceeds the peak of a sine that is
            10 dB above the floor.
    """
    samples = load_audio(path, config, start, duration)
    limit = 10 ** ((config.floor_db + SILENCE_MARGIN_DB) / 20)
    if np.abs(samples).max() < limit:
        raise AudioError(
            path,
            "silent",
            f"No sound after {start:g} s is louder than the floor of the features.",
        )
    return samples


def frame_edges(samples: np.ndarray, config: AudioConfig) -> tuple[np.ndarray, str]:
    """Computes the times at which the frames of a recording begin, in seconds.

    Args:
        samples: Float array, shape `(samples,)`, at `config.sample_rate`.
        config: `AudioConfig`.

    Returns:
        `(edges, grid)`: float array, shape `(frames + 1,)`, seconds, whose last value
        is the end of the last frame; and `"seconds"`, `"tracked"` or `"fallback"`.
    """
    if config.grid == "seconds":
        step = config.hop_length / config.sample_rate
        num_frames = int(len(samples) / config.sample_rate / step)
        return np.arange(num_frames + 1) * step, "seconds"
    beats, is_tracked = track_beats(samples, config)
    num_frames = (len(beats) - 1) * config.frames_per_beat
    position = np.arange(num_frames + 1) / config.frames_per_beat
    edges = np.interp(position, np.arange(len(beats)), beats)
    return edges, "tracked" if is_tracked else "fallback"


def mean_tempo(edges: np.ndarray, config: AudioConfig) -> float:
    """Computes the mean tempo of the first clip, in beats a minute.

    Args:
        edges: Float array, shape `(frames + 1,)`, seconds, as `frame_edges` returns it;
            at least `num_frames` frames.
        config: `AudioConfig`.

    Returns:
        The tempo; 120 on the grid in seconds, which knows no beats.
    """
    if config.grid == "seconds":
        return FALLBACK_TEMPO
    return float(60.0 * config.num_beats / (edges[config.num_frames] - edges[0]))
