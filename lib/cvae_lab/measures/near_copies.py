"""Near copies: do generated clips lie nearer to training clips than unheard music does?

A model of other people's music is published after `check_near_copies` only.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist
from scipy.stats import betabinom
from sklearn.decomposition import PCA

from cvae_lab.measures.scoreboard import decode_clips
from cvae_lab.measures.scores import in_pieces, matrix

PERCENTILES = (1, 5)  # of the distances of held-out clips
NUM_CANDIDATES = 2  # nearest training clips of each clip that are described


def near_copies(
    generated: ArrayLike, training: ArrayLike, held_out: ArrayLike
) -> dict[str, Any]:
    """Compares distances to the nearest training clip with those of unheard clips.

    A model that invents music stays as far from its training clips as music it never
    heard does. So 1 % of its clips may lie below the 1st percentile of the distances of
    held-out clips, and 5 % below the 5th. Because both sets are samples, more are
    allowed: as many as an honest model exceeds in one of a thousand samples.

    Args:
        generated: Embeddings of generated clips, shape `(num_generated, dimensions)`.
        training: Embeddings of training clips.
        held_out: Embeddings of music of the same kind that is not in the training
            split.

    Returns:
        Dictionary: `num_generated`, `num_training`, `num_held_out`; `median_ratio`, the
        median distance of generated over that of held-out clips; for 1 and 5 percent
        `below_<percent>`, the share of generated clips, and `allowed_<percent>`;
        `passes`, whether both shares are allowed.

    Raises:
        ValueError: If embeddings are no matrices, or are empty.

    Source: Meehan, Chaudhuri and Dasgupta (2020), arXiv:2004.05675, for the comparison
    with held-out data.

    Example:
        >>> line = np.arange(100.0)[:, None]
        >>> near_copies(line + 0.01, line, line + 0.4)["passes"]
        False
        >>> near_copies(line + 0.5, line, line + 0.4)["passes"]
        True
    """
    training = matrix(training, "training")
    generated = matrix(generated, "generated")
    held_out = matrix(held_out, "held_out")
    made = cdist(generated, training).min(axis=1)
    real = cdist(held_out, training).min(axis=1)
    found: dict[str, Any] = {
        "num_generated": len(made),
        "num_training": len(training),
        "num_held_out": len(real),
        "median_ratio": float(np.median(made) / max(np.median(real), 1e-100)),
        "passes": True,
    }
    for percent in PERCENTILES:
        # The share below the k-th smallest distance follows a beta-binomial law.
        k = int(np.ceil(len(real) * percent / 100))
        allowed = betabinom(len(made), k, len(real) + 1 - k).ppf(0.999)
        below = np.sum(made < np.sort(real)[k - 1])
        found[f"below_{percent}"] = float(below / len(made))
        found[f"allowed_{percent}"] = float(allowed / len(made))
        found["passes"] &= bool(below <= allowed)
    return found


def pca_embedding(clips: Any, seed: int) -> Callable:
    """Fits 64 principal components to clips; what blur takes away is left out.

    Args:
        clips: Log-mel, shape `(num_clips, num_frames, n_mels)`, in memory or on disk.
        seed: Seed of the choice of the 2,000 clips that are fitted, at most.

    Returns:
        Function from clips to embeddings, shape `(num_clips, dimensions)`.
    """
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(clips))[:2000])
    fitted = np.asarray(clips[chosen], np.float32).reshape(len(chosen), -1)
    size = min(64, *fitted.shape)
    pca = PCA(size, svd_solver="randomized", random_state=seed).fit(fitted)

    def embed(piece):
        return pca.transform(piece.reshape(len(piece), -1))

    return functools.partial(in_pieces, embed)


def near_copy_table(
    model: Any,
    features: Any,
    *,
    num_clips: int = 240,
    seed: int = 0,
    describe: Callable | None = None,
) -> pd.DataFrame:
    """Measures whether new clips of a model are near copies of its training clips.

    Clips are drawn as `make_clip` draws them, the genres in turn, and compared with the
    test split by `near_copies`: in the principal components of log-mel and, with
    `describe`, in a second embedding, such as that of a network that hears the sound.
    There the test clips are rebuilt by the model too, because what it does to every
    clip, such as blur, moves all of them away from real ones; and only the two training
    clips count that are nearest to each clip in log-mel.

    Args:
        model: Has `encode`, `decode` and `sample_latents`.
        features: `FeatureSet` that the model was trained on.
        num_clips: Clips to draw, and at most as many of the test split.
        seed: Seed of all draws.
        describe: Function `(levels in dB, config) -> (clips, dimensions)`.

    Returns:
        DataFrame, the dictionaries of `near_copies` for each `embedding` and `clips`:
        `"new clips"` and, to show that the test can see copies, `"training clips,
        rebuilt"`.

    Example:
        >>> from cvae_music import VAE, AudioConfig, FeatureSet
        >>> config = AudioConfig(n_mels=16)
        >>> table = pd.DataFrame({"genre": "jazz", "split": ["train", "test"] * 20})
        >>> clips = np.random.default_rng(0).normal(-40.0, 9.0, (40, 128, 16))
        >>> features = FeatureSet(config, ("jazz",), table, clips, table[:0])
        >>> table = near_copy_table(VAE(config, width=40, depth=1), features)
        >>> table["clips"].tolist()
        ['new clips', 'training clips, rebuilt']
    """
    config = features.config
    train = features.subset("train")
    test = features.subset("test")
    rng = np.random.default_rng(seed)

    def some_of(part):
        rows = np.sort(rng.permutation(len(part))[:num_clips])
        return np.asarray(part.log_mel[rows], np.float32), part.genre_index[rows]

    def decode(latents, genres):
        return config.unscale(decode_clips(model, latents, genres))

    def rebuild(levels, genres):
        return decode(model.encode(config.scale(levels))[0], genres)

    held_out, held_genres = some_of(test)
    heard, genres = some_of(train)
    asked = np.arange(num_clips, dtype=np.int32) % features.num_genres
    sets = {
        "new clips": decode(model.sample_latents(asked, seed=seed), asked),
        "training clips, rebuilt": rebuild(heard, genres),
    }
    embed = pca_embedding(train.log_mel, seed)
    training = embed(train.log_mel)
    points = {name: embed(clips) for name, clips in sets.items()}
    held_points = embed(held_out)
    rows = []
    for name in sets:
        row = near_copies(points[name], training, held_points)
        rows.append({"embedding": "log-mel", "clips": name} | row)
    if describe is not None:
        everything = np.concatenate([*points.values(), held_points])
        nearest = np.argsort(cdist(everything, training))[:, :NUM_CANDIDATES]
        candidates = train.log_mel[np.unique(nearest)]
        training = describe(np.asarray(candidates, np.float32), config)
        held_points = describe(rebuild(held_out, held_genres), config)
        for name, clips in sets.items():
            row = near_copies(describe(clips, config), training, held_points)
            rows.append({"embedding": "described", "clips": name} | row)
    return pd.DataFrame(rows)


def check_near_copies(model: Any, features: Any, **options: Any) -> pd.DataFrame:
    """Refuses a model whose new clips are near copies of its training clips.

    Args:
        model: As for `near_copy_table`.
        features: As for `near_copy_table`.
        **options: As for `near_copy_table`.

    Returns:
        The table, if all new clips pass.

    Raises:
        ValueError: If new clips do not pass in one of the embeddings.

    Example:
        >>> check_near_copies(model, features)  # doctest: +SKIP
    """
    table = near_copy_table(model, features, **options)
    copied = table[(table["clips"] == "new clips") & ~table["passes"].astype(bool)]
    if len(copied):
        raise ValueError(
            f"new clips are near copies of training clips:\n{copied.to_string()}\n"
            "Expected them as far away as test clips are. Train for fewer steps, on "
            "more music, or with a larger KL weight."
        )
    return table
