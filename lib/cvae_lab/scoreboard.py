"""One row of measures for one model: every score beside its ceiling and beside chance."""

import numpy as np
import pandas as pd

from cvae_lab import evaluation


def evaluate_model(model, features, judges, *, num_per_genre=50, seed=0, sampler=None, max_clips=1000, split="test"):
    """Measures one model on one split of the features.

    Prior obedience asks for `num_per_genre` clips of each genre, with latents from the sampler; swap
    obedience decodes the posterior mean of each real clip as every other genre. A model without a
    label (`num_genres` 0) cannot obey: both are NaN, and its diversity is that of all clips at once. A
    model without `sample_latents` has no prior: without a sampler all that needs one is NaN.

    Args:
        model: Has `num_genres`, `encode(clips) -> (mean, log_var)`, `decode(latents, genres)`.
        features: `FeatureSet`.
        judges: Dictionary name -> judge, as `train_judges` returns it.
        num_per_genre: Clips to sample for each genre.
        seed: Seed of all draws.
        sampler: Callable `(genres, rng) -> latents`; by default `model.sample_latents(genres, seed=seed)`.
        max_clips: At most so many clips of the split are used, chosen by the seed.
        split: Split to measure on.

    Returns:
        pandas Series of floats. Columns of a judge start with its name; `_over_real` and
        `_over_rebuilt` are obedience divided by the judge's accuracy on real clips and on
        reconstructions.

    Raises:
        ValueError: If the split holds fewer than two clips.
    """
    part, config, num_genres = features.subset(split), features.config, len(features.genres)
    if len(part) < 2:
        raise ValueError(f"the {split} split holds {len(part)} clips; expected at least two. Use a larger collection.")
    rows = np.sort(np.random.default_rng(seed).permutation(len(part))[:max_clips])
    clips, labels = config.scale(part.log_mel[rows]), part.genre_index[rows]
    real_db = config.unscale(clips)

    mean, log_var = (np.asarray(values) for values in model.encode(clips))
    rebuilt = np.asarray(model.decode(mean, labels))
    rebuilt_db = config.unscale(rebuilt)
    has_prior = hasattr(model, "sample_latents")
    row = {
        "num_test_clips": len(clips),
        "active_units": evaluation.active_units(mean),
        "kl": evaluation.kl_per_dimension(mean, log_var).sum() if has_prior else np.nan,
        "mutual_information": evaluation.mutual_information(mean, log_var, seed=seed) if has_prior else np.nan,
        "reconstruction_rms_db": evaluation.reconstruction_rms_db(real_db, rebuilt_db),
        "reconstruction_mean_abs_db": evaluation.reconstruction_mean_abs_db(real_db, rebuilt_db),
        "sharpness_reconstruction": evaluation.sharpness_ratio(rebuilt_db, real_db),
        "chance": evaluation.chance(labels),
    }

    asked = np.repeat(np.arange(num_genres, dtype=np.int32), num_per_genre)
    # Without a label every clip is of one and the same group.
    asked_group, real_group = (asked, labels) if model.num_genres else (np.zeros_like(asked), np.zeros_like(labels))
    sampled = _sample(model, asked, sampler, seed)
    if sampled is not None:
        row["num_prior_clips"] = len(sampled)
        row["sharpness_prior"] = evaluation.sharpness_ratio(config.unscale(sampled), real_db)
        row["diversity_log_mel"] = evaluation.diversity_ratio(sampled, asked_group, clips, real_group)

    swapped = _swap(model, mean, labels) if model.num_genres else None
    for name, judge in judges.items():
        row[f"{name}_real"] = evaluation.label_obedience(judge, clips, labels)
        row[f"{name}_rebuilt"] = evaluation.label_obedience(judge, rebuilt, labels)
        if model.num_genres:
            row[f"{name}_swap"] = evaluation.label_obedience(judge, *swapped)
        if model.num_genres and sampled is not None:
            row[f"{name}_prior"] = evaluation.label_obedience(judge, sampled, asked)
        for key in ("prior", "swap"):
            score = row.setdefault(f"{name}_{key}", np.nan)
            for ceiling in ("real", "rebuilt"):
                row[f"{name}_{key}_over_{ceiling}"] = score / max(row[f"{name}_{ceiling}"], 1e-9)
        if sampled is not None:
            made, real = judge.embedding(sampled), judge.embedding(clips)
            row[f"{name}_diversity"] = evaluation.diversity_ratio(made, asked_group, real, real_group)
            row[f"{name}_frechet"] = evaluation.frechet_distance(made, real)
            row[f"{name}_kernel"] = evaluation.kernel_distance(made, real)
    return pd.Series(row, dtype="float64")


def _sample(model, asked, sampler, seed):
    if sampler is not None:
        latents = sampler(asked, np.random.default_rng(seed))
    elif hasattr(model, "sample_latents"):
        latents = model.sample_latents(asked, seed=seed)
    else:
        return None
    return np.asarray(model.decode(np.asarray(latents, np.float32), asked))


def _swap(model, mean, labels):
    """Decodes every latent as each genre but its own; returns clips and the genres asked for."""
    source = np.repeat(np.arange(len(labels)), model.num_genres - 1)
    steps = np.tile(np.arange(1, model.num_genres), len(labels))
    targets = ((labels[source] + steps) % model.num_genres).astype(np.int32)
    return np.asarray(model.decode(mean[source], targets)), targets


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
