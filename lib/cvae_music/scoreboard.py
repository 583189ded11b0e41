"""One row of measures for one model: every score beside its ceiling and beside chance."""

import inspect

import numpy as np
import pandas as pd

from cvae_music import evaluation


def in_batches(function, *arrays, batch_size=64):
    """Calls `function` on slices of the arrays and joins what it returns.

    Args:
        function: Takes one slice of each array; returns an array-like or a tuple of them.
        *arrays: Arrays of equal length.
        batch_size: Clips in a slice.

    Returns:
        A numpy array, or a tuple of them.
    """
    parts = []
    for start in range(0, len(arrays[0]), batch_size):
        made = function(*(array[start : start + batch_size] for array in arrays))
        parts.append(tuple(np.asarray(item) for item in (made if isinstance(made, (tuple, list)) else (made,))))
    joined = tuple(np.concatenate(items) for items in zip(*parts, strict=True))
    return joined if len(joined) > 1 else joined[0]


def takes_genre(model):
    """Whether `model.decode` wants the genre beside the latent."""
    return len(inspect.signature(model.decode).parameters) > 1


def _decode(model, latents, genres, batch_size):
    latents = np.asarray(latents, np.float32)
    if takes_genre(model):
        return in_batches(model.decode, latents, np.asarray(genres, np.int32), batch_size=batch_size)
    return in_batches(model.decode, latents, batch_size=batch_size)


def _prior_latents(model, genres, sampler, seed):
    if sampler is not None:
        return np.asarray(sampler(genres, np.random.default_rng(seed)))
    return np.asarray(model.sample_latents(genres, seed=seed))


def evaluate_model(
    model, features, judges, *, num_per_genre=50, seed=0, sampler=None, max_clips=1000, batch_size=64, split="test"
):
    """Measures one model on one split of the features.

    Prior obedience asks for `num_per_genre` clips of each genre with latents from the sampler; swap
    obedience decodes the posterior mean of each real clip as every other genre. Both are NaN for a
    model whose `decode` takes no genre; its diversity is then taken over all clips at once.

    Args:
        model: Has `encode(x) -> (mean, log_var)` (or the latent alone) and `decode(z, genre)` or
            `decode(z)`.
        features: `FeatureSet` with `config`, `genres` and `arrays(split)`.
        judges: Dictionary name -> judge, as `train_judges` returns it.
        num_per_genre: Clips to sample for each genre.
        seed: Seed of all draws.
        sampler: Callable `(genres, rng) -> latents`; default `model.sample_latents(genres, seed=seed)`.
        max_clips: At most so many clips of the split are used, chosen by the seed.
        batch_size: Clips in one call of the model.
        split: Split to measure on.

    Returns:
        pandas Series of floats. Names of judge columns start with the name of the judge.

    Raises:
        ValueError: If the split holds fewer than two clips.
    """
    clips, labels = (np.asarray(part) for part in features.arrays(split))
    if len(clips) < 2:
        raise ValueError(f"the {split} split holds {len(clips)} clips; expected at least two. Use a larger collection.")
    if len(clips) > max_clips:
        keep = np.sort(np.random.default_rng(seed).permutation(len(clips))[:max_clips])
        clips, labels = clips[keep], labels[keep]
    config, num_genres = features.config, len(features.genres)

    encoded = in_batches(model.encode, clips, batch_size=batch_size)
    mean, log_var = encoded if isinstance(encoded, tuple) else (encoded, None)
    rebuilt = _decode(model, mean, labels, batch_size)
    asked = np.repeat(np.arange(num_genres, dtype=np.int32), num_per_genre)
    sampled = _decode(model, _prior_latents(model, asked, sampler, seed), asked, batch_size)

    real_db, rebuilt_db = config.unscale(clips), config.unscale(rebuilt)
    row = {
        "num_test_clips": len(clips),
        "num_prior_clips": len(sampled),
        "active_units": evaluation.active_units(mean),
        "kl": np.nan if log_var is None else evaluation.kl_per_dimension(mean, log_var).sum(),
        "mutual_information": np.nan if log_var is None else evaluation.mutual_information(mean, log_var, seed=seed),
        "reconstruction_rms_db": evaluation.reconstruction_rms_db(real_db, rebuilt_db),
        "reconstruction_mean_abs_db": evaluation.reconstruction_mean_abs_db(real_db, rebuilt_db),
        "sharpness_reconstruction": evaluation.sharpness_ratio(rebuilt_db, real_db),
        "sharpness_prior": evaluation.sharpness_ratio(config.unscale(sampled), real_db),
    }
    groups = (asked, labels) if takes_genre(model) else (np.zeros_like(asked), np.zeros_like(labels))
    row["diversity_log_mel"] = evaluation.diversity_ratio(sampled, groups[0], clips, groups[1])
    row["chance"] = evaluation.chance(labels)

    swapped = _swap_clips(model, mean, labels, num_genres, batch_size) if takes_genre(model) else None
    for name, judge in judges.items():
        real_points, sampled_points = judge.embedding(clips), judge.embedding(sampled)
        scores = {
            "real": evaluation.label_obedience(judge, clips, labels),
            "rebuilt": evaluation.label_obedience(judge, rebuilt, labels),
            "prior": np.nan if swapped is None else evaluation.label_obedience(judge, sampled, asked),
            "swap": np.nan if swapped is None else evaluation.label_obedience(judge, *swapped),
        }
        row |= {f"{name}_{key}": value for key, value in scores.items()}
        for key in ("prior", "swap"):
            for ceiling in ("real", "rebuilt"):
                row[f"{name}_{key}_over_{ceiling}"] = scores[key] / scores[ceiling] if scores[ceiling] else np.nan
        row[f"{name}_diversity"] = evaluation.diversity_ratio(sampled_points, groups[0], real_points, groups[1])
        row[f"{name}_frechet"] = evaluation.frechet_distance(sampled_points, real_points)
        row[f"{name}_kernel"] = evaluation.kernel_distance(sampled_points, real_points)
    return pd.Series(row, dtype="float64")


def _swap_clips(model, mean, labels, num_genres, batch_size):
    """Decodes every latent as each genre but its own; returns clips and the genres asked for."""
    source = np.repeat(np.arange(len(labels)), num_genres - 1)
    steps = np.tile(np.arange(1, num_genres), len(labels))
    targets = ((labels[source] + steps) % num_genres).astype(np.int32)
    return _decode(model, mean[source], targets, batch_size), targets


def obedience_table(row, judges):
    """The obedience scores of one row with ceilings and chance beside them.

    Args:
        row: What `evaluate_model` returned.
        judges: Names of the judges (or the dictionary passed to `evaluate_model`).

    Returns:
        DataFrame, one line a judge; columns chance, prior, swap, reconstructions, real clips.
    """
    columns = {"prior": "prior", "swap": "swap", "rebuilt": "reconstructions", "real": "real clips"}
    lines = {
        name: {"chance": row["chance"]} | {title: row[f"{name}_{key}"] for key, title in columns.items()}
        for name in judges
    }
    return pd.DataFrame.from_dict(lines, orient="index")
