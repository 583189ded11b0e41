"""Draws the series, in one hand: writes lib/cvae_lab/drawings/*.svg, and a PNG beside each where Chromium is found.

    python tools/drawings.py [name ...]

`cvae_lab.drawing(name)` shows them in notebooks. Each is laid out for a column of 480 units and text of 15, which is
11 pixels on a phone of 360. Attributes carry the light colours, since GitHub drops style sheets; the style sheet only
turns them dark. Pictures of clips are log-mels of known-factor music, drawn as lines, not as images inside an image.
The PNG is for viewers that show no SVG, such as JupyterLab before a notebook is trusted.
"""

import argparse
import functools
import hashlib
import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image, PngImagePlugin

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "lib"))

from cvae_music.audio.analysis import beat_frame_times, log_mel  # noqa: E402
from cvae_music.config import AudioConfig  # noqa: E402
from known_music import compose  # noqa: E402

FOLDER = ROOT / "lib" / "cvae_lab" / "drawings"
WIDTH = 480  # units of a drawing
SHOWN_WIDTH = 560  # pixels, where there is room
TEXT = 15  # units: 11 pixels on a screen of 360
LINE = 18
# Fill and line of each kind of thing, in light and in dark. Shape says the same: numbers
# have square corners, what is trained has round ones, losses are dashed.
ROLES = {
    "paper": ("#ffffff", "#d0d7de", "#161b22", "#3d444d"),
    "data": ("#dcecf8", "#0067a3", "#12344d", "#6cb8ea"),
    "net": ("#fdebc8", "#8a5a00", "#47330d", "#f0b44a"),
    "latent": ("#d6f0e5", "#00714f", "#0d3d2d", "#3fd0a0"),
    "genre": ("#f7e2ee", "#9a3d74", "#452237", "#ec9ccb"),
    "loss": ("#fce1d8", "#b03a00", "#4b2113", "#ff9166"),
    "plain": ("#f3f4f6", "#57606a", "#262c34", "#9aa4ae"),
    "ink": ("#1f2328", "#1f2328", "#e6edf3", "#e6edf3"),
}
FONT = "Arial, Helvetica, sans-serif"
# Advance widths of Helvetica from the space on, in thousandths of the size.
ADVANCES = (
    "278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 "
    "556 556 556 556 556 556 278 278 584 584 584 556 1015 667 667 722 722 667 611 778 "
    "722 278 500 667 556 833 722 778 667 778 722 667 611 722 667 944 667 667 611 278 "
    "278 278 469 556 333 556 556 500 556 556 278 556 556 222 222 500 222 833 556 556 "
    "556 556 333 500 278 556 500 722 500 500 500 334 260 334 584"
).split()
# Matplotlib's magma, from the floor of a log-mel to the loudest level.
MAGMA = (
    "#000004 #0a0822 #1d1147 #36106b #51127c #6a1c81 #842681 #9c2e7f #b73779 #d0416f "
    "#e75263 #f56b5c #fc8961 #fea772 #fec488 #fde2a3"
).split()
QUIETEST, LOUDEST = -70.0, -8.0  # dB of the first and the last colour
# The clip of "read_log_mel": few notes, each by itself. A notebook plays the same one.
EXAMPLE_CLIP = {
    "genre": "house",
    "seed": 8,
    "tempo": 90.0,
    "key": 9,
    "mode": 0,
    "brightness": 0.6,
    "density": 0.1,
    "progression": 1,
    "pattern": 0,
    "register": 1,
    "level_db": -20.0,
}
CONFIG = AudioConfig()


def text_width(text, size=TEXT, bold=False):
    """Width of a line of text in Arial or Helvetica, in units; a little too much."""
    known = [
        int(ADVANCES[ord(letter) - 32]) if 32 <= ord(letter) < 127 else 600
        for letter in text
    ]
    return sum(known) / 1000 * size * (1.1 if bold else 1.03)


def number(value):
    """A coordinate as short as it can be written."""
    return f"{value:.1f}".removesuffix(".0")


@functools.lru_cache
def composed(**changes):
    """Log-mel in dB of a composed clip, `(128, 128)`, and its samples."""
    row = EXAMPLE_CLIP | changes
    samples = compose(row)
    beats = 60.0 / row["tempo"] * np.arange(CONFIG.num_beats + 1)
    times = beat_frame_times(beats, CONFIG)
    return log_mel(samples, times, CONFIG, wrap=True), samples


def pooled(levels, num_frames, num_bands):
    """Levels averaged to a smaller picture."""
    frames = np.array_split(levels, num_frames)
    levels = np.stack([part.mean(axis=0) for part in frames])
    bands = np.array_split(levels, num_bands, axis=1)
    return np.stack([part.mean(axis=1) for part in bands], axis=1)


def small(genre="house", num_frames=32, num_bands=24, **changes):
    """A small picture of a clip, for a place among others."""
    settings = {"density": 0.5, "genre": genre} | changes
    return pooled(composed(**settings)[0], num_frames, num_bands)


class Drawing:
    """An SVG in the making. Lengths are in units, y grows downwards.

    Args:
        title: Alt text in a few words.
        seen: Alt text in one to three sentences: what the drawing shows.
        height: Height in units.
    """

    def __init__(self, title, seen, height):
        self.title = title
        self.seen = seen
        self.height = height
        self.parts = []
        self.add("rect", "paper", x=1, y=1, width=478, height=height - 2, rx=8)

    def add(self, tag, role, line=True, fill=True, text=None, **attributes):
        """Adds an element in the colours of a role."""
        filled, lined = ROLES[role][:2]
        found = {"class": f"f-{role}" * fill + " " * (fill and line)}
        found["class"] += f"s-{role}" * line
        found["fill"] = filled if fill else "none"
        if line:
            found["stroke"] = lined
        for name, value in attributes.items():
            is_number = isinstance(value, (int, float, np.number))
            name = name.replace("_", "-")
            found[name] = number(value) if is_number else value
        shown = " ".join(f'{name}="{value}"' for name, value in found.items())
        end = "/>" if text is None else f">{escape(text)}</{tag}>"
        self.parts.append(f"<{tag} {shown}{end}")

    def label(self, x, y, text, anchor="middle", bold=False, role="ink", size=TEXT):
        """Writes a line of text whose letters stand on `y`."""
        start = x - {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor] * text_width(
            text, size, bold
        )
        if start < 6 or start + text_width(text, size, bold) > WIDTH - 6:
            raise ValueError(
                f"{text!r} leaves the drawing; expected at most {WIDTH - 12} units. "
                "Write less, or in two lines."
            )
        if not 12 <= y <= self.height - 8:
            raise ValueError(
                f"{text!r} stands at {y:.0f}; expected 12 to {self.height - 8}. "
                "Give the drawing another height."
            )
        weight = ' font-weight="bold"' if bold else ""
        # The line colour of a role is its darker one, and text needs contrast.
        self.parts.append(
            f'<text class="t-{role}" fill="{ROLES[role][1]}" x="{number(x)}" '
            f'y="{number(y)}" font-size="{size}" text-anchor="{anchor}"{weight}>'
            f"{escape(text)}</text>"
        )

    def lines(self, x, y, texts, **settings):
        """Writes lines of text around the middle `y`."""
        first = y - LINE * (len(texts) - 1) / 2 + 5
        for index, text in enumerate(texts):
            self.label(x, first + LINE * index, text, **settings)

    def box(self, x, y, width, height, text, role, bold=False, **settings):
        """Draws a box with lines of text; `|` parts them."""
        texts = text.split("|") if text else []
        for each in texts:
            if text_width(each, TEXT, bold) > width - 6:
                raise ValueError(
                    f"{each!r} needs {text_width(each, TEXT, bold):.0f} units; its box "
                    f"has {width - 6}. Write less, or widen the box."
                )
        looks = {"rx": 8} if role in ("net", "genre") else {"rx": 2}
        if role == "loss":
            looks = {"rx": 8, "stroke_dasharray": "5 3"}
        looks = {"stroke_width": 1.6, **looks, **settings}
        self.add("rect", role, x=x, y=y, width=width, height=height, **looks)
        self.lines(x + width / 2, y + height / 2, texts, bold=bold)

    def trapezoid(self, x, y, width, height, text, narrow, role="net", **settings):
        """Draws an encoder or a decoder: narrow at the side of the latent."""
        cut = 0.28 * height
        left, right = (cut, 0) if narrow == "left" else (0, cut)
        corners = (
            (x, y + left),
            (x + width, y + right),
            (x + width, y + height - right),
            (x, y + height - left),
        )
        self.polygon(corners, role, stroke_width=1.6, **settings)
        self.lines(x + width / 2, y + height / 2, text.split("|") if text else [])

    def polygon(self, corners, role, **settings):
        """Draws a filled shape."""
        points = " ".join(f"{number(x)},{number(y)}" for x, y in corners)
        self.add("polygon", role, points=points, stroke_linejoin="round", **settings)

    def path(self, points, role="ink", closed=False, **settings):
        """Draws a line through points."""
        steps = " ".join(f"L{number(x)} {number(y)}" for x, y in points)
        looks = {"stroke_width": 2, "stroke_linejoin": "round"} | settings
        d = "M" + steps[1:] + "Z" * closed
        self.add("path", role, fill=False, d=d, **looks)

    def arrow(self, *points, role="ink", dashed=False, width=2):
        """Draws a line with a head at its last point."""
        (x0, y0), (x1, y1) = points[-2:]
        length = float(np.hypot(x1 - x0, y1 - y0))
        dx, dy = (x1 - x0) / length, (y1 - y0) / length
        back = x1 - 9 * dx, y1 - 9 * dy
        dash = {"stroke_dasharray": "5 4"} if dashed else {}
        self.path([*points[:-1], back], role, stroke_width=width, **dash)
        wings = [(back[0] + s * 5 * dy, back[1] - s * 5 * dx) for s in (1, -1)]
        points = " ".join(f"{number(x)},{number(y)}" for x, y in [(x1, y1), *wings])
        self.parts.append(
            f'<polygon class="t-{role}" fill="{ROLES[role][1]}" points="{points}"/>'
        )

    def picture(self, x, y, width, height, levels, role="data"):
        """Draws levels in dB, `(frames, bands)`, as a spectrogram with a frame."""
        span = LOUDEST - QUIETEST
        steps = np.clip((levels - QUIETEST) / span, 0, 1) * (len(MAGMA) - 1)
        steps = np.round(steps).astype(int)
        num_frames, num_bands = steps.shape
        scale = f"{width / num_frames:.4g} {height / num_bands:.4g}"
        self.parts.append(
            f'<g transform="translate({number(x)} {number(y)}) scale({scale})" '
            f'fill="none" shape-rendering="crispEdges"><rect width="{num_frames}" '
            f'height="{num_bands}" fill="{MAGMA[0]}"/>'
        )
        for step in range(1, len(MAGMA)):
            runs = "".join(runs_of(steps == step))
            if runs:
                self.parts.append(f'<path stroke="{MAGMA[step]}" d="{runs}"/>')
        self.parts.append("</g>")
        looks = {"fill": False, "stroke_width": 2}
        self.add("rect", role, x=x, y=y, width=width, height=height, **looks)

    def callout(self, start, end):
        """Draws an arrow that is seen on a picture as well as beside it."""
        (x0, y0), (x1, y1) = start, end
        length = float(np.hypot(x1 - x0, y1 - y0))
        dx, dy = (x1 - x0) / length, (y1 - y0) / length
        back = x1 - 10 * dx, y1 - 10 * dy
        wings = [(back[0] + s * 6 * dy, back[1] - s * 6 * dx) for s in (1, -1)]
        line = f"M{number(x0)} {number(y0)}L{number(back[0])} {number(back[1])}"
        head = "M" + "L".join(f"{number(x)} {number(y)}" for x, y in (end, *wings))
        for colour, wide in (("#000000", 5), ("#ffffff", 2)):
            self.parts.append(
                f'<path fill="{colour}" stroke="{colour}" stroke-width="{wide}" '
                f'stroke-linejoin="round" d="{line}{head}Z"/>'
            )

    def tick(self, x, y, text):
        """Marks a beat below a picture."""
        self.label(x, y + 25, text, role="latent")
        self.parts.append(
            f'<polygon class="t-latent" fill="{ROLES["latent"][1]}" '
            f'points="{number(x)},{number(y)} {number(x - 5)},{number(y + 10)} '
            f'{number(x + 5)},{number(y + 10)}"/>'
        )

    def waveform(self, x, y, width, height, samples, num_bars=44):
        """Draws the envelope of a sound as bars around a line."""
        pieces = np.array_split(np.abs(samples), num_bars)
        peaks = np.array([piece.max() for piece in pieces]) / np.abs(samples).max()
        step = width / num_bars
        for index, peak in enumerate(peaks):
            half = max(1.0, 0.5 * height * peak)
            at = x + (index + 0.5) * step
            self.path(
                [(at, y + height / 2 - half), (at, y + height / 2 + half)], "data"
            )

    def cells(self, x, y, width, height, columns, rows=1, role="latent"):
        """Draws a row or a table of numbers, a cell for each."""
        self.add("rect", role, x=x, y=y, width=width, height=height, stroke_width=1.6)
        inner = [
            [(x + width * k / columns, y), (x + width * k / columns, y + height)]
            for k in range(1, columns)
        ]
        inner += [
            [(x, y + height * k / rows), (x + width, y + height * k / rows)]
            for k in range(1, rows)
        ]
        d = "".join(
            f"M{number(x0)} {number(y0)}L{number(x1)} {number(y1)}"
            for (x0, y0), (x1, y1) in inner
        )
        self.add("path", role, fill=False, d=d, stroke_width=0.8)

    def plus(self, x, y):
        """Draws the sign of a sum."""
        self.add("circle", "plain", cx=x, cy=y, r=13, stroke_width=1.6)
        self.path([(x - 6, y), (x + 6, y)])
        self.path([(x, y - 6), (x, y + 6)])

    def svg(self):
        """The whole as text."""
        rules = []
        for role, (_, _, fill, line) in ROLES.items():
            rules.append(f".f-{role}{{fill:{fill}}}.s-{role}{{stroke:{line}}}")
            rules.append(f".t-{role}{{fill:{line}}}")
        style = f"@media (prefers-color-scheme:dark){{{''.join(rules)}}}"
        shown = SHOWN_WIDTH * self.height / WIDTH
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{SHOWN_WIDTH}" '
            f'height="{number(shown)}" viewBox="0 0 {WIDTH} {self.height}" role="img" '
            f'style="max-width:100%;height:auto" font-family="{FONT}">'
        )
        alt = f"<title>{escape(self.title)}</title>\n<desc>{escape(self.seen)}</desc>"
        body = "\n".join(self.parts)
        return f"{head}\n{alt}\n<style>{style}</style>\n{body}\n</svg>\n"


def runs_of(cells):
    """Lines of SVG's path language through the runs of cells, lowest band at the bottom."""
    num_frames, num_bands = cells.shape
    for band in range(num_bands):
        row = np.flatnonzero(np.diff(np.concatenate([[0], cells[:, band], [0]])))
        for start, stop in row.reshape(-1, 2):
            yield f"M{start} {num_bands - band - 0.5:g}h{stop - start}"


def whole_way():
    d = Drawing(
        "The way of a clip, from file to sound",
        "A sound file becomes samples, then a log-mel picture of 128 by 128 levels. The "
        "encoder turns the picture into 96 numbers, the latent. The decoder, told a "
        "genre, turns them into a new picture, and phases turn that into sound.",
        560,
    )
    samples = composed(density=0.5)[1]
    # Left to right.
    d.box(20, 46, 74, 90, "sound|file", "data")
    d.arrow((98, 91), (126, 91))
    d.waveform(132, 46, 130, 90, samples)
    d.label(197, 30, f"{len(samples):,} samples")
    d.label(197, 158, "eight beats")
    d.arrow((266, 91), (300, 91))
    d.picture(306, 46, 150, 90, small())
    d.label(381, 30, "log-mel, 128 × 128")
    # Right to left.
    d.arrow((381, 142), (381, 218))
    d.trapezoid(320, 204, 122, 120, "encoder", "left")
    d.arrow((316, 264), (286, 264))
    d.cells(208, 220, 72, 88, 8, 12)
    d.label(244, 208, "latent", bold=True, role="latent")
    d.label(244, 330, "96 numbers")
    d.arrow((202, 264), (166, 264))
    d.trapezoid(40, 204, 122, 120, "decoder", "right")
    d.box(170, 354, 78, 32, "genre", "genre")
    d.arrow((166, 370), (118, 370), (118, 316), role="genre")
    # Left to right again.
    d.arrow((60, 324), (60, 446))
    d.label(70, 440, "new log-mel", anchor="start")
    d.picture(20, 452, 150, 90, small("rock"))
    d.arrow((174, 497), (204, 497))
    d.box(210, 462, 96, 70, "vocoder,|phases", "net")
    d.arrow((310, 497), (338, 497))
    d.waveform(346, 452, 112, 90, composed(genre="rock", density=0.5)[1], 38)
    d.label(402, 440, "new sound")
    return d


def read_log_mel():
    d = Drawing(
        "How to read a log-mel picture",
        "One bar of house as a log-mel picture, time from left to right, frequency from "
        "bottom to top, loud is bright. Arrows point at a kick, a hook at the bottom; a "
        "snare, here a clap, a broad stripe; a hi-hat, at the top; a bass note and a "
        "chord, stacks of flat lines; and a note of the melody, a few flat lines far "
        "apart.",
        566,
    )
    levels = composed()[0][:64]
    left, top, width, height = 52, 84, 412, 330
    beat = width / 4
    d.picture(left, top, width, height, levels)
    mel = np.log1p(np.array([100, 500, 1000, 2000, 5000]) / 700.0)
    low, high = np.log1p(np.array([CONFIG.fmin, CONFIG.fmax]) / 700.0)
    places = (mel - low) / (high - low) * 129 - 0.5
    for place, name in zip(places, ("100", "500", "1k", "2k", "5k"), strict=True):
        at = top + height * (1 - place / 128)
        d.label(left - 8, at + 5, name, anchor="end", role="plain")
        d.path([(left - 5, at), (left, at)], "plain", stroke_width=1.5)
    d.label(left - 8, top + 12, "Hz", anchor="end", role="plain")
    for index in range(4):
        at = left + beat * index
        d.label(at + 3, top + height + 20, f"beat {index + 1}", "start", role="plain")
        d.path([(at, top + height), (at, top + height + 6)], "plain", stroke_width=1.5)

    def point(text, x, beats, band, below=False):
        d.label(x, 464 if below else 70, text, bold=True)
        to = left + beat * beats, top + height * (1 - band / 128)
        d.callout((x, 450 if below else 76), to)

    # What sounds where was computed once, part by part.
    point("melody", 84, 0.3, 43)
    point("hi-hat", 190, 0.64, 118)
    point("chord", 262, 1.7, 48)
    point("snare (clap)", 374, 3.15, 96)
    point("kick", 232, 2.09, 6, below=True)
    point("bass", 434, 3.72, 9, below=True)
    d.label(240, 32, "Across: time. Up: frequency. Bright: loud.")
    d.label(20, 500, "Noise of a drum: short, at many frequencies.", anchor="start")
    d.label(20, 524, "Note: a stack of flat lines, its overtones.", anchor="start")
    d.label(20, 548, "Chord: the stacks of several notes at once.", anchor="start")
    return d


def beat_grid():
    d = Drawing(
        "Frames in seconds, and frames in beats",
        "The same music at 90 and at 130 beats a minute. With frames at a fixed step in "
        "seconds, kicks and claps stand at other columns in each picture. With 16 frames "
        "to the beat they stand at the same columns.",
        436,
    )
    seconds = 64 * CONFIG.hop_length / CONFIG.sample_rate  # of the pictures on the left
    for row, tempo in enumerate((90.0, 130.0)):
        levels, samples = composed(tempo=tempo)
        times = np.linspace(0, seconds, 65)[:-1]
        fixed = log_mel(samples, times, CONFIG, wrap=True)
        y = 80 + 162 * row
        d.label(20, y - 8, f"{tempo:.0f} beats a minute", "start", role="plain")
        d.picture(20, y, 205, 104, pooled(fixed, 64, 32))
        d.picture(255, y, 205, 104, pooled(levels[:64], 64, 32))
        for index in range(4):
            x = 20 + 205 * index * 60.0 / tempo / seconds
            if x < 215:
                d.tick(max(x, 26), y + 106, f"{index + 1}")
            d.tick(max(255 + 205 * index / 4, 261), y + 106, f"{index + 1}")
    for index in range(4):
        x = 255 + 205 * index / 4
        looks = {"stroke_width": 1.5, "stroke_dasharray": "4 4"}
        d.path([(max(x, 261), 220), (max(x, 261), 240)], "latent", **looks)
    d.label(122, 32, "grid of seconds", bold=True)
    d.label(358, 32, "grid of beats", bold=True)
    d.label(122, 400, "a frame every 23 ms:")
    d.label(122, 420, "beats move")
    d.label(358, 400, "16 frames to each beat:")
    d.label(358, 420, "beats stay")
    return d


def draw_block(d, film):
    """The residual block, for half beats: 16 tokens of 208 channels."""
    middle, left, width = 200, 105, 190
    d.cells(left, 22, width, 22, 16, role="data")
    d.label(left - 8, 38, "x", anchor="end", bold=True)
    d.arrow((middle, 46), (middle, 84))
    d.arrow((middle, 62), (50, 62), (50, 372), (middle - 17, 372))
    d.label(70, 220, "x", bold=True)
    d.box(left, 86, width, 36, "LayerNorm", "net")
    d.arrow((middle, 124), (middle, 158 if film else 214))
    if film:
        text = "× (1 + scale) + shift"
        d.label(middle + 10, 146, "norm(x)", anchor="start", bold=True)
        d.label(middle + 10, 212, "u", anchor="start", bold=True)
        d.box(left, 160, width, 36, text, "genre", stroke_width=3)
        d.arrow((middle, 198), (middle, 214))
    d.box(left, 216, width, 54, "Conv1D over 3 tokens,|gelu", "net")
    d.arrow((middle, 272), (middle, 296))
    d.box(left, 298, width, 36, "Dense", "net")
    d.arrow((middle, 336), (middle, 356))
    d.label(middle + 10, 353, "h", anchor="start", bold=True)
    d.plus(middle, 372)
    d.arrow((middle, 386), (middle, 416))
    d.cells(left, 418, width, 22, 16, role="data")
    d.label(left - 8, 434, "x + h", anchor="end", bold=True)
    d.label(304, 434, "16 × 208", anchor="start", bold=True)
    return d


def residual_block():
    d = Drawing(
        "The residual block",
        "16 tokens of 208 channels go two ways: through layer normalisation, a "
        "convolution over 3 tokens with gelu and a dense layer, which makes h; and round "
        "all of them. At the end x and h are added. The shape stays 16 by 208.",
        462,
    )
    draw_block(d, film=False)
    d.label(304, 38, "16 × 208", anchor="start", bold=True)
    d.lines(304, 74, ["16 half beats,", "208 channels"], anchor="start", role="plain")
    d.lines(
        304,
        238,
        ["looks at a token", "and its neighbours"],
        anchor="start",
        role="plain",
    )
    d.lines(
        304, 310, ["small weights:", "h begins near 0"], anchor="start", role="plain"
    )
    d.lines(304, 372, ["so the block", "begins as x"], anchor="start", role="plain")
    return d


def film_block():
    d = Drawing(
        "The residual block with FiLM",
        "The residual block, and new in it: after the normalisation each of the 208 "
        "channels is multiplied by 1 + scale, and a shift is added, which gives u. A dense layer makes "
        "scales and shifts from the condition, which holds the global latent and the "
        "genre. They are the same for all 16 tokens.",
        462,
    )
    draw_block(d, film=True)
    d.box(330, 16, 132, 70, "condition: 96|numbers of|genre and latent", "genre")
    d.arrow((396, 88), (396, 106), role="genre")
    d.box(330, 108, 132, 34, "Dense", "net", stroke_width=3)
    d.arrow((396, 144), (396, 178), (298, 178), role="genre")
    d.lines(396, 212, ["208 scales,", "208 shifts"])
    d.lines(
        388,
        312,
        ["one of each", "for a channel,", "the same for", "all 16 tokens"],
        role="plain",
    )
    return d


def stage(d, y, tokens, channels, name, role="data"):
    """One state of the networks: a row of tokens, as high as it has channels."""
    height = 10 + channels / 16
    d.cells(36, y - height / 2, 220, height, tokens, role=role)
    d.label(268, y + 5, f"{tokens} × {channels}", anchor="start", bold=True)
    d.label(464, y + 5, name, anchor="end", role="plain")


def encoder():
    d = Drawing(
        "The encoder, with the shape after each step",
        "128 frames of 128 bands become 32 quarter beats of 176 channels, 16 half beats "
        "of 208, and 8 beats of 128. From the beats come 8 local latents each, 64 in "
        "all, and 32 global latents of the whole clip: 96 numbers.",
        666,
    )
    d.picture(36, 20, 220, 70, small("house", 64, 32))
    d.label(268, 60, "128 × 128", anchor="start", bold=True)
    d.label(464, 60, "frames × bands", anchor="end", role="plain")
    y = 94
    for text, tokens, channels, name in (
        ("Conv1D, 4 to 1|1 block", 32, 176, "quarter beats"),
        ("Conv1D, 2 to 1|3 blocks", 16, 208, "half beats"),
        ("Conv1D, 2 to 1, gelu", 8, 128, "beats"),
    ):
        high = 18 + 18 * len(text.split("|"))
        d.arrow((146, y), (146, y + 16))
        d.box(52, y + 18, 188, high, text, "net")
        d.arrow((146, y + 20 + high), (146, y + 36 + high))
        half = 5 + channels / 32
        stage(d, y + 38 + high + half, tokens, channels, name)
        y += 42 + high + 2 * half
    # Two heads.
    d.arrow((96, y), (96, y + 22))
    d.box(36, y + 24, 120, 36, "Dense", "net")
    d.arrow((96, y + 62), (96, y + 82))
    d.cells(56, y + 84, 80, 64, 8, 8)
    d.arrow((200, y), (200, y + 10), (330, y + 10), (330, y + 22))
    d.box(236, y + 24, 188, 36, "Dense, flatten, Dense", "net")
    d.arrow((330, y + 62), (330, y + 98))
    d.cells(250, y + 100, 160, 32, 16, 2)
    d.lines(96, y + 172, ["local: 8 × 8", "what each beat is"])
    d.lines(330, y + 172, ["global: 32", "what the clip is"])
    d.label(240, y + 224, "latent z: 32 + 64 = 96 numbers", bold=True, role="latent")
    return d


def draw_decoder(title, described, with_genre):
    """The decoder, without or with a genre in the description of the clip."""
    d = Drawing(
        title,
        f"{described} are the description of the clip. A dense layer makes 8 beats of "
        "it, and 8 local latents join each beat. Dense layers and blocks turn 8 beats "
        "into 16 half beats, 32 quarter beats and 128 frames of 128 bands. The "
        "description also scales and shifts every block.",
        676,
    )
    d.label(60, 32, "local: 8 × 8")
    d.cells(20, 42, 80, 40, 8, 8)
    d.label(178, 32, "global: 32")
    d.cells(138, 50, 80, 24, 8, 4)
    d.arrow((178, 78), (178, 100))
    role = "genre" if with_genre else "latent"
    if with_genre:
        d.label(300, 32, "genre: 64", role=role)
        d.cells(256, 50, 88, 24, 16, 4, role=role)
        d.arrow((300, 78), (300, 100), role=role)
    count = 96 if with_genre else 32
    d.box(132, 102, 218, 34, f"description: {count} numbers", role)
    d.arrow((178, 138), (178, 158))
    d.box(86, 160, 154, 34, "Dense, reshape", "net")
    d.arrow((178, 196), (178, 214))
    # Beats and their local latents, one below the other.
    d.cells(36, 216, 220, 22, 8, role="data")
    d.cells(36, 238, 220, 12, 8, role="latent")
    d.arrow((24, 84), (24, 244), (34, 244), role="latent")
    d.label(268, 238, "8 × 40", anchor="start", bold=True)
    d.label(464, 238, "beats", anchor="end", role="plain")
    y = 252
    for text, tokens, channels, name in (
        ("Dense, reshape|3 blocks", 16, 208, "half beats"),
        ("Dense, reshape|2 blocks", 32, 176, "quarter beats"),
        ("Dense, reshape|2 blocks, Dense", 0, 0, ""),
    ):
        d.arrow((146, y), (146, y + 16))
        d.box(52, y + 18, 188, 54, text, "net")
        d.arrow((354, y + 45), (244, y + 45), role=role)
        d.arrow((146, y + 74), (146, y + 90))
        if tokens:
            half = 5 + channels / 32
            stage(d, y + 92 + half, tokens, channels, name)
            y += 96 + 2 * half
    d.picture(36, y + 92, 220, 70, small("rock" if with_genre else "house", 64, 32))
    d.label(268, y + 132, "128 × 128", anchor="start", bold=True)
    d.label(464, y + 132, "frames × bands", anchor="end", role="plain")
    d.arrow((352, 119), (370, 119), role=role)
    d.box(372, 102, 98, 34, "2 × Dense", "net")
    d.path([(421, 137), (421, 160), (354, 160), (354, y + 45)], role)
    d.lines(366, 186, ["condition: 96", "FiLM in blocks"], anchor="start", role=role)
    return d


def decoder():
    return draw_decoder(
        "The decoder, with the shape after each step", "32 global latents", False
    )


def conditional_decoder():
    return draw_decoder(
        "The decoder with a genre, and the shape after each step",
        "32 global latents and, new, 64 numbers for the genre",
        True,
    )


def cloud(d, x, y, radius, seed, count=26, role="latent"):
    """Draws of a Gaussian, in a circle of two standard deviations."""
    rng = np.random.Generator(np.random.PCG64(seed))
    d.add("circle", role, cx=x, cy=y, r=radius, stroke_width=1.6)
    angles = 2 * np.pi * rng.random(count)
    sizes = 0.42 * radius * np.sqrt(-2 * np.log(1 - 0.85 * rng.random(count)))
    for angle, size in zip(angles, sizes, strict=True):
        px, py = x + size * np.cos(angle), y + size * np.sin(angle)
        d.add("circle", role, fill=False, cx=px, cy=py, r=1.2, stroke_width=1.4)


def draw_model(level):
    """AE, VAE and conditional VAE as one drawing; parts to come are empty outlines."""
    title, seen, news = (
        (
            "Autoencoder",
            "The encoder turns a clip into 96 numbers z, the decoder turns them back. "
            "The loss compares the two clips.",
            "It learns to rebuild a clip.",
        ),
        (
            "VAE, variational autoencoder",
            "The autoencoder, and new in it: the encoder gives a cloud, from which z is "
            "drawn. The KL divergence pulls all clouds towards the prior.",
            "New: a prior to draw from.",
        ),
        (
            "Conditional VAE",
            "The VAE, and new in it: the decoder is told a genre. With its own genre a "
            "jazz clip is rebuilt; asked for rock, the same z becomes a rock clip.",
            "New: a genre to ask for.",
        ),
    )[level]
    d = Drawing(title, f"{seen} {news}", 348)
    ghost = {"fill": False, "stroke_dasharray": "3 5", "stroke_width": 1.4}
    d.label(16, 30, title, anchor="start", bold=True)
    d.picture(14, 145, 88, 76, small("jazz", 24, 20))
    d.label(58, 136, "clip" if level < 2 else "jazz clip")
    d.arrow((103, 183), (119, 183))
    d.trapezoid(121, 130, 70, 106, "encoder", "right")
    d.arrow((192, 183), (208, 183))
    if level == 0:
        d.cells(212, 147, 56, 72, 7, 9)
        d.add("circle", "plain", cx=240, cy=80, r=34, **ghost)
    else:
        cloud(d, 240, 183, 29, 1, 16)
        d.add("circle", "ink", cx=246, cy=178, r=4)
        cloud(d, 240, 80, 34, 2, 34)
        d.label(198, 76, "prior", anchor="end")
        d.label(198, 96, "N(0, I)", anchor="end", role="plain")
        d.path([(240, 116), (240, 152)], "loss", stroke_dasharray="5 3")
        d.box(246, 118, 38, 28, "KL", "loss")
    z = "z, a draw" if level else "z, 96 numbers"
    d.label(240, 242, z, bold=True, role="latent")
    d.arrow((272, 183), (288, 183))
    d.trapezoid(290, 130, 70, 106, "decoder", "left")
    d.arrow((361, 183), (377, 183))
    d.picture(379, 145, 88, 76, small("jazz", 24, 20))
    if level < 2:
        d.add("rect", "plain", x=292, y=64, width=66, height=32, rx=8, **ghost)
        d.add("rect", "plain", x=386, y=46, width=80, height=64, rx=2, **ghost)
        d.label(423, 136, "rebuilt")
        d.label(426, 38, "for later", role="plain")
    else:
        d.box(292, 64, 66, 32, "genre", "genre", stroke_width=3)
        d.arrow((325, 98), (325, 138), role="genre", width=3)
        d.path([(361, 164), (371, 164), (371, 78), (376, 78)], "genre", stroke_width=3)
        d.arrow((371, 78), (384, 78), role="genre", width=3)
        d.picture(386, 46, 80, 64, small("rock", 24, 20))
        d.label(426, 38, "as rock", role="genre")
        d.label(426, 136, "as jazz", role="genre")
    d.path([(58, 226), (58, 274), (158, 274)], "loss", stroke_dasharray="5 3")
    d.path([(423, 226), (423, 274), (322, 274)], "loss", stroke_dasharray="5 3")
    d.box(160, 256, 160, 36, "reconstruction loss", "loss")
    d.label(240, 326, news, bold=True)
    return d


def model_autoencoder():
    return draw_model(0)


def model_vae():
    return draw_model(1)


def model_cvae():
    return draw_model(2)


# What the loss of a ConditionalVAE adds up: where a term looks, its weight and name, and
# what it asks. A term that leaves the library leaves this list.
LOSS_TERMS = (
    ("z", "β × KL divergence", "z near the prior"),
    ("rebuilt", "reconstruction", "levels and detail right"),
)


def cvae_loss():
    told = "; ".join(f"{name} ({asks})" for _, name, asks in LOSS_TERMS)
    d = Drawing(
        "The loss of the conditional VAE",
        "A jazz clip is encoded to z. z is decoded as jazz, which rebuilds the clip. The "
        f"terms of the loss are: {told}. Their sum, in nats, is what training lowers. The "
        "mean shift takes no part in training.",
        400,
    )
    middle, rebuilt = 158, 318
    d.label(68, 28, "jazz clip")
    d.picture(28, 36, 80, 40, small("jazz", 24, 16))
    d.arrow((68, 80), (68, 94))
    d.box(20, 96, 96, 30, "encoder", "net")
    d.arrow((68, 128), (68, middle - 17))
    d.box(20, middle - 15, 96, 30, "z", "latent", bold=True)
    d.arrow((68, middle + 17), (68, rebuilt - 92))
    d.box(20, rebuilt - 90, 96, 30, "decoder", "net")
    d.box(136, rebuilt - 90, 62, 30, "jazz", "genre")
    d.arrow((134, rebuilt - 75), (118, rebuilt - 75), role="genre")
    d.arrow((68, rebuilt - 58), (68, rebuilt - 38))
    d.label(70, rebuilt - 22, "as jazz", role="genre")
    d.picture(40, rebuilt - 16, 60, 36, small("jazz", 24, 16))
    for (_, name, asks), x, y in zip(
        LOSS_TERMS, (118, 102), (middle, rebuilt), strict=True
    ):
        d.arrow((x, y), (240, y))
        d.box(242, y - 26, 190, 52, "", "loss")
        d.label(337, y - 5, name, bold=True)
        d.label(337, y + 15, asks)
        d.path([(433, y), (454, y)], "loss")
    bottom = rebuilt + 42
    d.arrow((454, middle), (454, bottom + 18), (408, bottom + 18), role="loss")
    d.box(242, bottom, 164, 36, "loss, in nats", "loss", bold=True)
    return d


def swap_test():
    d = Drawing(
        "The swap test",
        "A jazz clip is encoded to z and decoded as rock. A judge, which took no part in "
        "the training, names the genre of the new clip. Swap obedience is the share of "
        "such clips that are heard as the genre asked for, beside chance and what the "
        "judge scores on real clips.",
        430,
    )
    d.picture(14, 87, 88, 76, small("jazz", 24, 20))
    d.label(58, 78, "a jazz clip")
    d.arrow((103, 125), (119, 125))
    d.trapezoid(121, 72, 70, 106, "encoder", "right")
    d.arrow((192, 125), (208, 125))
    d.cells(212, 89, 56, 72, 7, 9)
    d.label(240, 182, "z", bold=True, role="latent")
    d.arrow((272, 125), (288, 125))
    d.trapezoid(290, 72, 70, 106, "decoder", "left")
    d.box(252, 22, 146, 32, "asked for: rock", "genre")
    d.arrow((325, 56), (325, 80), role="genre")
    d.arrow((361, 125), (377, 125))
    d.picture(379, 87, 88, 76, small("rock", 24, 20))
    d.arrow((423, 167), (423, 222))
    d.box(360, 224, 106, 54, "judge", "plain", bold=True)
    d.arrow((358, 251), (306, 251))
    d.box(168, 224, 136, 54, "hears: rock|yes, it obeys", "latent")
    # The scale of the score.
    d.label(240, 320, "swap obedience: share of yes", bold=True)
    left, right, y = 40, 440, 358
    chance = left + (right - left) / 6
    d.path([(left, y), (right, y)])
    for x, high in ((left, 6), (chance, 12), (right - 12, 12), (right, 6)):
        d.path([(x, y - high), (x, y + high)])
    d.label(left, y + 26, "0")
    d.label(right, y + 26, "1")
    d.label(chance, y + 32, "chance, 1 of 6 genres", anchor="start", role="plain")
    d.lines(
        right - 12,
        y + 46,
        ["ceiling: the judge", "on real clips"],
        anchor="end",
        role="plain",
    )
    return d


def bars(d, x, y, values, role="latent"):
    """A latent as a few bars, up for positive numbers and down for negative ones."""
    d.box(x, y - 20, 60, 40, "", role)
    for index, value in enumerate(values):
        at = x + 9 + 8.4 * index
        d.path([(at, y), (at, y - 16 * value)], role, stroke_width=5)


def two_collapses():
    d = Drawing(
        "The two collapses",
        "Posterior collapse: three different latents, and the decoder plays the same "
        "clip for each. Condition collapse: three different genres, and the decoder "
        "plays the same clip for each, because it reads the genre from z.",
        588,
    )
    panels = (
        (
            "Posterior collapse",
            "z changes, the clip does not",
            "KL near 0, diversity near 0",
        ),
        (
            "Condition collapse",
            "the genre changes, the clip does not",
            "swap obedience below chance, KL healthy",
        ),
    )
    rng = np.random.Generator(np.random.PCG64(3))
    latents = 2 * rng.random((3, 6)) - 1
    for row, (name, told, measured) in enumerate(panels):
        top = 14 + 272 * row
        d.label(240, top + 18, name, bold=True)
        d.label(240, top + 40, told)
        for index, genre in enumerate(("jazz", "rock", "house")):
            y = top + 84 + 56 * index
            entry = top + 140 + 22 * (index - 1)
            if row:
                d.box(20, y - 17, 74, 34, genre, "genre")
                d.arrow((98, y), (176, entry), role="genre", dashed=True)
            else:
                bars(d, 27, y, latents[index])
                d.arrow((91, y), (176, entry), role="latent", dashed=True)
            d.arrow((286, top + 140 + 24 * (index - 1)), (350, y))
            d.picture(354, y - 24, 106, 48, small("jazz", 24, 16))
        d.trapezoid(180, top + 80, 102, 120, "decoder", "left")
        if row:
            bars(d, 201, top + 244, latents[0])
            d.arrow((231, top + 222), (231, top + 192), role="latent", width=3)
            d.lines(192, top + 244, ["z says: jazz"], anchor="end", role="latent")
        at = top + (290 if row else 246)
        d.label(240, at, f"measured: {measured}", role="loss")
    d.path([(20, 278), (460, 278)], "paper", stroke_width=1.5)
    return d


def rate_distortion():
    d = Drawing(
        "Rate and distortion",
        "A falling curve: the more nats of rate the latent may carry, the smaller the "
        "distortion. A large beta stops at few nats, where the clip is blurred; a small "
        "beta goes on to many nats, where it has detail. Where a model stops, the "
        "slope of the curve is minus beta.",
        440,
    )
    left, bottom, right, top = 54, 360, 462, 40
    d.arrow((left, bottom), (left, top))
    d.arrow((left, bottom), (right, bottom))
    d.label(left - 34, 28, "distortion, nats", anchor="start")
    d.label(right, bottom + 24, "rate: KL, nats", anchor="end")
    d.label(left - 4, bottom + 24, "0", anchor="end", role="plain")

    def height(x):
        return 310 - 250 * np.exp(-(x - left) / 90)

    along = np.linspace(left, right - 12, 41)
    d.path([(x, height(x)) for x in along], "loss", stroke_width=3)
    clip = small("house", 32, 20, density=0.1)
    blurred = pooled(clip, 16, 10).repeat(2, axis=0).repeat(2, axis=1)
    flat = np.broadcast_to(clip.mean(axis=0), clip.shape)
    for x, name, told, dx, dy, shown in (
        (92, "large β", "an average", 60, -32, flat + 0.1 * (blurred - flat)),
        (160, "middle β", "blurred", 86, -30, flat + 0.7 * (blurred - flat)),
        (350, "small β", "detailed", 0, -80, clip),
    ):
        y = height(x)
        slope = (height(x + 1) - height(x - 1)) / 2
        back, ahead = 44 / np.hypot(1, slope), 104 / np.hypot(1, slope)
        ends = [(x - back, y - back * slope), (x + ahead, y + ahead * slope)]
        d.path(ends, stroke_dasharray="6 4")
        d.add("circle", "loss", cx=x, cy=y, r=6, stroke_width=2)
        d.picture(x + dx, y + dy - 42, 84, 52, shown)
        d.label(x + dx + 42, y + dy - 50, name, bold=True)
        d.label(x + dx + 42, y + dy + 28, told, role="plain")
    d.label(240, 410, "loss = distortion + β × rate", bold=True)
    d.label(240, 430, "slope of each dashed line: −β")
    return d


def discriminator_step():
    d = Drawing(
        "One step of discriminator and decoder",
        "Real clips and four kinds of fakes go into the discriminator: rebuilt, swapped "
        "and new clips of the decoder, and real clips under a wrong genre. It answers "
        "with 16 by 16 logits, one for each patch. The discriminator's step moves logits of "
        "real clips up and of fakes down, the decoder's step moves those of its own "
        "clips up.",
        556,
    )
    d.box(150, 20, 180, 38, "decoder", "net")
    d.label(342, 44, "encoder: frozen", anchor="start", role="plain")
    kinds = (
        ("real", "jazz", "data"),
        ("rebuilt", "jazz", "net"),
        ("swapped", "rock", "net"),
        ("new", "house", "net"),
        ("real", "reggae", "data"),
    )
    for index, (name, genre, role) in enumerate(kinds):
        x = 16 + 91 * index
        if role == "net":
            d.arrow((240 + 44 * (index - 2), 60), (x + 42, 92))
        d.picture(x, 96, 84, 60, small(genre, 24, 16), role)
        d.label(x + 42, 176, name)
        d.arrow((x + 42, 208), (x + 42, 244))
    d.label(104, 196, "with its own genre", role="genre")
    d.label(286, 196, "genre asked for", role="genre")
    d.label(418, 196, "wrong genre", role="genre")
    d.box(16, 246, 448, 40, "discriminator: clip and genre in", "net")
    d.arrow((240, 288), (240, 308))
    d.cells(204, 310, 72, 72, 16, 16, role="plain")
    d.label(196, 340, "16 × 16", anchor="end", bold=True)
    d.label(196, 360, "logits", anchor="end")
    d.label(284, 340, "one for each patch", anchor="start", role="plain")
    d.label(284, 360, "of 38 × 38 levels", anchor="start", role="plain")
    d.arrow((224, 384), (124, 414), role="loss")
    d.arrow((256, 384), (356, 414), role="loss")
    d.box(
        16, 416, 216, 66, "discriminator's step:|real above 1,|fakes below −1", "loss"
    )
    d.box(248, 416, 216, 66, "decoder's step:|its own clips up", "loss")
    d.label(240, 510, "The decoder also keeps its other terms,")
    d.label(240, 530, "with the likelihood at 0.3.")
    return d


def vocoder():
    d = Drawing(
        "From a log-mel picture to sound",
        "A log-mel of 128 bands goes into the vocoder, a network of four blocks of 192 "
        "channels. It gives magnitudes of 1,025 frequencies and how uncertain each is. "
        "The magnitudes are scaled to the bands, PGHI finds phases, uncertain cells get "
        "noise, and rounds make spectrum and sound agree.",
        604,
    )
    d.picture(20, 24, 150, 70, small("rock", 48, 24))
    d.label(184, 54, "T × 128", anchor="start", bold=True)
    d.label(184, 76, "frames × bands", anchor="start", role="plain")
    d.arrow((95, 98), (95, 118))
    d.box(20, 120, 230, 62, "vocoder, 4 blocks|of 192 channels", "net")
    d.lines(358, 151, ["1.5 million weights,", "the only trained part"], role="plain")
    d.arrow((95, 184), (95, 204))
    d.arrow((210, 184), (210, 194), (356, 194), (356, 204))
    d.box(20, 206, 190, 56, "magnitudes|T × 1,025", "data")
    d.box(262, 206, 190, 56, "uncertainty|T × 1,025", "data")
    d.arrow((115, 264), (115, 284))
    d.box(20, 286, 190, 56, "hold the bands:|sums as in the picture", "plain")
    d.arrow((115, 344), (115, 364))
    d.box(20, 366, 190, 56, "phases by PGHI,|from the slopes", "plain")
    d.arrow((356, 264), (356, 394), (214, 394))
    d.label(348, 330, "noise where", anchor="end", role="plain")
    d.label(348, 350, "it is large", anchor="end", role="plain")
    d.arrow((115, 424), (115, 444))
    d.box(20, 446, 190, 56, "8 Griffin-Lim rounds,|6 that hold the bands", "plain")
    d.arrow((214, 474), (252, 474))
    d.waveform(258, 438, 196, 72, composed(genre="rock", density=0.5)[1], 56)
    d.label(356, 532, "sound, a loop")
    d.label(240, 566, "The vocoder's loss: error of log-magnitudes,", role="loss")
    d.label(240, 588, "after the bands are held.", role="loss")
    return d


# The order of the series, and the four ways through it.
NOTEBOOKS = (
    "play",
    "prepare audio",
    "autoencoder",
    "VAE",
    "conditional VAE",
    "make it listen",
    "posterior collapse",
    "comparison",
    "studio",
    "discriminator",
    "your own music",
    "back to sound",
)
PATHS = (
    ("listener", "genre", (0, 1, 4, 8)),
    ("models", "net", (0, 2, 3, 4, 5, 6, 7, 9)),
    ("audio", "data", (0, 1, 11)),
    ("own music", "latent", (0, 4, 10)),
)


def notebook_map():
    step = 42
    told = "; ".join(
        f"{name}: {', '.join(f'{stop:02d}' for stop in stops)}"
        for name, _, stops in PATHS
    )
    d = Drawing(
        "The notebooks, and four ways through them",
        f"Twelve notebooks from 00 to 11, and the stops of four paths. {told}.",
        96 + step * len(NOTEBOOKS),
    )
    for index, title in enumerate(NOTEBOOKS):
        y = 104 + step * index
        d.path([(16, y + 21), (464, y + 21)], "paper", stroke_width=1)
        d.label(20, y + 5, f"{index:02d}", anchor="start", bold=True)
        d.label(48, y + 5, title, anchor="start")
    for column, (name, role, stops) in enumerate(PATHS):
        x = 224 + 69 * column
        d.lines(x, 48, name.split(), bold=True, role=role)
        ys = [104 + step * stop for stop in stops]
        d.path([(x, ys[0]), (x, ys[-1])], role, stroke_width=4)
        for y in ys:
            looks = {"stroke_width": 3}
            if column == 0:
                d.add("circle", role, cx=x, cy=y, r=10, **looks)
            elif column == 1:
                d.add("rect", role, x=x - 9, y=y - 9, width=18, height=18, **looks)
            else:
                low = (x, y + 12) if column == 2 else (x, y + 8)
                corners = ((x, y - 12), (x + 12, low[1] - 12 * (column == 2)), low)
                left = (x - 12, low[1] - 12 * (column == 2))
                d.polygon((*corners, left), role, **looks)
    return d


# In the order of the notebooks that show them.
DRAWINGS = (
    whole_way,  # 00
    notebook_map,  # 00
    read_log_mel,  # 01
    beat_grid,  # 01
    model_autoencoder,  # 02
    residual_block,  # 02
    encoder,  # 02
    decoder,  # 02
    model_vae,  # 03
    two_collapses,  # 04, 06
    swap_test,  # 04
    film_block,  # 04
    conditional_decoder,  # 04
    model_cvae,  # 04
    cvae_loss,  # 05
    rate_distortion,  # 07
    discriminator_step,  # 09
    vocoder,  # 11
)


def to_png(svg, path):
    """Draws an SVG in Chromium; the PNG remembers which SVG it was made of."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "drawing.svg"
        source.write_text(svg, encoding="utf-8")
        height = float(svg.partition('height="')[2].partition('"')[0])
        shot = Path(folder) / "shot.png"
        flags = (
            "--headless --no-sandbox --disable-gpu --no-first-run --hide-scrollbars "
            "--disable-background-networking --force-device-scale-factor=2"
        ).split()
        subprocess.run(
            [
                program,
                *flags,
                f"--user-data-dir={folder}/profile",
                f"--window-size={SHOWN_WIDTH},{int(height) + 1}",
                f"--screenshot={shot}",
                source.as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )
        image = Image.open(shot).convert("RGB")
    image = image.quantize(64, method=Image.Quantize.FASTOCTREE, dither=0)
    about = PngImagePlugin.PngInfo()
    about.add_text("svg", digest(svg))
    content = io.BytesIO()
    image.save(content, format="png", optimize=True, pnginfo=about)
    path.write_bytes(content.getvalue())


def digest(svg):
    """A short name of an SVG's content."""
    return hashlib.sha256(svg.encode()).hexdigest()[:16]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="drawings to make; nothing for all")
    names = parser.parse_args().names
    FOLDER.mkdir(exist_ok=True)
    has_browser = shutil.which("chromium") or shutil.which("google-chrome")
    for draw in DRAWINGS:
        if names and draw.__name__ not in names:
            continue
        svg = draw().svg()
        (FOLDER / f"{draw.__name__}.svg").write_text(svg, encoding="utf-8")
        if has_browser:
            to_png(svg, FOLDER / f"{draw.__name__}.png")
        print(f"{draw.__name__}: {len(svg) / 1000:.0f} kB")
    if not has_browser:
        print("No Chromium: the PNG files stay as they are. apt-get install chromium")


if __name__ == "__main__":
    main()
