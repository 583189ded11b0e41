"""From a sound file to log-mel features on any time grid; `inversion` is the way back."""

import functools
import os

import librosa
import numpy as np
import soundfile

TINY = 1e-10


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


@functools.lru_cache(maxsize=16)
def mel_filters(config, pitch_shift=0.0):
    """Triangular mel filters on the HTK scale, shape `(n_mels, n_fft // 2 + 1)`, float32, peak 1.

    A positive `pitch_shift` (semitones) reads each band from proportionally lower frequencies, so
    that the features are those of the same music played higher.

    The same as `librosa.filters.mel(..., htk=True, norm=None)`, whose import the first sound would have to wait for.
    """
    # Bins named by higher frequencies than they have: the whole axis is stretched, bands and all.
    bins = np.fft.rfftfreq(config.n_fft, 1.0 / (config.sample_rate * 2.0 ** (pitch_shift / 12.0)))
    lowest, highest = (2595.0 * np.log10(1.0 + frequency / 700.0) for frequency in (config.fmin, config.fmax))
    edges = 700.0 * (10.0 ** (np.linspace(lowest, highest, config.n_mels + 2) / 2595.0) - 1.0)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)


@functools.lru_cache(maxsize=16)
def hann_window(n_fft):
    """Periodic Hann window, float32, shape `(n_fft,)`."""
    return np.hanning(n_fft + 1)[:-1].astype(np.float32)


def log_mel(samples, frame_times, config, wrap=False, pitch_shift=0.0):
    """Log-mel level at the given moments.

    Args:
        samples: Float array, shape `(samples,)`, at `config.sample_rate`.
        frame_times: Float array, shape `(frames,)`, seconds from the first sample; each window is
            centred on its moment.
        config: `AudioConfig`.
        wrap: Read beyond the ends as a loop (silence otherwise).
        pitch_shift: Semitones, see `mel_filters`.

    Returns:
        Float32 array, shape `(frames, n_mels)`, dB relative to a full-scale sine, within
        `[floor_db, ceiling_db]`.

    Raises:
        ValueError: If `samples` is not one-dimensional or is empty.
    """
    samples = np.asarray(samples, np.float32)
    if samples.ndim != 1 or len(samples) == 0:
        raise ValueError(
            f"log_mel got samples of shape {samples.shape}; expected mono audio, shape (samples,). Mix or reshape it."
        )
    window = hann_window(config.n_fft)
    centres = np.round(np.asarray(frame_times, np.float64) * config.sample_rate).astype(np.int64)
    index = centres[:, None] + np.arange(-(config.n_fft // 2), config.n_fft - config.n_fft // 2)[None, :]
    if wrap:
        frames = samples[index % len(samples)]
    else:
        inside = (index >= 0) & (index < len(samples))
        frames = np.where(inside, samples[np.clip(index, 0, len(samples) - 1)], 0.0)
    spectrum = np.fft.rfft(frames * window, axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32) * (2.0 / window.sum()) ** 2
    level = 10.0 * np.log10(np.maximum(power @ mel_filters(config, pitch_shift).T, TINY))
    return np.clip(level, config.floor_db, config.ceiling_db).astype(np.float32)


def beat_frame_times(beat_times, config):
    """Moments of the frames between beats, `frames_per_beat` to each beat.

    Args:
        beat_times: Float array, shape `(num_beats + 1,)`, seconds; the last one closes the clip.
        config: `AudioConfig`.

    Returns:
        Float array, shape `(num_frames,)`, seconds. The first frame stands on the first beat.

    Raises:
        ValueError: If the number of beats is wrong or they do not increase.
    """
    beat_times = np.asarray(beat_times, np.float64)
    if beat_times.shape != (config.num_beats + 1,) or np.any(np.diff(beat_times) <= 0):
        raise ValueError(
            f"beat_frame_times got beats of shape {beat_times.shape}; expected {config.num_beats + 1} increasing "
            "times: one for each beat and one that closes the clip."
        )
    position = np.arange(config.num_frames) / config.frames_per_beat
    return np.interp(position, np.arange(config.num_beats + 1), beat_times)


def seconds_frame_times(start, config):
    """Moments of the frames on the fixed grid, shape `(num_frames,)`, from `start` seconds."""
    return start + np.arange(config.num_frames) * config.hop_length / config.sample_rate


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
