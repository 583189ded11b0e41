"""One row of measures for one model: every score beside its ceiling and beside chance.

Not every column is independent evidence:

- `sharpness_*`: the contrast loss and `UnsharpMask` fit almost the same quantity.
- `cnn_*` and `descriptors_*`: the judges hear log-mel, which models are trained with.

The columns `sound_*` of `audio_obedience.sound_row` come from a classifier of the sound
that no model was trained with. Tables print them first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import pandas as pd

from cvae_lab.measures import scores

OBEDIENCE = ("swap", "fresh", "class_conditional")  # the ways to ask for a genre


def latent_row(mean: np.ndarray, log_var: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """Measures how much the latents say.

    Args:
        mean: Posterior means, shape `(num_clips, latent_dim)`.
        log_var: Logarithms of the posterior variances, same shape.
        seed: Seed of the draws.

    Returns:
        Dictionary: `active_units`; `kl` and `mutual_information` in nats.
    """
    return {
        "active_units": scores.active_units(mean),
        "kl": float(scores.kl_per_dimension(mean, log_var).sum()),
        "mutual_information": scores.mutual_information(mean, log_var, seed=seed),
    }


def decode_clips(model: Any, latents: np.ndarray, genres: np.ndarray) -> np.ndarray:
    """Decodes clips and clips them to [-1, 1], the range of scaled log-mel.

    Values outside the range are never heard, so no measure may count them.

    Args:
        model: Has `decode(latents, genres)`.
        latents: Shape `(num_clips, latent_dim)`.
        genres: Genre indices, shape `(num_clips,)`.

    Returns:
        Array of shape `(num_clips, num_frames, n_mels)`.
    """
    clips = model.decode(np.asarray(latents, np.float32), genres)
    return np.clip(np.asarray(clips), -1.0, 1.0)


def rebuild_clips(
    model: Any, clips: np.ndarray, latents: np.ndarray, genres: np.ndarray
) -> np.ndarray:
    """Rebuilds clips with their own genres; a Keras model does so in one pass.

    A `ConditionalVAE` shifts latents before it decodes them, by a guess of the genre
    that they come from. Here that genre is known, so nothing is shifted.

    Args:
        model: Keras model of clips (and genres), or has `decode(latents, genres)`.
        clips: Scaled log-mel, shape `(num_clips, num_frames, n_mels)`.
        latents: Modes of their posteriors, shape `(num_clips, latent_dim)`.
        genres: Genre indices, shape `(num_clips,)`.

    Returns:
        Array of the shape of the clips, clipped to [-1, 1].
    """
    if not isinstance(model, keras.Model):
        return decode_clips(model, latents, genres)
    inputs = (clips, genres) if model.num_genres else clips
    return np.clip(model.predict(inputs, batch_size=64, verbose=0), -1.0, 1.0)


def balanced_genres(
    num_genres: int, num_per_genre: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Lists genres to ask for, and for each an independent genre of its latent.

    Args:
        num_genres: Number of genres.
        num_per_genre: Clips to ask for in each genre.
        seed: Seed of the order of the sources.

    Returns:
        `(asked, sources)`, int32 of shape `(num_genres * num_per_genre,)`. Within each
        genre that is asked for, every source genre occurs equally often. A remainder is
        dealt out by the seed.
    """
    rng = np.random.default_rng([seed, 1])
    turn = np.arange(num_per_genre) % num_genres
    asked = np.repeat(np.arange(num_genres, dtype=np.int32), num_per_genre)
    sources = [rng.permutation(num_genres)[turn] for _ in range(num_genres)]
    return asked, np.concatenate(sources).astype(np.int32)


def obedience(
    judge: Any, sets: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> dict[str, float]:
    """Measures `label_obedience` of several sets of clips.

    Args:
        judge: Has `predict(clips)`.
        sets: Name -> `(clips, labels)`.

    Returns:
        Name -> share.
    """
    return {
        name: scores.label_obedience(judge, clips, labels)
        for name, (clips, labels) in sets.items()
    }


def evaluate_model(
    model: Any,
    features: Any,
    judges: Mapping[str, Any],
    *,
    num_per_genre: int = 50,
    seed: int = 0,
    sampler: Callable | None = None,
    max_clips: int = 1000,
) -> pd.Series:
    """Measures one model on the test split of the features.

    Obedience is measured in three ways, with `num_per_genre` clips of each genre in the
    first and the last:

    - `fresh`: the latent is drawn for a genre that is independent of the genre asked
      for. A model that ignores its label scores chance.
    - `swap`: the posterior mean of each real clip is decoded as every other genre.
    - `class_conditional`: the latent is drawn for the genre asked for, as a generator
      does. The latent may determine the genre, so a model that ignores its label can
      score 1. Diversity, sharpness and distances are of these clips.

    A model without a label (`num_genres` 0) cannot obey: all three are NaN, and its
    diversity is that of all clips at once. A model without `sample_latents` has no
    prior: without a sampler all measures of samples are left out or NaN. Shares are
    averaged over genres, the ceilings too. Decoded clips are clipped to [-1, 1].

    `sharpness_*` and the judges' columns are close to what the models are trained with
    (see the top of this module).

    Args:
        model: Has `num_genres`, `encode(clips) -> (mean, log_var)` and
            `decode(latents, genres)`.
        features: `FeatureSet`.
        judges: Dictionary name -> judge, as `train_judges` returns it.
        num_per_genre: Clips to sample for each genre.
        seed: Seed of all draws.
        sampler: Callable `(genres, rng) -> latents`, given the genres to draw latents
            of; by default `model.sample_latents(genres, seed=seed)`.
        max_clips: Most test clips to use, chosen by the seed.

    Returns:
        pandas Series of floats. Columns of a judge start with its name; `_over_real`
        and `_over_rebuilt` are obedience divided by the judge's accuracy on real clips
        and on reconstructions.

    Raises:
        ValueError: If the test split holds fewer than two clips, or the features have
            another `AudioConfig` or other genres than the model or a judge.

    Example:
        >>> from cvae_music import AudioConfig, ConditionalVAE, FeatureSet
        >>> from cvae_lab import CNNJudge
        >>> config = AudioConfig(n_mels=16)
        >>> table = pd.DataFrame({"genre": ["jazz", "rock"] * 2, "split": "test"})
        >>> clips = np.random.default_rng(0).normal(-40.0, 9.0, (4, 128, 16))
        >>> features = FeatureSet(config, ("jazz", "rock"), table, clips, table[:0])
        >>> model = ConditionalVAE(config, features.genres, width=40, depth=1)
        >>> judges = {"cnn": CNNJudge(config, features.genres)}
        >>> row = evaluate_model(model, features, judges, num_per_genre=2)
        >>> [name for name in row.index if name.endswith("_fresh")]
        ['cnn_fresh']
    """
    config = features.config
    genres = getattr(model, "genres", ())
    getattr(model, "audio_config", config).check_compatible(features, genres)
    check_judges(judges, features)
    part = features.subset("test")
    num_genres = len(features.genres)
    if len(part) < 2:
        raise ValueError(
            f"the test split holds {len(part)} clips; expected at least two. "
            "Use a larger collection."
        )
    order = np.random.default_rng(seed).permutation(len(part))
    rows = np.sort(order[:max_clips])
    labels = part.genre_index[rows]
    pieces = []
    for some in np.split(rows, range(scores.PIECE, len(rows), scores.PIECE)):
        clips = part.log_mel[some]
        wanted = part.genre_index[some]
        pieces.append(_measure_clips(model, config, clips, wanted, judges))
    found = {}
    for key in pieces[0]:
        found[key] = np.concatenate([piece[key] for piece in pieces])

    row: dict[str, Any] = {"num_test_clips": len(rows)}
    row |= latent_row(found.pop("mean"), found.pop("log_var"), seed)
    if not hasattr(model, "sample_latents"):
        row |= {"kl": np.nan, "mutual_information": np.nan}
    row["reconstruction_rms_db"] = np.sqrt(found["squared_error"].mean())
    row["reconstruction_mean_abs_db"] = found["absolute_error"].mean()
    row["sharpness_reconstruction"] = scores.over_real_sharpness(
        found["sharpness_rebuilt"], found["sharpness_real"]
    )
    row["chance"] = 1.0 / num_genres

    asked, sources = balanced_genres(num_genres, num_per_genre, seed)
    asked_group = asked
    real_group = labels
    if not model.num_genres:  # every clip is of one and the same group
        asked_group = np.zeros_like(asked)
        real_group = np.zeros_like(labels)
    sampled = _sample(model, asked, asked, sampler, seed)
    fresh = None
    if model.num_genres:
        fresh = _sample(model, sources, asked, sampler, seed)
    if sampled is not None:
        sharpness = scores.sharpness(config.unscale(sampled))
        row["num_sampled_clips"] = len(sampled)
        row["sharpness_sampled"] = scores.over_real_sharpness(
            sharpness, found["sharpness_real"]
        )
        sampled_db = sampled * config.db_per_unit  # distances in dB
        row["diversity_log_mel"] = scores.diversity_ratio(
            sampled_db, asked_group, part.log_mel[rows], real_group
        )
    for name, judge in judges.items():
        shares = dict.fromkeys(("real", "rebuilt", *OBEDIENCE), np.nan)
        for key in ("real", "rebuilt", "swap"):
            if f"{key}_labels" in found:
                hits = found[f"{name}_{key}"]
                shares[key] = scores.balanced_share(hits, found[f"{key}_labels"])
        if fresh is not None and sampled is not None:
            sets = {"fresh": (fresh, asked), "class_conditional": (sampled, asked)}
            shares |= obedience(judge, sets)
        row |= {f"{name}_{key}": share for key, share in shares.items()}
        for key in OBEDIENCE:
            for ceiling in ("real", "rebuilt"):
                ratio = shares[key] / max(shares[ceiling], 1e-9)
                row[f"{name}_{key}_over_{ceiling}"] = ratio
        if sampled is not None:
            made = judge.embedding(sampled)
            real = found[f"{name}_points"]
            row[f"{name}_diversity"] = scores.diversity_ratio(
                made, asked_group, real, real_group
            )
            row[f"{name}_frechet"] = scores.frechet_distance(made, real)
            row[f"{name}_kernel"] = scores.kernel_distance(made, real)
    return pd.Series(row, dtype="float64")


def check_judges(judges: Mapping[str, Any], features: Any) -> None:
    """Checks that judges know the genres of the features, in the same order.

    Args:
        judges: Dictionary name -> judge.
        features: `FeatureSet`.

    Raises:
        ValueError: If a judge has other genres or another `AudioConfig`.
    """
    for name, judge in judges.items():
        config = getattr(judge, "config", features.config)
        genres = getattr(judge, "genres", ())
        config.check_compatible(features, genres, f"The judge {name!r}")


def _measure_clips(model, config, log_mel, labels, judges):
    """Measures each clip of a piece: latents, errors, sharpness, hits, embeddings."""
    clips = config.scale(log_mel)
    mean, log_var = (np.asarray(values) for values in model.encode(clips))
    rebuilt = rebuild_clips(model, clips, mean, labels)
    real_db = config.unscale(clips)
    rebuilt_db = config.unscale(rebuilt)
    error = real_db - rebuilt_db
    found = {
        "mean": mean,
        "log_var": log_var,
        "squared_error": np.mean(error**2, axis=(1, 2), dtype=np.float64),
        "absolute_error": np.mean(np.abs(error), axis=(1, 2), dtype=np.float64),
        "sharpness_real": [scores.sharpness(clip) for clip in real_db],
        "sharpness_rebuilt": [scores.sharpness(clip) for clip in rebuilt_db],
    }
    sets = {"real": (clips, labels), "rebuilt": (rebuilt, labels)}
    if model.num_genres:
        sets["swap"] = _swap(model, mean, labels)
    for key, (made, wanted) in sets.items():
        found[f"{key}_labels"] = wanted
        for name, judge in judges.items():
            found[f"{name}_{key}"] = judge.predict(made) == wanted
    for name, judge in judges.items():
        found[f"{name}_points"] = judge.embedding(clips)
    return found


def _sample(model, sources, asked, sampler, seed):
    """Decodes latents drawn for the source genres as the genres asked for."""
    if sampler is not None:
        latents = sampler(sources, np.random.default_rng(seed))
    elif hasattr(model, "sample_latents"):
        latents = model.sample_latents(sources, seed=seed)
    else:
        return None
    return decode_clips(model, latents, asked)


def _swap(model, mean, labels):
    """Decodes every latent as each genre but its own; returns clips and labels."""
    source = np.repeat(np.arange(len(labels)), model.num_genres - 1)
    steps = np.tile(np.arange(1, model.num_genres), len(labels))
    targets = ((labels[source] + steps) % model.num_genres).astype(np.int32)
    return decode_clips(model, mean[source], targets), targets
