"""Real clips as they sound and as a network hears them: from any file, or from a row of a collection's table."""

import dataclasses
import os
from pathlib import Path

import numpy as np

from cvae_music.audio.analysis import (
    beat_frame_times,
    log_mel,
    seconds_frame_times,
)
from cvae_music.audio.beats import FALLBACK_TEMPO, track_beats
from cvae_music.audio.files import READABLE, AudioError, load_audio, printable

READ_SECONDS = 40.0
LOOP_BEATS = (
    8  # length of the composed loop that clips on the grid in seconds are cut from
)
SILENCE_MARGIN_DB = 10.0  # what stays within this of the floor holds no music


@dataclasses.dataclass(frozen=True)
class RealClip:
    """A piece of music the length of the model's clips.

    Args:
        name: What to call it.
        samples: Shape `(samples,)`, as recorded.
        log_mel: dB, shape `(num_frames, n_mels)`.
        tempo: Beats a minute as tracked.
        is_tracked: False where no steady beat was found and a grid of 120 beats a minute was laid.
    """

    name: str
    samples: np.ndarray
    log_mel: np.ndarray
    tempo: float
    is_tracked: bool


def load_window(row, config):
    """A clip of a collection by its row in the table: composed again, or read from its file.

    Args:
        row: Pandas row or dict, a row of `FeatureSet.table`.
        config: `AudioConfig`.

    Returns:
        `RealClip`. Sound from a file is read as a loop with even beats; of composed music the log-mel is that of the features.

    Raises:
        AudioError: If its file is gone.
    """
    row, on_beats, start = dict(row), config.grid == "beats", 0.0
    if row["path"]:
        whole = load_audio(row["path"], config, row["start"], row["end"] - row["start"])
    else:
        from known_music import (
            compose,  # inside: features of files must not depend on how music is composed
        )

        whole = compose(
            row, config.sample_rate, config.num_beats if on_beats else LOOP_BEATS
        )
        start = row["start"]
    if on_beats:
        beats = np.linspace(0.0, config.seconds(row["tempo"]), config.num_beats + 1)
        samples, times = whole, beat_frame_times(beats, config)
    else:
        length = np.arange(round(config.seconds() * config.sample_rate))
        samples = np.take(
            whole, round(start * config.sample_rate) + length, mode="wrap"
        )
        times = seconds_frame_times(start, config)
    level = log_mel(whole, times, config, wrap=True)
    return RealClip(
        f"{row['genre']}, {row['clip_id']}",
        samples,
        level,
        float(row["tempo"]),
        row["grid"] != "fallback",
    )


def load_first_window(path, config, start=0.0):
    """Reads the first whole clip of a file after `start` seconds.

    Args:
        path: A sound file, see `cvae_music.audio.files.AUDIO_ENDINGS`.
        config: `AudioConfig` of the model.
        start: Where to begin, in seconds.

    Returns:
        `RealClip`.

    Raises:
        AudioError: If the file cannot be read, is silent there or too short.
    """
    path = existing_file(path)
    samples = read_sound(path, config, start, READ_SECONDS)
    edges, grid = frame_edges(samples, config)
    if len(edges) <= config.num_frames:
        found, wanted = (
            f"{(len(edges) - 1) // config.frames_per_beat} beats in ",
            f"{config.num_beats} beats",
        )
        if config.grid == "seconds":
            found, wanted = "", f"{config.seconds():.1f} s"
        found += f"{len(samples) / config.sample_rate:.1f} s from {start:g} s on; expected at least {wanted}"
        raise AudioError(
            path,
            "too short",
            f"Found {found}. Choose a longer file or an earlier start.",
        )
    first, last = np.round(edges[[0, config.num_frames]] * config.sample_rate).astype(
        int
    )
    level = log_mel(samples, edges[: config.num_frames], config)
    return RealClip(
        printable(path.name),
        samples[first:last],
        level,
        mean_tempo(edges, config),
        grid != "fallback",
    )


def existing_file(path):
    """The path with `~` filled in and quotes of a copied path taken off, if there is a file."""
    given = str(path).strip().strip("'\"")
    path = Path(os.path.expanduser(given))
    if not given:
        raise AudioError(
            "No path",
            "nothing to read",
            f"Expected the path of a file ending in {READABLE}.",
        )
    if os.path.isdir(path):
        raise AudioError(
            path, "a folder", "Expected a file; add the name of one in it."
        )
    if not os.path.isfile(path):
        raise AudioError(
            path,
            "no such file",
            f"Expected a file that ends in {READABLE}; paths begin at {Path.cwd()}.",
        )
    return path


def read_sound(path, config, start, duration):
    """`load_audio`, but refuses silence: a sine at the limit would just count as sound, and no beat is worth tracking below."""
    samples = load_audio(path, config, start, duration)
    if np.abs(samples).max() < 10 ** ((config.floor_db + SILENCE_MARGIN_DB) / 20):
        raise AudioError(
            path,
            "silent",
            f"No sound after {start:g} s is louder than the floor of the features.",
        )
    return samples


def frame_edges(samples, config):
    """Where the frames of a recording begin and the last one ends, in seconds, and the kind of grid: `(edges, grid)`."""
    if config.grid == "seconds":
        step = config.hop_length / config.sample_rate
        return np.arange(
            int(len(samples) / config.sample_rate / step) + 1
        ) * step, "seconds"
    beats, is_tracked = track_beats(samples, config)
    position = (
        np.arange((len(beats) - 1) * config.frames_per_beat + 1)
        / config.frames_per_beat
    )
    return np.interp(
        position, np.arange(len(beats)), beats
    ), "tracked" if is_tracked else "fallback"


def mean_tempo(edges, config):
    """Beats a minute of the first clip between these edges."""
    return (
        float(60.0 * config.num_beats / (edges[config.num_frames] - edges[0]))
        if config.grid == "beats"
        else FALLBACK_TEMPO
    )
