"""A clip from outside: an upload or a file, cut to whole beats, as the model hears it."""

import base64
import html
import io
import itertools
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from cvae_music import plots
from cvae_music.players import encode_mp3

MAX_UPLOAD_BYTES = 40 * 2**20


def keep_upload(value, folder):
    """Writes what a `FileUpload` widget holds to a folder.

    Args:
        value: Its `value`: a dict of name to content (ipywidgets 7), or a tuple of dicts (ipywidgets 8).
        folder: Where to keep the file.

    Returns:
        Its path, or None when nothing was uploaded.

    Raises:
        ValueError: If the file is empty or too large.
    """
    files = [(name, file["content"]) for name, file in value.items()] if isinstance(value, dict) else [
        (file["name"], file["content"]) for file in value
    ]  # fmt: skip
    if not files:
        return None
    name, content = Path(files[-1][0]).name, bytes(files[-1][1])
    if not content:
        raise ValueError(f"{name}: empty file. It holds 0 bytes; expected a sound file. Export it again.")
    if len(content) > MAX_UPLOAD_BYTES:
        size, most = len(content) / 2**20, MAX_UPLOAD_BYTES / 2**20
        raise ValueError(f"{name} holds {size:.0f} MB; expected at most {most:.0f} MB. Cut it shorter, or give its path.")
    return keep_file(folder, name, content)


def keep_file(folder, name, content):
    """Writes bytes to a folder under their name, with a number added where another file has it; returns the path."""
    first = Path(folder) / name
    first.parent.mkdir(parents=True, exist_ok=True)
    for path in itertools.chain([first], (first.with_stem(f"{first.stem}_{k}") for k in itertools.count(2))):
        if not path.exists():
            path.write_bytes(content)
        if path.read_bytes() == content:
            return path


def full_scale(samples):
    """`(samples, dB)`: within full scale, and by how much they had to be turned down; quiet ones stay quiet."""
    peak = float(np.abs(samples).max(initial=0.0))
    return (samples / peak, 20 * np.log10(peak)) if peak > 1.0 else (samples, 0.0)


def wav_bytes(samples, config):
    """The samples as a WAV file of 16 bits, at the level they have."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, full_scale(samples)[0], config.sample_rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def download_link(content, name, kind):
    """An HTML link that saves the bytes as a file."""
    data = base64.b64encode(content).decode()
    name = html.escape(name)
    label = f'style="text-decoration: underline">save {name} ({len(content) / 1000:.0f} kB)'
    return f'<a download="{name}" href="data:{kind};base64,{data}" {label}</a>'


def save_sound(samples, config, folder, stem):
    """Writes samples as WAV and MP3 under a name no other sound has; returns the path of the WAV and links to both."""
    wav, mp3 = wav_bytes(samples, config), encode_mp3(full_scale(samples)[0], config)
    path = keep_file(folder, f"{stem}.wav", wav)
    path.with_suffix(".mp3").write_bytes(mp3)
    links = download_link(wav, path.name, "audio/wav"), download_link(mp3, f"{path.stem}.mp3", "audio/mpeg")
    return path, "<br>".join(links)


def image_tag(png, alt):
    """HTML of a picture with words for those who do not see it; ipywidgets' Image has no room for them."""
    return f'<img alt="{html.escape(alt)}" style="max-width: 100%" src="data:image/png;base64,{base64.b64encode(png).decode()}">'


class Picture:
    """A figure drawn once; afterwards only what changes is drawn, on top of a copy of the rest."""

    def __init__(self, figure, changing):
        self.canvas, self.changing = FigureCanvasAgg(figure), changing
        for artist in changing:
            artist.set_animated(True)
        self.redraw()
        figure.set_layout_engine("none")  # the places are found

    def redraw(self):
        """Draws all that stays."""
        self.canvas.draw()
        self.rest = self.canvas.copy_from_bbox(self.canvas.figure.bbox)

    def png(self):
        """PNG bytes."""
        self.canvas.restore_region(self.rest)
        for artist in self.changing:
            artist.axes.draw_artist(artist)
        buffer = io.BytesIO()
        Image.fromarray(np.asarray(self.canvas.buffer_rgba())).convert("RGB").save(buffer, "png", compress_level=1)
        return buffer.getvalue()


class SpectrogramView:
    """Log-mel of a clip with its time in beats below and in seconds above."""

    def __init__(self, config):
        figure = Figure(figsize=(5.15, 2.7), dpi=85, layout="constrained")
        ax = figure.add_subplot()
        self.image = plots.plot_log_mel(np.full(config.shape, config.floor_db, np.float32), config, ax)
        figure.colorbar(self.image, ax=ax, label="level (dB)")
        self.tempo = 120.0
        if config.grid == "beats":
            convert = (lambda beats: beats * 60.0 / self.tempo, lambda seconds: seconds * self.tempo / 60.0)
            ax.secondary_xaxis("top", functions=convert).set_xlabel("time (s)")
        self.picture = Picture(figure, [self.image])

    def png(self, log_mel_db, tempo):
        """PNG bytes of a clip of shape `(num_frames, n_mels)`, dB."""
        if tempo != self.tempo:
            self.tempo = tempo
            self.picture.redraw()
        self.image.set_data(np.asarray(log_mel_db).T)
        return self.picture.png()


class MapView:
    """Real clips as points of the map, with a cursor and a ring round the clip nearest to it."""

    def __init__(self, points, genre, genres):
        figure = Figure(figsize=(3.8, 3.7), dpi=85, layout="constrained")
        ax = figure.add_subplot()
        plots.plot_latent_map(points, genre, genres, ax)
        ax.set(xlim=1.2 * np.array(ax.get_xlim()), ylim=1.2 * np.array(ax.get_ylim()), xlabel="map x", ylabel="map y")
        ax.legend(fontsize="small", markerscale=1.5, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
        (cursor,) = ax.plot([0], [0], "+", color="black", markersize=22, markeredgewidth=2.5)
        (near,) = ax.plot([0], [0], "o", color="black", markersize=12, fillstyle="none")
        self.picture = Picture(figure, [cursor, near])

    def png(self, at, near):
        """PNG bytes with the cursor at a place and a ring round another."""
        for marker, (x, y) in zip(self.picture.changing, (at, near), strict=True):
            marker.set_data([x], [y])
        return self.picture.png()


def static_page(clip, config, picture, code):
    """What is left of the studio without a kernel: the last clip to see and hear, and how to get the rest."""
    from cvae_music.players import player

    label = html.escape(f"{clip.genre or 'clip'}, seed {clip.seed}, {clip.tempo:g} beats a minute")
    return (
        "<p>The studio needs a running kernel: open this notebook in JupyterLab or on Colab and run it, or enter "
        f"<code>make studio</code>. The last clip played in it:</p>{picture}<br>{player(clip.samples, config, label).data}"
        f"<pre>{html.escape(code)}</pre>"
    )
