"""What the studio shows: pictures that are drawn once and updated, sound as bytes, links and the page without a kernel."""

import base64
import html
import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cvae_music import plots
from cvae_music.players import encode_mp3


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
    return f'<a download="{name}" href="data:{kind};base64,{data}">save {name} ({len(content) / 1000:.0f} kB)</a>'


def download_links(samples, config, stem):
    """Links to the samples as WAV and as MP3."""
    wav = download_link(wav_bytes(samples, config), f"{stem}.wav", "audio/wav")
    mp3 = download_link(encode_mp3(full_scale(samples)[0], config), f"{stem}.mp3", "audio/mpeg")
    return f"{wav} &nbsp; {mp3}"


def _png(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", pil_kwargs={"compress_level": 1})
    figure.set_layout_engine("none")  # the first drawing has found the places; finding them again takes half the time
    return buffer.getvalue()


class SpectrogramView:
    """Log-mel of a clip with its time in beats below and in seconds above."""

    def __init__(self, config):
        self.config = config
        self.figure = Figure(figsize=(6.4, 2.9), dpi=85, layout="constrained")
        FigureCanvasAgg(self.figure)
        self.ax = self.figure.add_subplot()
        silence = np.full(config.shape, config.floor_db, np.float32)
        self.image = plots.plot_log_mel(silence, config, self.ax)
        self.figure.colorbar(self.image, ax=self.ax, label="level (dB)")
        self.seconds_per_beat = 0.5
        if config.grid == "beats":
            convert = (lambda beats: beats * self.seconds_per_beat, lambda seconds: seconds / self.seconds_per_beat)
            self.ax.secondary_xaxis("top", functions=convert).set_xlabel("time (s)")

    def png(self, log_mel_db, tempo):
        """PNG bytes of a clip of shape `(num_frames, n_mels)`, dB."""
        self.seconds_per_beat = 60.0 / tempo
        self.image.set_data(np.asarray(log_mel_db).T)
        return _png(self.figure)


class MapView:
    """Real clips as points of the map, with a cursor."""

    def __init__(self, points, genre, genres):
        self.figure = Figure(figsize=(4.6, 3.6), dpi=85, layout="constrained")
        FigureCanvasAgg(self.figure)
        ax = self.figure.add_subplot()
        plots.plot_latent_map(points, genre, genres, ax)
        (self.cursor,) = ax.plot([0], [0], "+", color="black", markersize=22, markeredgewidth=2.5)
        (self.near,) = ax.plot([0], [0], "o", color="black", markersize=12, fillstyle="none")

    def png(self, at, near):
        """PNG bytes with the cursor at a place and a ring round another."""
        for marker, (x, y) in ((self.cursor, at), (self.near, near)):
            marker.set_data([x], [y])
        return _png(self.figure)


def static_page(clip, config, picture, code):
    """What is left of the studio without a kernel: the last clip to see and hear, and how to get the rest."""
    from cvae_music.players import player

    label = html.escape(f"{clip.genre or 'clip'}, seed {clip.seed}, {clip.tempo:g} beats a minute")
    image = base64.b64encode(picture).decode()
    return (
        "<p>The studio needs a running kernel: open this notebook in JupyterLab or on Colab and run it, or enter "
        f"<code>make studio</code>. The last clip played in it:</p><img alt='Log-mel spectrogram of {label}.' "
        f"src='data:image/png;base64,{image}'><br>{player(clip.samples, config, label).data}"
        f"<pre>{html.escape(code)}</pre>"
    )
