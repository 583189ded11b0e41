"""Obedience in sound: the genre of clips after inversion to samples.

A classifier of real clips judges them. No model was trained with it, unlike with the
judges of log-mel clips.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import librosa
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cvae_lab.measures.scoreboard import balanced_genres, decode_clips
from cvae_lab.measures.scores import balanced_share
from cvae_music.audio.inversion import to_audio

TEMPO = 110.0  # beats a minute, the same for all clips: no genre is told by its tempo
HOP = 512  # samples


def sound_descriptors(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Describes level, timbre, harmony and rhythm of one clip from its samples.

    Unlike `clip_descriptors` these depend on the level, on the fine structure between
    mel bands, and on the phases.

    Args:
        samples: Float array, shape `(samples,)`.
        sample_rate: Samples a second.

    Returns:
        Float array, shape `(num_descriptors,)`: mean, spread and movement of levels,
        MFCCs, spectral contrast, flatness, centroid, rolloff, zero crossings and onset
        strength; the sorted chroma; the autocorrelation of the onsets.

    Source: the descriptors are librosa's.
    """
    feature = librosa.feature
    magnitude = np.abs(librosa.stft(samples, hop_length=HOP))
    power = magnitude**2
    mel = feature.melspectrogram(S=power, sr=sample_rate)
    mel = librosa.power_to_db(mel, top_db=None)
    onsets = librosa.onset.onset_strength(S=mel, sr=sample_rate)[None]
    chroma = feature.chroma_stft(S=power, tuning=0.0, sr=sample_rate)
    centroid = feature.spectral_centroid(S=magnitude, sr=sample_rate)
    rolloff = feature.spectral_rolloff(S=magnitude, sr=sample_rate)
    curves = [
        np.log(feature.rms(S=magnitude) + 1e-6),
        feature.mfcc(S=mel, n_mfcc=20),
        feature.spectral_contrast(S=magnitude, sr=sample_rate),
        np.log(feature.spectral_flatness(S=magnitude) + 1e-9),
        np.log(centroid + 1.0),
        np.log(rolloff + 1.0),
        feature.zero_crossing_rate(samples, hop_length=HOP),
        onsets,
    ]
    described = []
    for curve in curves:
        movement = np.abs(np.diff(curve, axis=1)).mean(axis=1)
        described += [curve.mean(axis=1), curve.std(axis=1), movement]
    repeated = librosa.autocorrelate(onsets[0] - onsets.mean(), max_size=120)
    described.append(np.sort(chroma.mean(axis=1)))
    described.append(repeated[1::4] / (repeated[0] + 1e-9))
    return np.concatenate(described)


def describe_sound(levels: np.ndarray, config: Any) -> np.ndarray:
    """Inverts clips to samples and describes each by `sound_descriptors`.

    Args:
        levels: Log-mel clips in dB, shape `(clips, num_frames, n_mels)`.
        config: `AudioConfig` of the clips.

    Returns:
        Array of shape `(clips, num_descriptors)`.
    """
    described = []
    for seed, level in enumerate(levels):
        samples = to_audio(level, config, TEMPO, seed=seed)
        described.append(sound_descriptors(samples, config.sample_rate))
    return np.array(described)


def balanced_clips(
    features: Any, split: str, num_per_genre: int
) -> tuple[np.ndarray, np.ndarray]:
    """Chooses at most so many clips of each genre of a split, by chance.

    Args:
        features: `FeatureSet`.
        split: Name of the split.
        num_per_genre: Most clips of a genre.

    Returns:
        `(clips, genres)`: scaled log-mel `(clips, num_frames, n_mels)` and indices.
    """
    part = features.subset(split)
    rng = np.random.default_rng(0)
    chosen = []
    for genre in range(len(features.genres)):
        members = rng.permutation(np.flatnonzero(part.genre_index == genre))
        chosen.append(members[:num_per_genre])
    rows = np.sort(np.concatenate(chosen))
    return features.config.scale(part.log_mel[rows]), part.genre_index[rows]


def swap_labels(labels: np.ndarray, num_genres: int) -> np.ndarray:
    """Draws for each clip another genre than its own, every other one equally often.

    Args:
        labels: Genre indices, shape `(clips,)`.
        num_genres: Number of genres.

    Returns:
        int32 genre indices, shape `(clips,)`.
    """
    steps = 1 + np.random.default_rng(0).permutation(len(labels)) % (num_genres - 1)
    return ((labels + steps) % num_genres).astype(np.int32)


def obedience_in_sound(
    models: Mapping[str, Any],
    features: Any,
    *,
    num_per_genre: int = 16,
    num_training: int = 40,
    describe: Callable = describe_sound,
) -> dict[str, float]:
    """Measures the obedience of conditional models in their sound.

    All clips pass the same way through features and back to samples, the real ones too:
    what the inversion loses is in the ceiling. A logistic regression on descriptors of
    real training clips judges them.

    Args:
        models: Dictionary name -> `ConditionalVAE`.
        features: `FeatureSet`.
        num_per_genre: Test clips of each genre to judge.
        num_training: Real training clips of each genre for the regression.
        describe: Function `(levels in dB, config) -> (clips, dimensions)`.

    Returns:
        Dictionary: `real` (the ceiling), and for each model `<name>_rebuilt`,
        `<name>_swap`, `<name>_fresh` and `<name>_class_conditional` (as in
        `evaluate_model`): shares of clips classified as the genre asked for, averaged
        over genres.
    """
    config = features.config
    num_genres = len(features.genres)

    def share(clips, genres):
        named = probe.predict(describe(config.unscale(clips), config))
        return balanced_share(named == genres, genres)

    clips, labels = balanced_clips(features, "train", num_training)
    regression = LogisticRegression(C=0.02, max_iter=2000)
    probe = make_pipeline(StandardScaler(), regression)
    probe.fit(describe(config.unscale(clips), config), labels)
    clips, labels = balanced_clips(features, "test", num_per_genre)
    swapped = swap_labels(labels, num_genres)
    asked, sources = balanced_genres(num_genres, num_per_genre)
    found = {"real": share(clips, labels)}
    for name, model in models.items():
        mean = model.encode(clips)[0]
        requests = {
            "rebuilt": (mean, labels),
            "swap": (mean, swapped),
            "fresh": (model.sample_latents(sources), asked),
            "class_conditional": (model.sample_latents(asked), asked),
        }
        for kind, (latents, genres) in requests.items():
            made = decode_clips(model, latents, genres)
            found[f"{name}_{kind}"] = share(made, genres)
    return found


def sound_row(model: Any, features: Any) -> dict[str, float]:
    """Measures `obedience_in_sound` of one model as columns `sound_*`.

    Args:
        model: `ConditionalVAE`.
        features: `FeatureSet`.

    Returns:
        Dictionary; `sound_real` is the ceiling of the other columns.
    """
    num_per_genre = 96 // len(features.genres)
    found = obedience_in_sound({"sound": model}, features, num_per_genre=num_per_genre)
    return {"sound_real": found.pop("real")} | found
