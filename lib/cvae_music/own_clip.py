"""A clip from outside: an upload or a file, cut to whole beats, as the model hears it."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np

from cvae_music.audio import AudioError, beat_frame_times, load_audio, log_mel, seconds_frame_times
from cvae_music.beats import track_beats

READ_SECONDS = 40.0
MAX_UPLOAD_BYTES = 40 * 2**20
QUIETEST = 1e-3  # highest sample of what counts as sound, -60 dB
LONGER = "Choose a longer file or an earlier start."


@dataclasses.dataclass(frozen=True)
class OwnClip:
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


def read_clip(path, config, start=0.0):
    """Reads the first whole clip of a file after `start` seconds.

    Args:
        path: A wav, mp3, ogg or flac file.
        config: `AudioConfig` of the model.
        start: Where to begin, in seconds.

    Returns:
        `OwnClip`.

    Raises:
        AudioError: If the file cannot be read, is silent there or too short.
    """
    path = existing_file(path)
    samples = load_audio(path, config, start, READ_SECONDS)
    if np.abs(samples).max() < QUIETEST:
        raise AudioError(path.name, "silent", f"No sound after {start:g} s; choose another start.")
    seconds = len(samples) / config.sample_rate
    if config.grid == "beats":
        beats, is_tracked = track_beats(samples, config)
        if len(beats) <= config.num_beats:
            found = f"Found {max(0, len(beats) - 1)} beats in {seconds:.1f} s from {start:g} s on"
            raise AudioError(path.name, "too short", f"{found}; expected at least {config.num_beats}. {LONGER}")
        edges = beats[: config.num_beats + 1]
        times = beat_frame_times(edges, config)
        tempo = 60.0 * config.num_beats / (edges[-1] - edges[0])
    else:
        edges, is_tracked, tempo = np.array([0.0, config.seconds()]), True, 120.0
        times = seconds_frame_times(0.0, config)
        if seconds < edges[1]:
            found = f"{seconds:.1f} s are left from {start:g} s on; expected {edges[1]:.1f} s."
            raise AudioError(path.name, "too short", f"{found} {LONGER}")
    first, last = np.round(edges[[0, -1]] * config.sample_rate).astype(int)
    return OwnClip(path.name, samples[first:last], log_mel(samples, times, config), float(tempo), is_tracked)


def existing_file(path):
    """The path with `~` filled in and quotes of a copied path taken off, if there is a file."""
    given = str(path).strip().strip("'\"")
    path = Path(given).expanduser()
    if not given:
        raise AudioError("No path", "nothing to read", "Expected the path of a wav, mp3, ogg or flac file; type one.")
    if path.is_dir():
        raise AudioError(path, "a folder", "Expected a file; add the name of one in it.")
    if not path.is_file():
        raise AudioError(path, "no such file", f"Expected a wav, mp3, ogg or flac file; paths begin at {Path.cwd()}.")
    return path


def encode_clip(model, path, start=0.0):
    """The latent of a file's first clip after `start` seconds, shape `(latent_dim,)`; raises as `read_clip`."""
    clip = read_clip(path, model.audio_config, start)
    return model.encode(model.audio_config.scale(clip.log_mel[None]))[0][0]


def real_clip(row, config):
    """A clip of a collection by its row in the table: composed again, or read from its file.

    Args:
        row: Dict, a row of `FeatureSet.table`.
        config: `AudioConfig`.

    Returns:
        `OwnClip`.

    Raises:
        AudioError: If its file is gone.
    """
    name = f"{row['genre']}, {row['clip_id']}"
    if row["path"]:
        samples = load_audio(row["path"], config, row["start"], row["end"] - row["start"])
    else:
        from cvae_music.extraction import composed_clip

        samples, start, seconds = composed_clip(row, config)
        if config.grid == "seconds":
            first = int(round(start * config.sample_rate))
            samples = np.take(samples, np.arange(first, first + int(seconds * config.sample_rate)), mode="wrap")
    if config.grid == "beats":
        times = beat_frame_times(np.linspace(0.0, len(samples) / config.sample_rate, config.num_beats + 1), config)
    else:
        times = seconds_frame_times(0.0, config)
    return OwnClip(name, samples, log_mel(samples, times, config, wrap=True), float(row["tempo"]), row["grid"] != "fallback")


def keep_upload(value, folder):
    """Writes what a `FileUpload` widget holds to a folder.

    Args:
        value: Its `value`: a dict of name to content (ipywidgets 7), or a tuple of dicts (ipywidgets 8).
        folder: Where to keep the file.

    Returns:
        Its path, or None when nothing was uploaded.

    Raises:
        ValueError: If the file is empty or too large.
    """
    files = [(name, file["content"]) for name, file in value.items()] if isinstance(value, dict) else [
        (file["name"], file["content"]) for file in value
    ]  # fmt: skip
    if not files:
        return None
    name, content = Path(files[-1][0]).name, bytes(files[-1][1])
    if not content:
        raise ValueError(f"{name}: empty file. It holds 0 bytes; expected a sound file. Export it again.")
    if len(content) > MAX_UPLOAD_BYTES:
        size, most = len(content) / 2**20, MAX_UPLOAD_BYTES / 2**20
        raise ValueError(f"{name} holds {size:.0f} MB; expected at most {most:.0f} MB. Cut it shorter, or give its path.")
    return keep_file(folder, name, content)


def keep_file(folder, name, content):
    """Writes bytes to a folder under their name, with a number added where another file has it; returns the path."""
    first = Path(folder) / name
    first.parent.mkdir(parents=True, exist_ok=True)
    for path in itertools.chain([first], (first.with_stem(f"{first.stem}_{k}") for k in itertools.count(2))):
        if not path.exists():
            path.write_bytes(content)
        if path.read_bytes() == content:
            return path
