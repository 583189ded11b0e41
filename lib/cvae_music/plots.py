"""Figures of the series: each function draws on the axes it is given and changes nothing else."""

import base64
import io
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from cvae_music import serialization

# Okabe and Ito's colours, told apart with any colour vision; markers and hatches repeat the message.
COLOURS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#D55E00",
    "#56B4E9",
    "#000000",
    "#7A7A00",
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
# What the metrics of a model are called in legends; others go by their names.
WORDS = {
    "rms_db": "error (dB)",
    "kl": "KL divergence",
    "kl_weight": "weight of the KL",
    "swap": "listeners' loss",
}
HERTZ_TICKS = (100, 500, 1000, 2000, 5000, 10000, 20000)


def hertz_to_band(hertz, config):
    """Position of a frequency among the mel bands: 0 is the centre of the lowest band."""
    low, high, mel = (
        np.log1p(np.asarray(f, float) / 700.0)
        for f in (config.fmin, config.fmax, hertz)
    )  # HTK's scale
    return (mel - low) / (high - low) * (config.n_mels + 1) - 1.0


def plot_log_mel(log_mel_db, config, ax, tempo=None, title=None, seconds=False):
    """Draws one clip with the level limits of its configuration, so that pictures compare.

    Args:
        log_mel_db: Float array, shape `(frames, n_mels)`, dB relative to full scale.
        config: `AudioConfig`.
        ax: Matplotlib axes.
        tempo: Beats a minute, for the length of a beat in the axis label; None leaves it out.
        title: Text above the picture.
        seconds: Whether the axis counts seconds at that tempo (120 for None) and not beats, to show two tempos.

    Returns:
        The image, for a colour bar: `figure.colorbar(image, ax=ax, label="level (dB)")`.

    Raises:
        ValueError: If the shape does not fit the configuration.
    """
    log_mel_db = np.asarray(log_mel_db, np.float32)
    if log_mel_db.ndim != 2 or log_mel_db.shape[1] != config.n_mels:
        got = f"plot_log_mel got shape {log_mel_db.shape}; expected (frames, {config.n_mels}), one clip in dB."
        raise ValueError(
            f"{got} Pass one clip at a time, and use AudioConfig.unscale on what a model returns."
        )
    beat = f"beats of {60.0 / tempo:.2f} s" if tempo else "beats"
    length, unit = len(log_mel_db) / config.frames_per_beat, beat
    if seconds or config.grid == "seconds":
        length, unit = (
            config.seconds(tempo or 120.0) * len(log_mel_db) / config.num_frames,
            "s",
        )
    image = ax.imshow(
        log_mel_db.T,
        origin="lower",
        aspect="auto",
        cmap="magma",
        interpolation="nearest",
        vmin=config.floor_db,
        vmax=config.ceiling_db,
        extent=(0, length, -0.5, config.n_mels - 0.5),
    )
    ticks = [tick for tick in HERTZ_TICKS if config.fmin <= tick <= config.fmax]
    ax.set_yticks(
        hertz_to_band(ticks, config),
        [f"{tick // 1000}k" if tick >= 1000 else str(tick) for tick in ticks],
    )
    ax.set(
        xlabel=f"time ({unit})", ylabel="frequency (Hz, mel scale)", title=title or ""
    )
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
    curves, reference = getattr(history, "history", history), reference or {}
    if not set(names) <= set(curves):
        raise ValueError(
            f"plot_history got names {list(names)}; expected some of {sorted(curves)}."
        )
    for name, colour in zip(names, COLOURS, strict=False):
        for key, style, split in (
            (name, ".-", "training"),
            (f"val_{name}", ".--", "validation"),
        ):
            label, normal, values = (
                f"{WORDS.get(name, name)}, {split}",
                reference.get(key, ()),
                curves.get(key, ()),
            )
            if len(normal):
                ax.plot(
                    range(1, len(normal) + 1),
                    normal,
                    ":",
                    color="0.5",
                    label=f"{label}, a normal run",
                )
            if len(values):
                ax.plot(
                    range(1, len(values) + 1), values, style, color=colour, label=label
                )
    ax.set(xlabel="epoch", ylabel=unit)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(fontsize="small")


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
        got = f"plot_latent_map got points {points.shape} and genre {genre.shape}; expected (clips, 2) and (clips,)."
        raise ValueError(
            f"{got} Project the latents to two dimensions first, for instance with PCA."
        )
    for index, name in enumerate(genres):
        chosen = points[genre == index]
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
        ax.scatter(
            chosen[:, 0],
            chosen[:, 1],
            s=14,
            alpha=0.7,
            linewidths=0,
            color=colour,
            marker=marker,
            label=name,
        )
    ax.set(xlabel="first direction", ylabel="second direction", title=title)
    ax.legend(fontsize="small", markerscale=1.5)


def to_png(figure, dpi=110):
    """The figure as PNG bytes with 256 colours, about a third of the usual size."""
    from PIL import Image

    buffer, small = io.BytesIO(), io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    # The octree keeps rare colours, such as those of a colour bar, which the default merges.
    few = {"method": Image.Quantize.FASTOCTREE, "dither": Image.Dither.NONE}
    Image.open(buffer).convert("RGB").quantize(256, **few).save(
        small, format="png", optimize=True
    )
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
    picture = to_png(fig)
    show_picture(picture, alt)
    plt.close(fig)
    if name is not None:
        folder = Path(
            os.environ.get("CVAE_MUSIC_FIGURES")
            or serialization.results_folder() / "figures"
        )
        serialization.write_file(
            folder / f"{name}.png", lambda file: file.write(picture)
        )


def show_picture(picture, alt):
    """Shows a picture, PNG bytes or the path of a file of such, with words for those who do not see it.

    Raises:
        ValueError: If `alt` is empty.
    """
    from IPython.display import display

    if not alt.strip():
        raise ValueError(
            "Got a picture and no alt text; expected alt, one sentence that says what the picture shows."
        )
    picture = picture if isinstance(picture, bytes) else Path(picture).read_bytes()
    data = {"image/png": base64.b64encode(picture).decode(), "text/plain": alt}
    display(data, raw=True, metadata={"image/png": {"alt": alt}})
