"""One row of measures for one model: every score beside its ceiling and beside chance."""

import numpy as np
import pandas as pd

from cvae_lab.measures import scores


def latent_row(mean, log_var, seed=0):
    """How much the latents say: `active_units`, and in nats `kl` and `mutual_information`."""
    return {
        "active_units": scores.active_units(mean),
        "kl": float(scores.kl_per_dimension(mean, log_var).sum()),
        "mutual_information": scores.mutual_information(mean, log_var, seed=seed),
    }


def obedience(judge, heard):
    """`label_obedience` of each of several sets of clips: a dictionary name -> `(clips, labels)` in, name -> share out."""
    return {
        name: scores.label_obedience(judge, clips, labels)
        for name, (clips, labels) in heard.items()
    }


def evaluate_model(
    model,
    features,
    judges,
    *,
    num_per_genre=50,
    seed=0,
    sampler=None,
    max_clips=1000,
    split="test",
):
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
        ValueError: If the split holds fewer than two clips, or the features have another `AudioConfig` or other genres
            than the model or a judge.
    """
    getattr(model, "audio_config", features.config).check_compatible(
        features, getattr(model, "genres", ())
    )
    check_judges(judges, features)
    part, config, num_genres = (
        features.subset(split),
        features.config,
        len(features.genres),
    )
    if len(part) < 2:
        raise ValueError(
            f"the {split} split holds {len(part)} clips; expected at least two. Use a larger collection."
        )
    rows = np.sort(np.random.default_rng(seed).permutation(len(part))[:max_clips])
    labels, pieces = part.genre_index[rows], range(0, len(rows), scores.PIECE)
    parts = [
        _hear(
            model,
            config,
            *(
                values[rows[k : k + scores.PIECE]]
                for values in (part.log_mel, part.genre_index)
            ),
            judges,
        )
        for k in pieces
    ]
    heard = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}

    latents = latent_row(heard.pop("mean"), heard.pop("log_var"), seed)
    if not hasattr(model, "sample_latents"):
        latents |= {"kl": np.nan, "mutual_information": np.nan}
    row = {"num_test_clips": len(rows)} | latents
    row["reconstruction_rms_db"] = np.sqrt(heard["squared_error"].mean())
    row["reconstruction_mean_abs_db"] = heard["absolute_error"].mean()
    row["sharpness_reconstruction"] = scores.over_real_sharpness(
        heard["sharpness_rebuilt"], heard["sharpness_real"]
    )
    row["chance"] = scores.chance(labels)

    asked = np.repeat(np.arange(num_genres, dtype=np.int32), num_per_genre)
    # Without a label every clip is of one and the same group.
    asked_group, real_group = (
        (asked, labels)
        if model.num_genres
        else (np.zeros_like(asked), np.zeros_like(labels))
    )
    sampled = _sample(model, asked, sampler, seed)
    if sampled is not None:
        sharpness = scores.sharpness(config.unscale(sampled))
        row["num_prior_clips"] = len(sampled)
        row["sharpness_prior"] = scores.over_real_sharpness(
            sharpness, heard["sharpness_real"]
        )
        spread = (
            sampled * config.db_per_unit,
            asked_group,
            part.log_mel[rows],
            real_group,
        )  # distances in dB
        row["diversity_log_mel"] = scores.diversity_ratio(*spread)
    for name, judge in judges.items():
        shares = {
            key: heard.get(f"{name}_{key}", np.array(np.nan)).mean()
            for key in ("real", "rebuilt", "swap")
        }
        known = model.num_genres and sampled is not None
        shares["prior"] = (
            scores.label_obedience(judge, sampled, asked) if known else np.nan
        )
        row |= {f"{name}_{key}": score for key, score in scores.items()}
        for key in ("prior", "swap"):
            for ceiling in ("real", "rebuilt"):
                row[f"{name}_{key}_over_{ceiling}"] = shares[key] / max(
                    shares[ceiling], 1e-9
                )
        if sampled is not None:
            made, real = judge.embedding(sampled), heard[f"{name}_points"]
            row[f"{name}_diversity"] = scores.diversity_ratio(
                made, asked_group, real, real_group
            )
            row[f"{name}_frechet"] = scores.frechet_distance(made, real)
            row[f"{name}_kernel"] = scores.kernel_distance(made, real)
    return pd.Series(row, dtype="float64")


def check_judges(judges, features):
    """ValueError if a judge knows other genres than the features, or the same in another order."""
    for name, judge in judges.items():
        config, genres = (
            getattr(judge, "config", features.config),
            getattr(judge, "genres", ()),
        )
        config.check_compatible(features, genres, f"The judge {name!r}")


def _hear(model, config, log_mel, labels, judges):
    """What some clips tell, a value or a row for each: latents, errors, sharpness, hits of the judges, embeddings."""
    clips = config.scale(log_mel)
    mean, log_var = (np.asarray(values) for values in model.encode(clips))
    rebuilt = np.asarray(model.decode(mean, labels))
    real_db, rebuilt_db = config.unscale(clips), config.unscale(rebuilt)
    pairs = list(zip(real_db, rebuilt_db, strict=True))
    found = {
        "mean": mean,
        "log_var": log_var,
        "squared_error": [scores.reconstruction_rms_db(*pair) ** 2 for pair in pairs],
        "absolute_error": [scores.reconstruction_mean_abs_db(*pair) for pair in pairs],
        "sharpness_real": [scores.sharpness(clip) for clip in real_db],
        "sharpness_rebuilt": [scores.sharpness(clip) for clip in rebuilt_db],
    }
    heard = {"real": (clips, labels), "rebuilt": (rebuilt, labels)}
    if model.num_genres:
        heard["swap"] = _swap(model, mean, labels)
    for name, judge in judges.items():
        found |= {
            f"{name}_{key}": judge.predict(made) == wanted
            for key, (made, wanted) in heard.items()
        }
        found[f"{name}_points"] = judge.embedding(clips)
    return found


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
    columns = {
        "prior": "prior",
        "swap": "swap",
        "rebuilt": "reconstructions",
        "real": "real clips",
    }
    lines = {
        name: {"chance": row["chance"]}
        | {title: row[f"{name}_{key}"] for key, title in columns.items()}
        for name in judges
    }
    return pd.DataFrame.from_dict(lines, orient="index")
