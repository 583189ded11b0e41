"""The sounds beside the studio's clip: a clip of one's own, the real clip to compare with, files to keep."""

import dataclasses
import itertools
import re
from pathlib import Path

import numpy as np

from cvae_music import generation
from cvae_music.audio.files import encode_audio
from cvae_music.audio.inversion import to_audio
from cvae_music.data import windows
from cvae_music.serialization import write_file

MAX_UPLOAD_BYTES = 40 * 2**20
COMPARISONS = (
    "the real clip",
    "the real clip through features and back",
    "the real clip through the model",
)


@dataclasses.dataclass(frozen=True, eq=False)
class Own:
    """A clip of one's own: where it was read from and what it became."""

    path: Path
    start: float
    clip: windows.RealClip
    latent: np.ndarray


def about(clip):
    """A real clip in words."""
    return f"{clip.name}, {clip.tempo:.1f} beats a minute"


def latent_of(model, clip):
    """The latent of a real clip, shape `(latent_dim,)`."""
    return model.encode(model.audio_config.scale(clip.log_mel[None]))[0][0]


def read_own(model, path, start):
    """An `Own`: the file's first clip after `start` seconds, encoded; raises as `load_first_window`."""
    path = windows.existing_file(path)
    clip = windows.load_first_window(path, model.audio_config, start)
    return Own(path, start, clip, latent_of(model, clip))


def nearest_clip(model, controls, latent):
    """The real clip nearest to a latent on the map, and its genre for a model with a label."""
    row = controls.table.iloc[controls.nearest(latent @ controls.axes.T)]
    return windows.load_window(row, model.audio_config), row[
        "genre"
    ] if model.num_genres else None


def comparison(model, clip, mix, kind):
    """Samples of a real clip to compare with: as it is, or sent through what the studio's clip went through.

    Args:
        model: `VAE` or `ConditionalVAE`.
        clip: `RealClip`.
        mix: Genres it is decoded as, see `make_clip`.
        kind: One of `COMPARISONS`.
    """
    if kind == COMPARISONS[0]:
        return clip.samples
    if kind == COMPARISONS[1]:
        return to_audio(clip.log_mel, model.audio_config, clip.tempo)
    return generation.make_clip(
        model, start=latent_of(model, clip), mix=mix, tempo=clip.tempo
    ).samples


def keep_upload(value, folder):
    """Writes what a `FileUpload` widget holds to a folder.

    Args:
        value: Its `value`: a dict of name to content (ipywidgets 7), or a tuple of dicts (ipywidgets 8).
        folder: Where to keep the file.

    Returns:
        Its path.

    Raises:
        ValueError: If the file is empty or too large.
    """
    files = (
        list(value.items())
        if isinstance(value, dict)
        else [(file["name"], file) for file in value]
    )
    name, content = (
        re.sub(r"[^\w. -]+", "_", Path(files[-1][0]).name)[-60:],
        bytes(files[-1][1]["content"]),
    )
    if not content:
        raise ValueError(
            f"{name}: empty file. It holds 0 bytes; expected a sound file. Export it again."
        )
    if len(content) > MAX_UPLOAD_BYTES:
        found = f"{name} holds {len(content) / 2**20:.0f} MB; expected at most {MAX_UPLOAD_BYTES / 2**20:.0f} MB."
        raise ValueError(f"{found} Cut it shorter, or give its path.")
    return keep_file(
        folder / f"clip{name}" if name.startswith(".") or not name else folder / name,
        content,
    )


def keep_file(first, content):
    """Writes bytes to a path, with a number added to its name where another file has it; returns the path."""
    for path in itertools.chain(
        [first], (first.with_stem(f"{first.stem}_{k}") for k in itertools.count(2))
    ):
        if not path.exists():
            write_file(path, lambda file: file.write(content))
        if path.read_bytes() == content:
            return path


def save_sound(samples, config, path):
    """Writes samples as WAV, and as MP3 beside it, under a name that no other sound has; returns both paths."""
    wav = keep_file(path, encode_audio(samples, config, "wav"))
    return wav, keep_file(wav.with_suffix(".mp3"), encode_audio(samples, config, "mp3"))
