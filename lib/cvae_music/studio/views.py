"""What the studio shows: the clip's spectrogram, the map of the latents, links, and what is left without a kernel."""

import html
import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from cvae_music import plots
from cvae_music.players import as_address, player


def image_tag(png, alt):
    """HTML of a picture with words for those who do not see it; ipywidgets' Image has no room for them."""
    return f'<img alt="{html.escape(alt)}" style="max-width: 100%" src="{as_address(png, "image/png")}">'


def download_link(path):
    """An HTML link that saves a sound file from the page."""
    content, name = path.read_bytes(), html.escape(path.name)
    label = (
        f'style="text-decoration: underline">save {name} ({len(content) / 1000:.0f} kB)'
    )
    return f'<a download="{name}" href="{as_address(content, f"audio/{path.suffix[1:]}")}" {label}</a>'


def static_page(clip, config, picture, code):
    """What is left of the studio without a kernel: the last clip to see and hear, and how to get the rest."""
    label = f"{clip.genre or 'clip'}, {clip.tempo:g} beats a minute"
    sound = player(clip.samples, config, label, clip.seed).data
    return (
        "<p>The studio needs a running kernel: open this notebook in JupyterLab or on Colab and run it, or enter <code>"
        f"make studio</code>. The last clip played in it:</p>{picture}<br>{sound}<pre>{html.escape(code)}</pre>"
    )


class Picture:
    """A figure drawn once; afterwards only what changes is drawn, on top of a copy of the rest."""

    def __init__(self, figure, changing):
        self.canvas, self.changing = FigureCanvasAgg(figure), changing
        for artist in changing:
            artist.set_animated(True)
        self.canvas.draw()
        figure.set_layout_engine("none")  # the places are found
        self.rest = self.canvas.copy_from_bbox(figure.bbox)

    def png(self):
        """PNG bytes."""
        self.canvas.restore_region(self.rest)
        for artist in self.changing:
            artist.axes.draw_artist(artist)
        buffer = io.BytesIO()
        Image.fromarray(np.asarray(self.canvas.buffer_rgba())).convert("RGB").save(
            buffer, "png", compress_level=1
        )
        return buffer.getvalue()


class SpectrogramView:
    """Log-mel of a clip with its time in beats below and in seconds above."""

    def __init__(self, config):
        figure = Figure(figsize=(5.15, 2.7), dpi=85, layout="constrained")
        ax = figure.add_subplot()
        image = plots.plot_log_mel(
            np.full(config.shape, config.floor_db, np.float32), config, ax
        )
        figure.colorbar(image, ax=ax, label="level (dB)")
        changing, self.tempo = [image], 120.0
        if config.grid == "beats":
            convert = (
                lambda beats: beats * 60.0 / self.tempo,
                lambda seconds: seconds * self.tempo / 60.0,
            )
            changing.append(
                ax.secondary_xaxis("top", functions=convert, xlabel="time (s)")
            )
        self.picture = Picture(figure, changing)

    def png(self, log_mel_db, tempo):
        """PNG bytes of a clip of shape `(num_frames, n_mels)`, dB."""
        self.tempo = tempo
        self.picture.changing[0].set_data(np.asarray(log_mel_db).T)
        return self.picture.png()


class MapView:
    """Real clips as points of the map, with a cursor and a ring round the clip nearest to it."""

    def __init__(self, points, genre, genres):
        figure = Figure(figsize=(3.8, 3.7), dpi=85, layout="constrained")
        ax = figure.add_subplot()
        plots.plot_latent_map(points, genre, genres, ax)
        ax.set(
            xlim=1.2 * np.array(ax.get_xlim()),
            ylim=1.2 * np.array(ax.get_ylim()),
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
        (cursor,) = ax.plot(
            [0], [0], "+", color="black", markersize=22, markeredgewidth=2.5
        )
        (near,) = ax.plot([0], [0], "o", color="black", markersize=12, fillstyle="none")
        self.picture = Picture(figure, [cursor, near])

    def png(self, at, near):
        """PNG bytes with the cursor at a place and a ring round another."""
        for marker, (x, y) in zip(self.picture.changing, (at, near), strict=True):
            marker.set_data([x], [y])
        return self.picture.png()
