"""Sound in files: read a piece of one, write one."""

import io
import os
from pathlib import Path

import librosa
import numpy as np
import soundfile

from cvae_music.store import write_file

# What libsndfile reads by itself, without ffmpeg: every door of this library accepts these and no others.
AUDIO_ENDINGS = (".wav", ".mp3", ".ogg", ".flac", ".aiff", ".aif", ".oga", ".opus")
READABLE = ", ".join(AUDIO_ENDINGS)
ENCODINGS = {"wav": "PCM_16", "mp3": "MPEG_LAYER_III", "ogg": "VORBIS", "flac": "PCM_16"}


class AudioError(ValueError):
    """A file that cannot be used; `reason` is a short phrase for reports."""

    def __init__(self, path, reason, detail=""):
        self.path, self.reason = str(path), reason
        super().__init__(f"{path}: {reason}. {detail}".strip())


def audio_duration(path):
    """Length of a file in seconds, read from its header without decoding it.

    Raises:
        AudioError: If the file is missing, empty or not audio.
    """
    return _header(path).duration


def _header(path):
    if not os.path.isfile(path):
        raise AudioError(path, "missing", "Expected a file at this path.")
    if os.path.getsize(path) == 0:
        raise AudioError(path, "empty file", "It holds 0 bytes; copy or download it again.")
    try:
        return soundfile.info(str(path))
    except RuntimeError as error:
        raise AudioError(path, "unreadable", f"Expected one of {READABLE}; convert it or remove it.") from error


def load_audio(path, config, start=0.0, duration=None):
    """Reads a piece of a file: only that piece is decoded, mixed to mono and resampled.

    Args:
        path: A file that ends in one of `AUDIO_ENDINGS`.
        config: `AudioConfig`; its `sample_rate` is the one returned.
        start: Where to begin, in seconds.
        duration: How much to read, in seconds; `None` reads to the end.

    Returns:
        Float32 array, shape `(samples,)`, full scale at 1.

    Raises:
        AudioError: If the file cannot be read, holds no samples there, or holds NaN.
    """
    rate = _header(path).samplerate
    count = -1 if duration is None else round(duration * rate)
    try:
        samples = soundfile.read(str(path), count, round(start * rate), dtype="float32", always_2d=True)[0]
    except RuntimeError as error:
        raise AudioError(path, "decoding failed", "The file is damaged; replace or remove it.") from error
    if len(samples) == 0:
        raise AudioError(path, "no audio", f"Nothing to read from {start:.2f} s; the file may be truncated.")
    samples = to_mono(samples)
    if not np.all(np.isfinite(samples)):
        raise AudioError(path, "not finite", "It holds NaN or infinite samples; export it again.")
    if rate != config.sample_rate:
        samples = librosa.resample(samples, orig_sr=rate, target_sr=config.sample_rate)
    return np.ascontiguousarray(samples, np.float32)


def to_mono(samples):
    """Mean of the channels, or the loudest channel where they cancel each other (opposite phase).

    Args:
        samples: Float array, shape `(samples, channels)`.

    Returns:
        Float array, shape `(samples,)`.
    """
    mixed = samples.mean(axis=1)
    energy = np.square(samples, dtype=np.float64).sum(axis=0)
    if np.square(mixed, dtype=np.float64).sum() < 0.05 * energy.max():
        return samples[:, energy.argmax()]
    return mixed


def full_scale(samples):
    """Turns samples down where a sound card would clip them; quiet ones stay quiet.

    Args:
        samples: Float array, full scale at 1.

    Returns:
        `(samples, decibels)`: within full scale, and by how much they were turned down (0 for most).
    """
    peak = float(np.abs(samples).max(initial=0.0))
    return (samples / peak, 20.0 * np.log10(peak)) if peak > 1.0 else (samples, 0.0)


def encode_audio(samples, config, kind="wav"):
    """Sound as the bytes of a file, at the level it has; only what is beyond full scale is turned down.

    Args:
        samples: Float array, shape `(samples,)`, full scale at 1.
        config: `AudioConfig`, for the sample rate.
        kind: `"wav"` (16 bits), `"mp3"`, `"ogg"` or `"flac"`.

    Returns:
        Bytes.

    Raises:
        ValueError: If the kind is unknown, or the samples are not finite mono audio.
    """
    if kind not in ENCODINGS:
        raise ValueError(f"Sound cannot be written as {kind!r}; expected one of {', '.join(ENCODINGS)}.")
    samples = np.asarray(samples, np.float32)
    is_finite = bool(np.all(np.isfinite(samples)))
    if samples.ndim != 1 or len(samples) == 0 or not is_finite:
        what = f"Got sound of shape {samples.shape}, finite: {is_finite}; expected finite mono samples, (samples,)."
        raise ValueError(f"{what} Pass one clip, mixed to mono.")
    samples, buffer = full_scale(samples)[0], io.BytesIO()
    with soundfile.SoundFile(buffer, "w", config.sample_rate, 1, ENCODINGS[kind], format=kind.upper()) as file:
        for first in range(0, len(samples), 2**16):  # libsndfile crashes on minutes of Ogg handed over at once
            file.write(samples[first : first + 2**16])
    return buffer.getvalue()


def write_audio(path, samples, config):
    """Writes a sound file of the kind that the ending of `path` names, whole or not at all; raises as `encode_audio`."""
    content = encode_audio(samples, config, Path(path).suffix.lower().removeprefix("."))
    write_file(path, lambda file: file.write(content))
