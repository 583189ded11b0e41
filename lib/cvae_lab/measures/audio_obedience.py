"""Obedience in sound: whether clips are of the genre asked for once they are samples again, heard by ears that no model was trained by."""

import librosa
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cvae_music.audio.inversion import to_audio

TEMPO = 110.0  # of all clips, so that nobody tells a genre by its tempo
HOP = 512


def sound_descriptors(samples, sample_rate):
    """Level, timbre, harmony and rhythm of one clip, read from its samples.

    Unlike `clip_descriptors` these hear the level, all that lies between the mel bands, and what the phases did.

    Args:
        samples: Float array, shape `(samples,)`.
        sample_rate: Samples a second.

    Returns:
        Float array, shape `(num_descriptors,)`: mean, spread and movement of levels, MFCCs, spectral contrast, flatness,
        centroid, rolloff, zero crossings and onset strength; the sorted chroma; the autocorrelation of the onsets.

    Source: the descriptors are librosa's.
    """
    magnitude = np.abs(librosa.stft(samples, hop_length=HOP))
    power, settings = magnitude**2, {"sr": sample_rate}
    mel = librosa.power_to_db(
        librosa.feature.melspectrogram(S=power, **settings), top_db=None
    )
    onsets = librosa.onset.onset_strength(S=mel, **settings)[None]
    chroma = librosa.feature.chroma_stft(S=power, tuning=0.0, **settings)
    tracks = [
        np.log(librosa.feature.rms(S=magnitude) + 1e-6),
        librosa.feature.mfcc(S=mel, n_mfcc=20),
        librosa.feature.spectral_contrast(S=magnitude, **settings),
        np.log(librosa.feature.spectral_flatness(S=magnitude) + 1e-9),
        np.log(librosa.feature.spectral_centroid(S=magnitude, **settings) + 1.0),
        np.log(librosa.feature.spectral_rolloff(S=magnitude, **settings) + 1.0),
        librosa.feature.zero_crossing_rate(samples, hop_length=HOP),
        onsets,
    ]
    told = [
        part
        for x in tracks
        for part in (
            x.mean(axis=1),
            x.std(axis=1),
            np.abs(np.diff(x, axis=1)).mean(axis=1),
        )
    ]
    repeated = librosa.autocorrelate(onsets[0] - onsets.mean(), max_size=120)
    return np.concatenate(
        [*told, np.sort(chroma.mean(axis=1)), repeated[1::4] / (repeated[0] + 1e-9)]
    )


def describe_sound(levels, config):
    """`sound_descriptors` of clips that are made sound, shape `(clips, num_descriptors)`.

    Args:
        levels: Log-mel clips in dB, shape `(clips, num_frames, n_mels)`.
        config: `AudioConfig` of the clips.
    """
    sounds = (
        to_audio(level, config, TEMPO, seed=seed) for seed, level in enumerate(levels)
    )
    return np.array(
        [sound_descriptors(samples, config.sample_rate) for samples in sounds]
    )


def balanced_clips(features, split, num_per_genre, seed=0):
    """`(clips, genres)`: at most so many clips of each genre of a split, scaled log-mel, chosen by the seed."""
    part, rng = features.subset(split), np.random.default_rng(seed)
    rows = [
        rng.permutation(np.flatnonzero(part.genre_index == genre))
        for genre in range(len(features.genres))
    ]
    rows = np.sort(np.concatenate([some[:num_per_genre] for some in rows]))
    return features.config.scale(part.log_mel[rows]), part.genre_index[rows]


def swap_labels(labels, num_genres, seed=0):
    """For each clip a genre that is not its own, every other one equally often."""
    steps = 1 + np.random.default_rng(seed).permutation(len(labels)) % (num_genres - 1)
    return ((labels + steps) % num_genres).astype(np.int32)


def obedience_in_sound(
    models,
    features,
    *,
    num_per_genre=16,
    num_training=40,
    seed=0,
    split="test",
    describe=describe_sound,
):
    """Obedience of conditional models as it is heard in their sound, by a probe of real clips only.

    Every clip goes the same way, through features and back to samples, the real ones too: what the way takes is in the
    ceiling. The probe is a logistic regression on descriptors of real training clips.

    Args:
        models: Dictionary name -> `ConditionalVAE`.
        features: `FeatureSet`.
        num_per_genre: Clips of each genre to judge.
        num_training: Real training clips of each genre that the probe learns from.
        seed: Seed of the choice of clips and of all draws.
        split: Split that is judged.
        describe: Function `(levels in dB, config) -> (clips, dimensions)`; another pair of ears, if wanted.

    Returns:
        Dictionary: `real` (the ceiling), and for each model `<name>_rebuilt`, `<name>_swap`, `<name>_prior`: shares of clips
        that are heard as the genre asked for.
    """
    config, num_genres = features.config, len(features.genres)

    def heard(clips):
        return describe(config.unscale(clips), config)

    clips, labels = balanced_clips(features, "train", num_training, seed)
    probe = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.02, max_iter=2000)
    ).fit(heard(clips), labels)
    clips, labels = balanced_clips(features, split, num_per_genre, seed)
    swapped, asked = (
        swap_labels(labels, num_genres, seed),
        np.repeat(np.arange(num_genres), num_per_genre),
    )
    found = {"real": probe.score(heard(clips), labels)}
    for name, model in models.items():
        mean = model.encode(clips)[0]
        made = {"rebuilt": (mean, labels), "swap": (mean, swapped)}
        made["prior"] = (model.sample_latents(asked, seed=seed), asked)
        for kind, (latents, genres) in made.items():
            found[f"{name}_{kind}"] = float(
                probe.score(heard(model.decode(latents, genres)), genres)
            )
    return found


def sound_row(model, features):
    """What `obedience_in_sound` finds for one model, as `sound_real` (its ceiling), `sound_rebuilt`, `sound_swap`, `sound_prior`."""
    heard = obedience_in_sound(
        {"sound": model}, features, num_per_genre=96 // len(features.genres)
    )
    return {"sound_real": heard.pop("real")} | heard
