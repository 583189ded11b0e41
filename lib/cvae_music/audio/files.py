"""Sound in files: read a piece of one, write one."""

import os

import librosa
import numpy as np
import soundfile


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
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise AudioError(path, "unreadable", "Expected wav, mp3, ogg or flac; convert it or remove it.") from error


def load_audio(path, config, start=0.0, duration=None):
    """Reads a piece of a file: only that piece is decoded, mixed to mono and resampled.

    Args:
        path: A wav, mp3, ogg or flac file.
        config: `AudioConfig`; its `sample_rate` is the one returned.
        start: Where to begin, in seconds.
        duration: How much to read, in seconds; `None` reads to the end.

    Returns:
        Float32 array, shape `(samples,)`, full scale at 1.

    Raises:
        AudioError: If the file cannot be read, holds no samples there, or holds NaN.
    """
    info = _header(path)
    first = int(round(start * info.samplerate))
    count = -1 if duration is None else int(round(duration * info.samplerate))
    try:
        with soundfile.SoundFile(str(path)) as file:
            file.seek(min(first, max(info.frames, 0)))
            samples = file.read(count, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise AudioError(path, "decoding failed", "The file is damaged; replace or remove it.") from error
    if len(samples) == 0:
        raise AudioError(path, "no audio", f"Nothing to read from {start:.2f} s; the file may be truncated.")
    samples = to_mono(samples)
    if not np.all(np.isfinite(samples)):
        raise AudioError(path, "not finite", "It holds NaN or infinite samples; export it again.")
    if info.samplerate != config.sample_rate:
        samples = librosa.resample(
            samples, orig_sr=info.samplerate, target_sr=config.sample_rate, res_type="soxr_hq"
        )
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


def write_audio(path, samples, config):
    """Writes WAV, MP3, OGG or FLAC by the ending of `path`; samples beyond full scale are turned down.

    Raises:
        ValueError: If the ending is unknown.
    """
    ending = os.path.splitext(str(path))[1].lower()
    if ending not in (".wav", ".mp3", ".ogg", ".flac"):
        raise ValueError(f"write_audio got the ending {ending!r}; expected .wav, .mp3, .ogg or .flac.")
    samples = np.asarray(samples, np.float32)
    samples = samples / max(1.0, float(np.abs(samples).max(initial=0.0)))
    partial = f"{os.path.splitext(str(path))[0]}.partial{ending}"
    soundfile.write(partial, samples, config.sample_rate)
    os.replace(partial, path)
