"""What a listener would say of a clip, measured in its sound, and what latent dimensions hold of it."""

import librosa
import numpy as np
import pandas as pd
from scipy.stats import rankdata

from cvae_music.audio.analysis import TINY
from cvae_music.attributes import bass_and_register, log_mel_attributes
from cvae_music.controls import training_clips


def measure_attributes(samples, config, tempo):
    """Measures a clip as it sounds, by librosa.

    Args:
        samples: Float array, shape `(samples,)`, at `config.sample_rate`.
        config: `AudioConfig`.
        tempo: Beats a minute the clip was made with: tells how long a beat is.

    Returns:
        Dict of floats: the `attributes.ATTRIBUTES` (levels in dB, frequencies in Hz), `tempo_bpm` as librosa hears
        it, and `onsets_per_second`.

    Raises:
        ValueError: If the samples are not finite mono audio.

    Source: `librosa.feature` and `librosa.onset`.
    """
    samples = np.asarray(samples, np.float32)
    if samples.ndim != 1 or not len(samples) or not np.all(np.isfinite(samples)):
        raise ValueError(
            f"measure_attributes got shape {samples.shape}; expected finite mono samples, shape (samples,)."
        )
    rate = config.sample_rate
    magnitude = np.abs(
        librosa.stft(samples, n_fft=config.n_fft, hop_length=config.hop_length)
    )
    envelope = librosa.onset.onset_strength(
        y=samples, sr=rate, hop_length=config.hop_length
    )
    onsets = librosa.onset.onset_detect(
        onset_envelope=envelope, sr=rate, hop_length=config.hop_length
    )
    audible = magnitude.sum(axis=0) > 1e-3 * magnitude.sum(axis=0).max()
    centroid = flatness = np.zeros(1)
    if audible.any():
        centroid = librosa.feature.spectral_centroid(S=magnitude[:, audible], sr=rate)
        flatness = librosa.feature.spectral_flatness(S=magnitude[:, audible])
    hertz = librosa.fft_frequencies(sr=rate, n_fft=config.n_fft)
    (bass,), (register,) = bass_and_register(np.mean(magnitude**2, axis=1)[None], hertz)
    seconds = len(samples) / rate
    return {
        "level_db": float(
            10 * np.log10(2 * np.mean(samples.astype(np.float64) ** 2) + TINY)
        ),
        "brightness_hz": float(centroid.mean()),
        "onsets_per_beat": len(onsets) / seconds * 60.0 / tempo,
        "bass_db": float(bass),
        "register_hz": float(register),
        "flatness_db": float(10 * np.log10(flatness.mean() + TINY))
        if audible.any()
        else 0.0,
        "punch_db": float(envelope.mean()),
        "tempo_bpm": float(
            librosa.feature.tempo(
                onset_envelope=envelope, sr=rate, hop_length=config.hop_length
            )[0]
        ),
        "onsets_per_second": len(onsets) / seconds,
    }


def latent_correlations(model, features):
    """What latent dimensions hold: rank correlations of their posterior means over 500 training clips.

    Args:
        model: `VAE` or `ConditionalVAE`.
        features: `FeatureSet`.

    Returns:
        DataFrame, a row a dimension in order, a column for each recorded factor that has an order (the key goes round)
        and each of the `attributes.ATTRIBUTES`; 0 where one is constant.

    Source: Spearman's correlation.
    """
    clips, _, table = training_clips(model, features, 500)
    names = [
        name
        for name in ("tempo", "mode", "brightness", "density", "register", "level_db")
        if name in table
    ]
    factors = table[names].rename(columns={"level_db": "level"}).astype(float)
    known = pd.concat(
        [factors, log_mel_attributes(features.config.unscale(clips), features.config)],
        axis=1,
    )
    ranks = [
        rankdata(values, axis=0)
        for values in (model.encode(clips)[0], known.to_numpy(float))
    ]
    ranks = [(r - r.mean(axis=0)) / np.maximum(r.std(axis=0), 1e-9) for r in ranks]
    return pd.DataFrame(ranks[0].T @ ranks[1] / len(clips), columns=known.columns)
