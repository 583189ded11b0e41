"""Attributes of clips, from their log-mel: level, brightness, onsets and more."""

import librosa
import numpy as np
import pandas as pd

from cvae_music.audio.analysis import TINY
from cvae_music.config import AudioConfig

# Each attribute, and what more and less of it is called.
ATTRIBUTE_WORDS = {
    "level_db": ("louder", "softer"),
    "brightness_hz": ("brighter", "darker"),
    "onsets_per_beat": ("busier", "sparser"),
    "bass_db": ("more bass", "less bass"),
    "register_hz": ("higher notes", "lower notes"),
    "flatness_db": ("noisier", "purer"),
    "punch_db": ("punchier", "smoother"),
}
BASS_HZ = 160.0  # below it is bass
REGISTER_HZ = (200.0, 2000.0)  # where the frequency of the notes is measured


def log_mel_attributes(log_mel_db: np.ndarray, config: AudioConfig) -> pd.DataFrame:
    """Measures the `ATTRIBUTE_WORDS` of clips from their log-mel, in dB and Hz.

    Args:
        log_mel_db: Float array in dB, shape `(clips, num_frames, n_mels)`.
        config: `AudioConfig`.

    Returns:
        DataFrame with a row a clip and a column an attribute:
        `level_db`, power of all bands, averaged over frames;
        `brightness_hz`, spectral centroid, averaged over audible frames;
        `onsets_per_beat`, where the grid in seconds has `frames_per_beat` frames a
        beat;
        `bass_db`, share of the power below 160 Hz;
        `register_hz`, mean frequency from 200 to 2,000 Hz on a logarithmic axis;
        `flatness_db`, spectral flatness over bands, 0 where all bands are alike,
        averaged over audible frames;
        `punch_db`, mean rise of a band from frame to frame.

    Raises:
        ValueError: If the clips do not have the shape of the config, are not finite, or
            are scaled.

    Example:
        >>> import numpy as np
        >>> from cvae_music import AudioConfig
        >>> clips = np.full((2, 128, 128), -40.0)
        >>> clips[1] += 6.0
        >>> table = log_mel_attributes(clips, AudioConfig())
        >>> float(table["level_db"].diff()[1].round(2))
        6.0
    """
    log_mel_db = np.asarray(log_mel_db, np.float32)
    is_finite = bool(np.isfinite(log_mel_db).all())
    if log_mel_db.shape[1:] != config.shape or not is_finite:
        raise ValueError(
            f"log_mel_attributes got shape {log_mel_db.shape}, finite: {is_finite}; "
            f"expected (clips, {config.num_frames}, {config.n_mels}) in dB. "
            "Use AudioConfig.unscale on a model's clips."
        )
    config.scale(log_mel_db)  # raises for scaled clips; its result is not needed
    edges = librosa.mel_frequencies(
        n_mels=config.n_mels + 2, fmin=config.fmin, fmax=config.fmax, htk=True
    )
    hertz = edges[1:-1].astype(np.float32)
    amplitude = np.exp(log_mel_db * np.float32(np.log(10) / 20))
    amplitude = np.where(log_mel_db > config.floor_db + 0.01, amplitude, 0)
    power = amplitude**2
    # A band counts by its width, since it stands for as many bins as it is wide.
    magnitude = amplitude * np.gradient(hertz)
    total = magnitude.sum(axis=2)
    is_audible = total > 1e-3 * total.max(axis=1, keepdims=True)
    num_audible = np.maximum(is_audible.sum(axis=1), 1)
    centroid = np.where(is_audible, (magnitude @ hertz) / np.maximum(total, TINY), 0.0)
    arithmetic = 10 * np.log10(power.mean(axis=2) + TINY)
    flatness = np.where(is_audible, log_mel_db.mean(axis=2) - arithmetic, 0.0)
    rises = np.maximum(log_mel_db - np.roll(log_mel_db, 1, axis=1), 0.0).mean(axis=2)
    bass, register = bass_and_register(power.mean(axis=1), hertz)
    return pd.DataFrame(
        {
            "level_db": 10 * np.log10(power.sum(axis=2).mean(axis=1) + TINY),
            "brightness_hz": centroid.sum(axis=1) / num_audible,
            "onsets_per_beat": [_onsets_per_beat(clip, config) for clip in log_mel_db],
            "bass_db": bass,
            "register_hz": register,
            "flatness_db": flatness.sum(axis=1) / num_audible,
            "punch_db": rises.mean(axis=1),
        }
    )


def bass_and_register(
    power: np.ndarray, hertz: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Measures the share of the bass in dB and the mean note frequency in Hz.

    Args:
        power: Float array, shape `(clips, bins)`: mean power spectra.
        hertz: Float array, shape `(bins,)`: frequency of each bin, in Hz.

    Returns:
        `(bass_db, register_hz)`, each of shape `(clips,)`: the power below 160 Hz over
        all power, and the mean of log-frequency from 200 to 2,000 Hz by power.
    """
    bass_power = power[:, hertz < BASS_HZ].sum(axis=1)
    bass = 10 * np.log10((bass_power + TINY) / (power.sum(axis=1) + TINY))
    notes = (hertz >= REGISTER_HZ[0]) & (hertz <= REGISTER_HZ[1])
    weight = power[:, notes] + TINY
    octaves = (weight * np.log2(hertz[notes])).sum(axis=1) / weight.sum(axis=1)
    return bass, 2.0**octaves


def _onsets_per_beat(log_mel_db, config):
    """Counts the onsets a beat that librosa finds in the log-mel of one clip."""
    hop = config.hop_length
    if config.grid == "beats":  # as in its sound at 120 beats a minute
        hop = round(config.sample_rate * 0.5 / config.frames_per_beat)
    # One beat of the first frame is put before the clip. Where real music is cut, the
    # step from its end to its beginning may be the largest rise of all, and librosa
    # would find no other beside it.
    before = config.frames_per_beat
    padded = np.concatenate([np.repeat(log_mel_db[:1], before, axis=0), log_mel_db])
    envelope = librosa.onset.onset_strength(
        S=padded.T, sr=config.sample_rate, hop_length=hop, center=False
    )
    onsets = librosa.onset.onset_detect(
        onset_envelope=envelope, sr=config.sample_rate, hop_length=hop
    )
    return (onsets >= before).sum() * config.frames_per_beat / len(log_mel_db)
