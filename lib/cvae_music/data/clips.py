"""Single clips as they sound: from a file, from a row of a collection."""

import dataclasses
from pathlib import Path

import numpy as np

from cvae_music.audio.analysis import beat_frame_times, log_mel, seconds_frame_times, track_beats
from cvae_music.audio.files import AudioError, load_audio
from cvae_music.data.extraction import composed_clip


def load_clip(features, index):
    """The sound of one clip as it was before it became features.

    Args:
        features: `FeatureSet`.
        index: Row of its table.

    Returns:
        Float32 array, shape `(samples,)`, at the sample rate of the features.

    Raises:
        AudioError: If the file is gone.
    """
    row, config = features.table.iloc[index].to_dict(), features.config
    if row["path"]:
        samples = load_audio(row["path"], config, row["start"], row["end"] - row["start"])
        if row["pitch_shift"]:
            import librosa

            samples = librosa.effects.pitch_shift(samples, sr=config.sample_rate, n_steps=row["pitch_shift"])
        return samples
    samples, start, seconds = composed_clip(row, config)
    if config.grid == "beats":
        return samples
    first = int(round(start * config.sample_rate))
    return np.take(samples, np.arange(first, first + int(round(seconds * config.sample_rate))), mode="wrap")


READ_SECONDS = 40.0
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
        from cvae_music.data.extraction import composed_clip

        samples, start, seconds = composed_clip(row, config)
        if config.grid == "seconds":
            first = int(round(start * config.sample_rate))
            samples = np.take(samples, np.arange(first, first + int(seconds * config.sample_rate)), mode="wrap")
    if config.grid == "beats":
        times = beat_frame_times(np.linspace(0.0, len(samples) / config.sample_rate, config.num_beats + 1), config)
    else:
        times = seconds_frame_times(0.0, config)
    return OwnClip(name, samples, log_mel(samples, times, config, wrap=True), float(row["tempo"]), row["grid"] != "fallback")
