"""Figures of what the notebooks measure: each function draws on the axes it is given."""

import numpy as np

from cvae_music.plots import COLOURS


def plot_kl_per_dimension(kl, ax, active=None):
    """Draws the KL divergence of each latent dimension, largest first.

    Args:
        kl: Float array, shape `(latent_dim,)`, nats, mean over clips.
        ax: Matplotlib axes.
        active: Truth values, shape `(latent_dim,)`; the others are hatched. None marks none.
    """
    kl = np.asarray(kl, float)
    order = np.argsort(kl)[::-1]
    bars = ax.bar(np.arange(len(kl)), kl[order], color=COLOURS[0])
    if active is not None:
        for bar, is_active in zip(bars, np.asarray(active)[order], strict=True):
            if not is_active:
                bar.set(facecolor="white", edgecolor="0.4", hatch="///")
        ax.set_title(f"{int(np.sum(active))} of {len(kl)} units active (hatched: not)")
    ax.set(xlabel="latent dimension, largest first", ylabel="KL (nats)")


def plot_confusion(counts, genres, ax, asked="genre asked for", judged="genre the judge hears"):
    """Draws what became of each genre, in shares of its row.

    Args:
        counts: Array, shape `(genres, genres)`; rows what was asked for, columns what was judged.
        genres: Names, in the order of rows and columns.
        ax: Matplotlib axes.
        asked: Label of the rows.
        judged: Label of the columns.
    """
    counts = np.asarray(counts, float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    image = ax.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        ax.text(column, row, f"{share:.2f}", ha="center", va="center", color="black" if share > 0.5 else "white")
    ax.set_xticks(range(len(genres)), genres, rotation=45, ha="right")
    ax.set_yticks(range(len(genres)), genres)
    ax.set(xlabel=judged, ylabel=asked)
    return image
