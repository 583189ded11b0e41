"""Sounds beside the studio's clip: own clips, real clips, saved files."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cvae_music import generation
from cvae_music.audio.files import encode_audio
from cvae_music.audio.inversion import to_audio
from cvae_music.data import windows
from cvae_music.serialization import write_file

if TYPE_CHECKING:
    from cvae_music.config import AudioConfig
    from cvae_music.controls import Controls
    from cvae_music.models.base import ClipModel

MAX_UPLOAD_BYTES = 40 * 2**20
COMPARISONS = (
    "the real clip",
    "the real clip through features and back",
    "the real clip through the model",
)


@dataclasses.dataclass(frozen=True, eq=False)
class OwnClip:
    """Holds a clip of one's own: where it was read from and its latent.

    Args:
        path: The file.
        start: Seconds of the file that were skipped.
        clip: What was read.
        latent: Its latent, shape `(latent_dim,)`.
    """

    path: Path
    start: float
    clip: windows.RealClip
    latent: np.ndarray


def describe_clip(clip: windows.RealClip) -> str:
    """Describes a real clip in words: its name and its tempo."""
    return f"{clip.name}, {clip.tempo:.1f} beats a minute"


def encode_real_clip(model: ClipModel, clip: windows.RealClip) -> np.ndarray:
    """Encodes a real clip to its latent, shape `(latent_dim,)`."""
    return model.encode(model.audio_config.scale(clip.log_mel[None])).mean[0]


def read_own_clip(model: ClipModel, path: str | Path, start: float) -> OwnClip:
    """Reads and encodes the first clip of a file after `start` seconds.

    Args:
        model: `VAE` or `ConditionalVAE`.
        path: A sound file, as somebody typed its path.
        start: Seconds of the file to skip.

    Returns:
        `OwnClip`.

    Raises:
        AudioError: As `load_first_window`.
    """
    file = windows.existing_file(path)
    clip = windows.load_first_window(file, model.audio_config, start)
    return OwnClip(file, start, clip, encode_real_clip(model, clip))


def nearest_clip(
    model: ClipModel, controls: Controls, latent: np.ndarray
) -> tuple[windows.RealClip, str | None]:
    """Loads the real clip nearest to a latent on the map.

    Args:
        model: `VAE` or `ConditionalVAE`.
        controls: `Controls` of this model.
        latent: Float array, shape `(latent_dim,)`.

    Returns:
        `(clip, genre)`: `RealClip`, and its genre for a model with a label, else None.

    Raises:
        AudioError: As `load_window`.
    """
    row = controls.table.iloc[controls.nearest(latent @ controls.axes.T)]
    genre = row["genre"] if model.num_genres else None
    return windows.load_window(row, model.audio_config), genre


def comparison_samples(
    model: ClipModel, clip: windows.RealClip, genre: Any, kind: str
) -> np.ndarray:
    """Makes the samples of a real clip to compare the studio's clip with.

    Args:
        model: `VAE` or `ConditionalVAE`.
        clip: The real clip.
        genre: Genre, or mixture of genres, it is decoded as, see `make_clip`.
        kind: One of `COMPARISONS`: the clip as it is, sent through the features and
            back, or sent through the model.

    Returns:
        Float array, shape `(samples,)`.
    """
    if kind == COMPARISONS[0]:
        return clip.samples
    if kind == COMPARISONS[1]:
        return to_audio(clip.log_mel, model.audio_config, clip.tempo)
    latent = encode_real_clip(model, clip)
    return generation.make_clip(
        model, latent=latent, genre=genre, tempo=clip.tempo
    ).samples


def keep_upload(value: Any, folder: Path) -> Path:
    """Writes what a `FileUpload` widget holds to a folder.

    Args:
        value: Its `value`: a dict of name to content (ipywidgets 7), or a tuple of
            dicts (ipywidgets 8).
        folder: Where to keep the file.

    Returns:
        Path of the file.

    Raises:
        ValueError: If the file is empty or too large.
    """
    if isinstance(value, dict):
        name, file = list(value.items())[-1]
    else:
        file = value[-1]
        name = file["name"]
    content = bytes(file["content"])
    name = re.sub(r"[^\w. -]+", "_", Path(name).name)[-60:]
    if not content:
        raise ValueError(
            f"{name}: empty file. It holds 0 bytes; expected a sound file. "
            "Export it again."
        )
    if len(content) > MAX_UPLOAD_BYTES:
        raise ValueError(
            f"{name} holds {len(content) / 2**20:.0f} MB; expected at most "
            f"{MAX_UPLOAD_BYTES / 2**20:.0f} MB. Cut it shorter, or give its path."
        )
    if name.startswith(".") or not name:
        name = f"clip{name}"
    return keep_file(folder / name, content)


def keep_file(path: Path, content: bytes) -> Path:
    """Writes bytes to a path, numbered where another file has its name.

    Args:
        path: File to write.
        content: Its bytes.

    Returns:
        Path of the file that holds them.
    """
    numbered = path
    number = 1
    while True:
        if not numbered.exists():
            write_file(numbered, lambda file: file.write(content))
        if numbered.read_bytes() == content:
            return numbered
        number += 1
        numbered = path.with_stem(f"{path.stem}_{number}")


def save_sound(
    samples: np.ndarray, config: AudioConfig, path: Path
) -> tuple[Path, Path]:
    """Writes samples as WAV and MP3 under a name that no other sound has.

    Args:
        samples: Float array, shape `(samples,)`.
        config: `AudioConfig`, for the sample rate.
        path: Path of the WAV file, numbered where it is taken.

    Returns:
        `(wav, mp3)`: paths of both files.

    Raises:
        ValueError: If an mp3 cannot have the sample rate.
    """
    wav = keep_file(path, encode_audio(samples, config, "wav"))
    mp3 = keep_file(wav.with_suffix(".mp3"), encode_audio(samples, config, "mp3"))
    return wav, mp3
