"""Attributes of clips measured in their sound, and of latent dimensions."""

from __future__ import annotations

from typing import Any

import librosa
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import rankdata
from sklearn.preprocessing import StandardScaler

from cvae_music.attributes import bass_and_register, log_mel_attributes
from cvae_music.audio.analysis import TINY
from cvae_music.controls import training_clips

ORDERED_FACTORS = ("tempo", "mode", "brightness", "density", "register", "level_db")


def measure_attributes(
    samples: ArrayLike, config: Any, tempo: float
) -> dict[str, float]:
    """Measures the attributes of a clip in its sound, by librosa.

    Args:
        samples: Float array, shape `(samples,)`, at `config.sample_rate`.
        config: `AudioConfig`.
        tempo: Beats a minute the clip was made with: gives the length of a beat.

    Returns:
        Dict of floats: the `attributes.ATTRIBUTE_WORDS` (dB, Hz),
        `tempo_bpm` as librosa estimates it, and `onsets_per_second`.

    Raises:
        ValueError: If the samples are not finite mono audio.

    Source: `librosa.feature` and `librosa.onset`.

    Example:
        >>> from cvae_music.config import AudioConfig
        >>> tone = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)
        >>> round(measure_attributes(tone, AudioConfig(), 120.0)["level_db"], 1)
        0.0
    """
    samples = np.asarray(samples, np.float32)
    if samples.ndim != 1 or not len(samples) or not np.all(np.isfinite(samples)):
        raise ValueError(
            f"measure_attributes got shape {samples.shape}; expected finite mono "
            "samples, shape (samples,)."
        )
    rate = config.sample_rate
    frames = {"sr": rate, "hop_length": config.hop_length}
    magnitude = librosa.stft(samples, n_fft=config.n_fft, hop_length=config.hop_length)
    magnitude = np.abs(magnitude)
    envelope = librosa.onset.onset_strength(y=samples, **frames)
    onsets = librosa.onset.onset_detect(onset_envelope=envelope, **frames)
    tempo_bpm = librosa.feature.tempo(onset_envelope=envelope, **frames)
    audible = magnitude.sum(axis=0) > 1e-3 * magnitude.sum(axis=0).max()
    brightness_hz = 0.0
    flatness_db = 0.0
    if audible.any():
        heard = magnitude[:, audible]
        brightness_hz = librosa.feature.spectral_centroid(S=heard, sr=rate).mean()
        flatness = librosa.feature.spectral_flatness(S=heard).mean()
        flatness_db = 10 * np.log10(flatness + TINY)
    hertz = librosa.fft_frequencies(sr=rate, n_fft=config.n_fft)
    (bass,), (register,) = bass_and_register(np.mean(magnitude**2, axis=1)[None], hertz)
    seconds = len(samples) / rate
    power = np.mean(samples.astype(np.float64) ** 2)
    found = {
        "level_db": 10 * np.log10(2 * power + TINY),
        "brightness_hz": brightness_hz,
        "onsets_per_beat": len(onsets) / seconds * 60.0 / tempo,
        "bass_db": bass,
        "register_hz": register,
        "flatness_db": flatness_db,
        "punch_db": envelope.mean(),
        "tempo_bpm": tempo_bpm[0],
        "onsets_per_second": len(onsets) / seconds,
    }
    return {name: float(value) for name, value in found.items()}


def latent_correlations(model: Any, features: Any) -> pd.DataFrame:
    """Correlates latent dimensions with attributes, by rank, over 500 training clips.

    Args:
        model: `VAE` or `ConditionalVAE`.
        features: `FeatureSet`.

    Returns:
        DataFrame, a row for each dimension of the posterior means in order; a column
        for each recorded factor that has an order (the key is circular) and each of the
        `attributes.ATTRIBUTE_WORDS`; 0 where one is constant.

    Source: Spearman's rank correlation.

    Example:
        >>> from cvae_music import VAE, AudioConfig, FeatureSet
        >>> config = AudioConfig(n_mels=16)
        >>> table = pd.DataFrame({"genre": "jazz", "split": ["train"] * 3})
        >>> clips = np.random.default_rng(0).normal(-40.0, 9.0, (3, 128, 16))
        >>> features = FeatureSet(config, ("jazz",), table, clips, table[:0])
        >>> model = VAE(config, width=40, depth=1)
        >>> latent_correlations(model, features).shape
        (96, 7)
    """
    clips, _, table = training_clips(model, features, 500)
    names = [name for name in ORDERED_FACTORS if name in table]
    factors = table[names].rename(columns={"level_db": "level"}).astype(float)
    config = features.config
    attributes = log_mel_attributes(config.unscale(clips), config)
    known = pd.concat([factors, attributes], axis=1)
    standardised = []
    for values in (model.encode(clips)[0], known.to_numpy(float)):
        ranks = rankdata(values, axis=0)
        standardised.append(StandardScaler().fit_transform(ranks))
    correlations = standardised[0].T @ standardised[1] / len(clips)
    return pd.DataFrame(correlations, columns=known.columns)
