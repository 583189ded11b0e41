"""What a listener would say of a clip, in numbers, and what each latent dimension does to it."""

import librosa
import numpy as np
import pandas as pd
from scipy.stats import rankdata

from cvae_music.audio.analysis import TINY
from cvae_music.models.base import FRAMES_PER_SLOT
from cvae_music.models.losses import gaussian_kl

# What more and less of each attribute is called.
WORDS = {
    "level_db": ("louder", "softer"),
    "brightness_hz": ("brighter", "darker"),
    "onsets_per_beat": ("busier", "sparser"),
    "bass_db": ("more bass", "less bass"),
    "register_hz": ("higher notes", "lower notes"),
    "flatness_db": ("noisier", "purer"),
    "punch_db": ("punchier", "smoother"),
}
ATTRIBUTES = tuple(WORDS)
BASS_HZ, REGISTER_HZ = 160.0, (200.0, 2000.0)
SMALLEST_EFFECT = 0.25  # standard deviations; what does less gets no name


def measure_attributes(samples, config, tempo):
    """Measures a clip as it sounds, by librosa.

    Args:
        samples: Float array, shape `(samples,)`, at `config.sample_rate`.
        config: `AudioConfig`.
        tempo: Beats a minute the clip was made with: tells how long a beat is.

    Returns:
        Dict of floats: the `ATTRIBUTES` (levels in dB, frequencies in Hz), `tempo_bpm` as librosa hears
        it, and `onsets_per_second`.

    Raises:
        ValueError: If the samples are not finite mono audio.

    Source: `librosa.feature` and `librosa.onset`.
    """
    samples = np.asarray(samples, np.float32)
    if samples.ndim != 1 or not len(samples) or not np.all(np.isfinite(samples)):
        raise ValueError(f"measure_attributes got shape {samples.shape}; expected finite mono samples, shape (samples,).")
    rate = config.sample_rate
    magnitude = np.abs(librosa.stft(samples, n_fft=config.n_fft, hop_length=config.hop_length))
    power, hertz = magnitude**2, librosa.fft_frequencies(sr=rate, n_fft=config.n_fft)
    envelope = librosa.onset.onset_strength(y=samples, sr=rate, hop_length=config.hop_length)
    onsets = librosa.onset.onset_detect(onset_envelope=envelope, sr=rate, hop_length=config.hop_length)
    audible = magnitude.sum(axis=0) > 1e-3 * magnitude.sum(axis=0).max()
    centroid = librosa.feature.spectral_centroid(S=magnitude[:, audible], sr=rate)
    seconds = len(samples) / rate
    return {
        "level_db": float(10 * np.log10(2 * np.mean(samples.astype(np.float64) ** 2) + TINY)),
        "brightness_hz": float(centroid.mean()) if audible.any() else 0.0,
        "onsets_per_beat": len(onsets) / seconds * 60.0 / tempo,
        **_spectrum_shape(power.mean(axis=1)[None], hertz),
        "flatness_db": float(10 * np.log10(librosa.feature.spectral_flatness(S=magnitude[:, audible]).mean() + TINY))
        if audible.any() else 0.0,
        "punch_db": float(envelope.mean()),
        "tempo_bpm": float(librosa.feature.tempo(onset_envelope=envelope, sr=rate, hop_length=config.hop_length)[0]),
        "onsets_per_second": len(onsets) / seconds,
    }  # fmt: skip


def _spectrum_shape(power, hertz):
    """Share of the bass in dB, and the middle of the notes' range in Hz, of mean spectra `(clips, bins)`."""
    low, high = REGISTER_HZ
    notes = (hertz >= low) & (hertz <= high)
    bass = 10 * np.log10((power[:, hertz < BASS_HZ].sum(axis=1) + TINY) / (power.sum(axis=1) + TINY))
    weight = power[:, notes] + TINY
    register = 2.0 ** ((weight * np.log2(hertz[notes])).sum(axis=1) / weight.sum(axis=1))
    shape = {"bass_db": bass, "register_hz": register}
    return {name: float(value[0]) for name, value in shape.items()} if len(power) == 1 else shape


def log_mel_attributes(log_mel_db, config):
    """The `ATTRIBUTES` of many clips, read from their log-mel: quick, no sound is made.

    Args:
        log_mel_db: Float array, shape `(clips, num_frames, n_mels)`, dB.
        config: `AudioConfig`.

    Returns:
        DataFrame with a row a clip and a column an attribute, in units as `measure_attributes` has.

    Raises:
        ValueError: If the clips do not have the shape of the config.
    """
    log_mel_db = np.asarray(log_mel_db, np.float32)
    if log_mel_db.ndim != 3 or log_mel_db.shape[1:] != config.shape:
        raise ValueError(
            f"log_mel_attributes got shape {log_mel_db.shape}; expected (clips, {config.num_frames}, {config.n_mels}) "
            "in dB. Use AudioConfig.unscale on what a model returns."
        )
    hertz = librosa.mel_frequencies(n_mels=config.n_mels + 2, fmin=config.fmin, fmax=config.fmax, htk=True)[1:-1]
    hertz = hertz.astype(np.float32)
    width = np.gradient(hertz)  # a band stands for as many bins as it is wide
    amplitude = np.where(log_mel_db > config.floor_db + 0.01, np.exp(log_mel_db * np.float32(np.log(10) / 20)), 0)
    power, magnitude = amplitude**2, amplitude * width
    total = magnitude.sum(axis=2)
    audible = total > 1e-3 * total.max(axis=1, keepdims=True)
    centroid = np.where(audible, (magnitude @ hertz) / np.maximum(total, TINY), 0.0)
    count = np.maximum(audible.sum(axis=1), 1)
    rises = np.maximum(log_mel_db - np.roll(log_mel_db, 1, axis=1), 0.0).mean(axis=2)
    geometric = log_mel_db.mean(axis=2) - 10 * np.log10(power.mean(axis=2) + TINY)
    shape = _spectrum_shape(np.concatenate([power.mean(axis=1)] * (2 if len(power) == 1 else 1)), hertz)
    return pd.DataFrame(
        {
            "level_db": 10 * np.log10(power.sum(axis=2).mean(axis=1) + TINY),
            "brightness_hz": centroid.sum(axis=1) / count,
            "onsets_per_beat": [_onsets_per_beat(clip, config) for clip in log_mel_db],
            "bass_db": shape["bass_db"][: len(power)],
            "register_hz": shape["register_hz"][: len(power)],
            "flatness_db": np.where(audible, geometric, 0.0).sum(axis=1) / count,
            "punch_db": rises.mean(axis=1),
        }
    )


def _onsets_per_beat(log_mel_db, config):
    """Onsets that librosa finds in the log-mel, as `measure_attributes` does in its sound at 120 beats a minute."""
    hop = round(config.sample_rate * 0.5 / config.frames_per_beat) if config.grid == "beats" else config.hop_length
    # The first frame stands before the clip too: where real music is cut, the leap from its end to its beginning
    # may be the largest rise of all, beside which librosa hears no other.
    before = config.frames_per_beat
    held = np.concatenate([np.repeat(log_mel_db[:1], before, axis=0), log_mel_db])
    envelope = librosa.onset.onset_strength(S=held.T, sr=config.sample_rate, hop_length=hop, center=False)
    onsets = librosa.onset.onset_detect(onset_envelope=envelope, sr=config.sample_rate, hop_length=hop)
    return (onsets >= before).sum() * config.frames_per_beat / len(log_mel_db)


def strongest_latents(model, features, num, whole_only=False, max_clips=500):
    """Latent dimensions that carry most: the `num` of highest KL divergence over training clips.

    Args:
        model: `VAE` or `ConditionalVAE`.
        features: `FeatureSet`.
        num: How many dimensions.
        whole_only: Leave out the dimensions that belong to single beats.
        max_clips: Training clips to encode, evenly spread.

    Returns:
        Int array, shape `(num,)`, highest first.
    """
    clips, _, _ = _training_clips(features, max_clips)
    kl = np.mean(gaussian_kl(*model.encode(clips)), axis=0)
    return np.argsort(kl[: model.global_dim] if whole_only else kl)[::-1][:num]


def latent_effects(model, features, dimensions=None, num_ideas=12, max_clips=500):
    """What each latent dimension holds and does, measured two ways.

    *Holds*: rank correlation of its posterior mean with the recorded factors and the attributes of
    training clips. *Does*: the latents of some clips are decoded with this dimension two standard deviations
    below and above its mean and all else as it was; the effect is the mean change of each attribute,
    in its standard deviations over the clips. The name says the largest effect, and the next if it is one.

    Args:
        model: `VAE` or `ConditionalVAE`.
        features: `FeatureSet`.
        dimensions: Which dimensions to turn; None turns all, half a minute on one core.
        num_ideas: Clips whose latents are turned.
        max_clips: Training clips to correlate over, evenly spread.

    Returns:
        DataFrame, a row a dimension, highest KL first: `dimension`, `part` (`"whole"` or `"beat 3"`), `kl` (nats),
        `name`, `holds_<factor or attribute>` and `does_<attribute>`.
    """
    config = features.config
    clips, genre, table = _training_clips(features, max_clips)
    mean, log_var = model.encode(clips)
    kl = np.mean(gaussian_kl(mean, log_var), axis=0)
    measured = log_mel_attributes(config.unscale(clips), config)
    spread = measured.std().to_numpy() + 1e-9
    known = pd.concat([_factors(table), measured], axis=1)
    holds = _rank_correlations(mean, known.to_numpy(float))
    ideas = np.linspace(0, len(clips) - 1, min(num_ideas, len(clips))).astype(int)
    rows = []
    for dimension in np.arange(mean.shape[1]) if dimensions is None else np.asarray(dimensions):
        ends = []
        for side in (-2.0, 2.0):
            turned = mean[ideas].copy()
            turned[:, dimension] = mean[:, dimension].mean() + side * mean[:, dimension].std()
            ends.append(log_mel_attributes(config.unscale(model.decode(turned, genre[ideas])), config).to_numpy())
        does = (ends[1] - ends[0]).mean(axis=0) / spread
        part = _part(model, dimension)
        rows.append(
            {"dimension": int(dimension), "part": part, "kl": float(kl[dimension]), "name": f"{part}: {_name(does)}"}
            | {f"holds_{name}": holds[dimension, k] for k, name in enumerate(known.columns)}
            | {f"does_{name}": does[k] for k, name in enumerate(ATTRIBUTES)}
        )
    return pd.DataFrame(rows).sort_values("kl", ascending=False, ignore_index=True)


def _training_clips(features, max_clips):
    """Scaled clips, genre indices and rows of evenly spread training clips."""
    train = features.subset("train")
    rows = np.unique(np.linspace(0, len(train) - 1, min(max_clips, len(train))).astype(int))
    table = train.table.iloc[rows].reset_index(drop=True)
    return features.config.scale(train.log_mel[rows]), train.genre_index[rows], table


def _factors(table):
    """Recorded factors with an order; the key has none, it goes round."""
    names = ("tempo", "mode", "brightness", "density", "register", "level_db")
    return table[[name for name in names if name in table]].rename(columns={"level_db": "level"}).astype(float)


def _rank_correlations(first, second):
    """Spearman's correlation of every column of `first` with every column of `second`; 0 where one is constant."""
    ranks = [rankdata(values, axis=0) for values in (first, second)]
    ranks = [(r - r.mean(axis=0)) / np.maximum(r.std(axis=0), 1e-9) for r in ranks]
    return ranks[0].T @ ranks[1] / len(first)


def _part(model, dimension):
    if dimension < model.global_dim:
        return "whole"
    slot = (dimension - model.global_dim) // model.local_dim
    return f"beat {slot * FRAMES_PER_SLOT // model.audio_config.frames_per_beat + 1}"


def _name(does):
    strongest = [k for k in np.argsort(-np.abs(does))[:2] if abs(does[k]) >= SMALLEST_EFFECT]
    return ", ".join(WORDS[ATTRIBUTES[k]][0 if does[k] > 0 else 1] for k in strongest) or "fine detail"
