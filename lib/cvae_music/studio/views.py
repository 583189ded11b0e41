"""What the studio shows: spectrogram, map of the latents, links, a static page."""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from cvae_music import plots
from cvae_music.players import data_url, player

if TYPE_CHECKING:
    from cvae_music.config import AudioConfig
    from cvae_music.generation import Clip


def image_tag(png: bytes, alt: str, attributes: str) -> str:
    """Writes HTML of a picture with alt text; ipywidgets' Image has none.

    Args:
        png: The picture.
        alt: What it shows.
        attributes: More attributes of the element, as HTML.

    Returns:
        An `<img>` element that holds the picture.
    """
    source = data_url(png, "image/png")
    return f'<img alt="{html.escape(alt)}" {attributes} src="{source}">'


def download_link(path: Path) -> str:
    """Writes an HTML link that saves a sound file from the page."""
    content = path.read_bytes()
    name = html.escape(path.name)
    source = data_url(content, f"audio/{path.suffix[1:]}")
    label = f"save {name} ({len(content) / 1000:.0f} kB)"
    return f'<a download="{name}" href="{source}">{label}</a>'


def static_page(clip: Clip, config: AudioConfig, picture: str, code: str) -> str:
    """Writes what is left of the studio without a kernel: the last clip, as HTML."""
    label = f"{clip.genre or 'clip'}, {clip.tempo:g} beats a minute"
    sound = player(clip.samples, config, label, clip.seed).data
    return (
        "<p>The studio needs a running kernel: open this notebook in JupyterLab or on "
        "Colab and run it, or enter <code>make studio</code>. The last clip played in "
        f"it:</p>{picture}<br>{sound}<pre>{html.escape(code)}</pre>"
    )


class Picture:
    """Draws a figure once, and afterwards only what changes, over a copy of the rest.

    Args:
        figure: Matplotlib figure.
        changing: Its artists that change from picture to picture.
    """

    def __init__(self, figure: Figure, changing: Sequence[Artist]) -> None:
        self.figure = figure
        self.canvas = FigureCanvasAgg(figure)
        self.changing = changing
        for artist in changing:
            artist.set_animated(True)
        self.canvas.draw()
        figure.set_layout_engine("none")  # the layout is found; it need not run again
        self.background = self.canvas.copy_from_bbox(figure.bbox)

    def png(self) -> bytes:
        """Draws the figure as it is now, as PNG bytes."""
        self.canvas.restore_region(self.background)
        for artist in self.changing:
            self.figure.draw_artist(artist)
        image = Image.fromarray(np.asarray(self.canvas.buffer_rgba())).convert("RGB")
        buffer = io.BytesIO()
        image.save(buffer, "png", compress_level=1)
        return buffer.getvalue()


class SpectrogramView:
    """Draws the log-mel of a clip, its time in beats below and in seconds above."""

    def __init__(self, config: AudioConfig) -> None:
        self.tempo = 120.0
        figure = Figure(figsize=(5.15, 2.7), dpi=85, layout="constrained")
        ax = figure.add_subplot()
        empty = np.full(config.shape, config.floor_db, np.float32)
        self.image = plots.plot_log_mel(empty, config, ax)
        figure.colorbar(self.image, ax=ax, label="level (dB)")
        changing: list[Artist] = [self.image]
        if config.grid == "beats":
            both_ways = (
                lambda beats: beats * 60.0 / self.tempo,
                lambda seconds: seconds * self.tempo / 60.0,
            )
            axis = ax.secondary_xaxis("top", functions=both_ways)
            axis.set_xlabel("time (s)")
            changing.append(axis)
        self.picture = Picture(figure, changing)
        box = ax.get_position()
        sides = (1 - box.y1, 1 - box.x1, box.y0, box.x0)
        inset = " ".join(f"{side:.2%}" for side in sides)
        # The part of the picture over which a player moves its head.
        self.attributes = f'style="max-width: 100%" data-inset="{inset}"'

    def png(self, log_mel_db: np.ndarray, tempo: float) -> bytes:
        """Draws a clip of shape `(num_frames, n_mels)`, dB, as PNG bytes."""
        self.tempo = tempo
        self.image.set_data(np.asarray(log_mel_db).T)
        return self.picture.png()


class MapView:
    """Draws real clips as points of the map, with a cursor and a ring.

    Args:
        points: Positions of the clips, shape `(clips, 2)`.
        genre: Their genre indices, shape `(clips,)`.
        genres: Names of the genres.
    """

    def __init__(
        self, points: np.ndarray, genre: Sequence[int], genres: Sequence[str]
    ) -> None:
        figure = Figure(figsize=(3.8, 3.7), dpi=85, layout="constrained")
        ax = figure.add_subplot()
        plots.plot_latent_map(points, np.asarray(genre), genres, ax)
        ax.set(
            xlim=np.multiply(1.2, ax.get_xlim()),
            ylim=np.multiply(1.2, ax.get_ylim()),
            xlabel="map x",
            ylabel="map y",
        )
        ax.legend(
            fontsize="small",
            markerscale=1.5,
            ncols=3,
            loc="lower center",
            bbox_to_anchor=(0.5, 1.0),
        )
        self.ax = ax
        (self.cursor,) = ax.plot([0], [0], "k+", markersize=22, markeredgewidth=2.5)
        (self.ring,) = ax.plot([0], [0], "ko", markersize=12, fillstyle="none")
        self.picture = Picture(figure, [self.cursor, self.ring])

    def png(self, cursor: Sequence[float], nearest: Sequence[float]) -> bytes:
        """Draws the cursor, and a ring round the nearest clip, as PNG bytes."""
        self.cursor.set_data([cursor[0]], [cursor[1]])
        self.ring.set_data([nearest[0]], [nearest[1]])
        return self.picture.png()

    def position(self, across: float, down: float) -> tuple[float, float]:
        """Finds the position on the map of a place in its picture.

        Args:
            across: Share of the picture's width, from the left.
            down: Share of its height, from the top.

        Returns:
            `(x, y)`.
        """
        pixels = np.multiply(self.picture.figure.bbox.size, (across, 1.0 - down))
        x, y = self.ax.transData.inverted().transform(pixels)
        return round(float(x), 2), round(float(y), 2)
