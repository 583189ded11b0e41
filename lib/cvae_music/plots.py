"""Figures of the series: functions that draw on the axes they are given."""

import base64
import contextlib
import io
import itertools
import os
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator

from cvae_music import serialization
from cvae_music.config import AudioConfig

# The colours of Okabe and Ito, told apart with any colour vision. Markers and hatches
# repeat what the colours say.
COLOURS = tuple(
    "#0072B2 #E69F00 #009E73 #CC79A7 #D55E00 #56B4E9 #000000 #7A7A00".split()
)
MARKERS = tuple("os^DvPX*")
# What the metrics of a model are called in legends; others go by their names.
METRIC_LABELS = {
    "rms_db": "error (dB)",
    "kl": "KL divergence",
    "kl_weight": "weight of the KL",
}
HERTZ_TICKS = (100, 500, 1000, 2000, 5000, 10000, 20000)


def hertz_to_band(hertz: float | np.ndarray, config: AudioConfig) -> np.ndarray:
    """Converts frequencies in Hz to positions among the mel bands.

    Args:
        hertz: Frequencies, any shape.
        config: `AudioConfig`.

    Returns:
        Float array, same shape; 0 is the centre of the lowest band.
    """
    low, high = np.log1p(np.array([config.fmin, config.fmax]) / 700.0)  # HTK's scale
    mel = np.log1p(np.asarray(hertz, float) / 700.0)
    return (mel - low) / (high - low) * (config.n_mels + 1) - 1.0


def plain_text(text: str) -> str:
    """Escapes what Matplotlib reads as mathematics, or as a label to be hidden."""
    text = str(text).encode("utf-8", "replace").decode().replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def plot_log_mel(
    log_mel_db: np.ndarray,
    config: AudioConfig,
    ax: plt.Axes,
    tempo: float | None = None,
    title: str | None = None,
    seconds: bool = False,
) -> plt.matplotlib.image.AxesImage:
    """Draws the log-mel of one clip in dB, with the level limits of its config.

    The limits are fixed, so that pictures can be compared.

    Args:
        log_mel_db: Float array in dB, shape `(frames, n_mels)`.
        config: `AudioConfig`.
        ax: Matplotlib axes.
        tempo: Beats a minute, for the length of a beat in the axis label; None leaves
            it out.
        title: Text above the picture; a `$` begins no mathematics.
        seconds: Whether the axis counts seconds at that tempo (120 for None) in place
            of beats, to compare clips of different tempo.

    Returns:
        The image, for a colour bar: `figure.colorbar(image, ax=ax)`.

    Raises:
        ValueError: If the shape does not fit the configuration, or the levels are not
            finite or clearly no decibels, as in a scaled clip.

    Example:
        >>> import matplotlib.pyplot as plt
        >>> import numpy as np
        >>> from cvae_music import AudioConfig
        >>> config = AudioConfig()
        >>> fig, ax = plt.subplots()
        >>> image = plot_log_mel(np.full(config.shape, -40.0), config, ax, tempo=120.0)
        >>> ax.get_xlabel()
        'time (beats of 0.50 s)'
        >>> plt.close(fig)
    """
    log_mel_db = config.check_clip(log_mel_db, "plot_log_mel")
    if seconds or config.grid == "seconds":
        share = len(log_mel_db) / config.num_frames
        length = config.seconds(tempo or 120.0) * share
        unit = "s"
    else:
        length = len(log_mel_db) / config.frames_per_beat
        unit = f"beats of {60.0 / tempo:.2f} s" if tempo else "beats"
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
    labels = [f"{tick // 1000}k" if tick >= 1000 else str(tick) for tick in ticks]
    ax.set_yticks(hertz_to_band(np.array(ticks), config), labels)
    ax.set(
        xlabel=f"time ({unit})",
        ylabel="frequency (Hz, mel scale)",
        title=plain_text(title or ""),
    )
    return image


def plot_history(
    history: Any,
    ax: plt.Axes,
    names: list[str] | tuple[str, ...] = ("loss",),
    reference: dict[str, list[float]] | None = None,
    unit: str = "nats per clip",
) -> None:
    """Draws training (solid) and validation (dashed) curves over epochs.

    Args:
        history: What `fit` returns, or its dict of lists.
        ax: Matplotlib axes.
        names: Metrics to draw, without `val_`. From the ninth on, curves repeat the
            colours with other markers.
        reference: Dict of lists from a run known to be normal, drawn grey and dotted.
        unit: Label of the vertical axis.

    Raises:
        ValueError: If a metric is not in the history.

    Example:
        >>> import matplotlib.pyplot as plt
        >>> fig, ax = plt.subplots()
        >>> plot_history({"loss": [3.0, 2.0], "val_loss": [3.5, 2.5]}, ax)
        >>> [line.get_label() for line in ax.get_lines()]
        ['loss, training', 'loss, validation']
        >>> plt.close(fig)
    """
    names = [names] if isinstance(names, str) else names
    names = list(dict.fromkeys(name.removeprefix("val_") for name in names))
    curves = dict(getattr(history, "history", history))
    unknown = [name for name in names if name not in curves]
    if unknown:
        raise ValueError(
            f"plot_history got names {unknown}; expected some of {sorted(curves)}."
        )
    looks = itertools.cycle(itertools.product((".", *MARKERS), COLOURS))
    epochs: list[int] | range = list(getattr(history, "epoch", ()))
    epochs = epochs or range(max(map(len, curves.values()), default=0))
    for name, (marker, colour) in zip(names, looks, strict=False):
        splits = ("training", name, "-"), ("validation", f"val_{name}", "--")
        for split, key, line in splits:
            label = plain_text(f"{METRIC_LABELS.get(name, name)}, {split}")
            normal = (reference or {}).get(key, ())
            if len(normal):
                ax.plot(
                    np.arange(len(normal)) + 1,
                    normal,
                    ":",
                    color="0.5",
                    label=f"{label}, a normal run",
                )
            values = curves.get(key, ())
            if len(values):
                step = len(epochs) // len(values)  # validation may be rarer
                shown = np.add(epochs[step - 1 :: step][: len(values)], 1)
                ax.plot(shown, values, marker + line, color=colour, label=label)
    ax.set_xlabel("epoch")
    ax.set_ylabel(unit)
    ax.xaxis.set_major_locator(
        MaxNLocator("auto", steps=[1, 2, 2.5, 5, 10], integer=True)
    )
    ax.legend(fontsize="small")


def plot_latent_map(
    points: np.ndarray,
    genre: np.ndarray,
    genres: Any,
    ax: plt.Axes,
    title: str | None = None,
) -> None:
    """Draws clips as points of a plane, with a colour and a marker for each genre.

    Args:
        points: Float array, shape `(clips, 2)`.
        genre: Genre indices, shape `(clips,)`.
        genres: Names of the genres.
        ax: Matplotlib axes.
        title: Text above the picture.

    Raises:
        ValueError: If the shapes do not belong together.

    Example:
        >>> import matplotlib.pyplot as plt
        >>> import numpy as np
        >>> fig, ax = plt.subplots()
        >>> plot_latent_map(np.zeros((3, 2)), np.array([0, 1, 1]), ["a", "b"], ax)
        >>> len(ax.collections)
        2
        >>> plt.close(fig)
    """
    points = np.asarray(points)
    genre = np.asarray(genre)
    is_known = np.isin(genre, range(len(genres))).all()
    if points.shape != (len(genre), 2) or not is_known:
        raise ValueError(
            f"plot_latent_map got points {points.shape} and genre {genre[:9]}, shape "
            f"{genre.shape}; expected (clips, 2) and for each an index into {genres}. "
            "Project the latents to two dimensions first, for instance with PCA."
        )
    for index, name in enumerate(genres):
        x, y = points[genre == index].T
        ax.scatter(
            x,
            y,
            s=14,
            alpha=0.7,
            linewidths=0,
            color=COLOURS[index % len(COLOURS)],
            marker=MARKERS[index % len(MARKERS)],
            label=plain_text(name),
        )
    ax.set(
        xlabel="first direction",
        ylabel="second direction",
        title=plain_text(title or ""),
    )
    ax.legend(fontsize="small", markerscale=1.5)


def to_png(figure: plt.Figure, dpi: int = 110) -> bytes:
    """Draws a figure as PNG bytes with 256 colours, a third of the usual size."""
    from PIL import Image

    full = io.BytesIO()
    figure.savefig(full, format="png", dpi=dpi)
    # The octree keeps rare colours, such as those of a colour bar. The default merges
    # them.
    image = Image.open(full).convert("RGB")
    image = image.quantize(
        256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
    )
    small = io.BytesIO()
    image.save(small, format="png", optimize=True)
    return small.getvalue()


def show_figure(
    fig: plt.Figure,
    name: str | None = None,
    alt: str = "",
    folder: str | Path | None = None,
) -> None:
    """Shows a figure in the notebook, saves it as PNG, and closes it.

    Args:
        fig: Matplotlib figure.
        name: File name without ending; None saves nothing.
        alt: One sentence that says what is seen, for readers who do not see it.
        folder: Folder of the file. None takes `CVAE_MUSIC_FIGURES` from the
            environment, else `figures` in `CVAE_MUSIC_OUTPUT` or `outputs`.

    Raises:
        ValueError: If `alt` is empty.

    Example:
        >>> import matplotlib.pyplot as plt
        >>> fig, ax = plt.subplots()
        >>> show_figure(fig, alt="Empty axes.")  # doctest: +SKIP
        >>> plt.close(fig)
    """
    picture = to_png(fig)
    plt.close(fig)
    if name is not None:
        folder = Path(
            folder
            or os.environ.get("CVAE_MUSIC_FIGURES")
            or serialization.results_folder() / "figures"
        )
        serialization.write_file(
            folder / f"{name}.png", lambda file: file.write(picture)
        )
    show_picture(picture, alt)


def show_picture(picture: bytes | str | Path, alt: str) -> None:
    """Shows a PNG picture in the notebook, with alt text.

    Args:
        picture: PNG bytes, or the path of a PNG file.
        alt: One sentence that says what is seen, for readers who do not see it.

    Raises:
        ValueError: If `alt` is empty.

    Example:
        >>> show_picture("figures/01_phase.png", alt="Two curves.")  # doctest: +SKIP
    """
    from IPython.display import display

    if not alt.strip():
        raise ValueError(
            "Got a picture and no alt text; expected alt, one sentence that says what "
            "the picture shows."
        )
    content = picture if isinstance(picture, bytes) else Path(picture).read_bytes()
    data = {"image/png": base64.b64encode(content).decode(), "text/plain": alt}
    with contextlib.suppress(UnicodeEncodeError):  # a console that prints the text
        display(data, raw=True, metadata={"image/png": {"alt": alt}})
