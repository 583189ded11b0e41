"""Figures of the series: each function draws on the axes it is given and changes nothing else."""

import base64
import io
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from cvae_music import store

# Okabe and Ito's colours, told apart with any colour vision; markers and hatches repeat the message.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000", "#7A7A00")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
HERTZ_TICKS = (100, 500, 1000, 2000, 5000, 10000, 20000)


def _mel(hertz):
    """Mel scale of the features (HTK's formula)."""
    return 2595.0 * np.log10(1.0 + np.asarray(hertz, float) / 700.0)


def hertz_to_band(hertz, config):
    """Position of a frequency among the mel bands: 0 is the centre of the lowest band."""
    low, high = _mel(config.fmin), _mel(config.fmax)
    return (_mel(hertz) - low) / (high - low) * (config.n_mels + 1) - 1.0


def plot_log_mel(log_mel_db, config, ax, tempo=None, title=None):
    """Draws one clip with the level limits of its configuration, so that pictures compare.

    Args:
        log_mel_db: Float array, shape `(frames, n_mels)`, dB relative to full scale.
        config: `AudioConfig`.
        ax: Matplotlib axes.
        tempo: Beats a minute, for the length of a beat in the axis label; None leaves it out.
        title: Text above the picture.

    Returns:
        The image, for a colour bar: `figure.colorbar(image, ax=ax, label="level (dB)")`.

    Raises:
        ValueError: If the shape does not fit the configuration.
    """
    log_mel_db = np.asarray(log_mel_db, np.float32)
    if log_mel_db.ndim != 2 or log_mel_db.shape[1] != config.n_mels:
        raise ValueError(
            f"plot_log_mel got shape {log_mel_db.shape}; expected (frames, {config.n_mels}), one clip in dB. "
            "Pass one clip at a time, and use AudioConfig.unscale on what a model returns."
        )
    if config.grid == "beats":
        length = len(log_mel_db) / config.frames_per_beat
        label = "time (beats)" if tempo is None else f"time (beats of {60.0 / tempo:.2f} s)"
    else:
        length, label = len(log_mel_db) * config.hop_length / config.sample_rate, "time (s)"
    image = ax.imshow(
        log_mel_db.T, origin="lower", aspect="auto", cmap="magma", interpolation="nearest",
        vmin=config.floor_db, vmax=config.ceiling_db, extent=(0, length, -0.5, config.n_mels - 0.5),
    )  # fmt: skip
    ticks = [tick for tick in HERTZ_TICKS if config.fmin <= tick <= config.fmax]
    ax.set_yticks(hertz_to_band(ticks, config), [f"{tick // 1000}k" if tick >= 1000 else str(tick) for tick in ticks])
    ax.set(xlabel=label, ylabel="frequency (Hz, mel scale)")
    if title:
        ax.set_title(title)
    return image


def plot_history(history, ax, names=("loss",), reference=None, unit="nats per clip"):
    """Draws training (solid) and validation (dashed) curves.

    Args:
        history: What `fit` returns, or its dictionary of lists.
        ax: Matplotlib axes.
        names: Metrics to draw, without `val_`.
        reference: Dictionary of lists from a run known to be normal, drawn grey and dotted.
        unit: Label of the vertical axis.

    Raises:
        ValueError: If a metric is not in the history.
    """
    curves = getattr(history, "history", history)
    missing = [name for name in names if name not in curves]
    if missing:
        raise ValueError(f"plot_history got names {missing}; expected some of {sorted(curves)}.")
    for name, colour in zip(names, COLOURS, strict=False):
        for key, style in ((name, "-"), (f"val_{name}", "--")):
            if reference and key in reference:
                ax.plot(_epochs(reference[key]), reference[key], ":", color="0.5", label=f"{key} (reference)")
            if key in curves:
                ax.plot(_epochs(curves[key]), curves[key], style, color=colour, label=key)
    ax.set(xlabel="epoch", ylabel=unit)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend()


def _epochs(values):
    return np.arange(1, len(values) + 1)


def plot_latent_map(points, genre, genres, ax, title=None):
    """Draws clips as points of a plane, each genre with a colour and a marker of its own.

    Args:
        points: Float array, shape `(clips, 2)`.
        genre: Whole numbers, shape `(clips,)`, positions in `genres`.
        genres: Names of the genres.
        ax: Matplotlib axes.
        title: Text above the picture.

    Raises:
        ValueError: If the shapes do not belong together.
    """
    points, genre = np.asarray(points), np.asarray(genre)
    if points.ndim != 2 or points.shape[1] != 2 or genre.shape != points.shape[:1]:
        raise ValueError(
            f"plot_latent_map got points {points.shape} and genre {genre.shape}; expected (clips, 2) and (clips,). "
            "Project the latents to two dimensions first, for instance with PCA."
        )
    for index, name in enumerate(genres):
        chosen = points[genre == index]
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
        ax.scatter(chosen[:, 0], chosen[:, 1], s=14, alpha=0.7, linewidths=0, color=colour, marker=marker, label=name)
    ax.set(xlabel="first direction", ylabel="second direction", title=title)
    ax.legend(fontsize="small", markerscale=1.5)


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


def to_png(figure, dpi=110):
    """The figure as PNG bytes with 256 colours, about a third of the usual size."""
    from PIL import Image

    buffer, small = io.BytesIO(), io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    picture = Image.open(buffer).convert("RGB")
    # The octree keeps rare colours, such as those of a colour bar, which the default merges.
    picture = picture.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    picture.save(small, format="png", optimize=True)
    return small.getvalue()


def show_figure(fig, name=None, alt=""):
    """Shows a figure in the notebook, saves it as PNG, and closes it.

    Args:
        fig: Matplotlib figure.
        name: File name without ending, saved in the session's folder of figures (in `figures/` of the
            project in the series' own run); None saves nothing.
        alt: One sentence that says what is seen, for readers who do not see it.

    Raises:
        ValueError: If `alt` is empty.
    """
    from IPython.display import display

    if not alt.strip():
        raise ValueError("show_figure got no alt text; expected one sentence that says what the figure shows.")
    picture = to_png(fig)
    plt.close(fig)
    if name is not None:
        folder = Path(os.environ.get("CVAE_MUSIC_FIGURES") or store.results_folder() / "figures")
        store.write_file(folder / f"{name}.png", lambda file: file.write(picture))
    data = {"image/png": base64.b64encode(picture).decode(), "text/plain": alt}
    display(data, raw=True, metadata={"image/png": {"alt": alt}})
