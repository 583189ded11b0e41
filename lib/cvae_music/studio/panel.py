"""The widgets of the studio and where they stand: core ipywidgets that versions 7 and 8 share."""

import html

import ipywidgets as widgets

from cvae_music.audio.files import AUDIO_ENDINGS, READABLE
from cvae_music.players import audio_tag
from cvae_music.studio.sounds import COMPARISONS, about

NARROW = {"style": {"description_width": "128px"}, "layout": {"width": "230px"}}
WIDE = {"layout": {"width": "auto"}}
SOURCES = [("a seed", "")]  # None would be no choice at all
IMPORTS = "from cvae_music import encode_clip, make_clip, make_morph"


def message(text, role="status"):
    """HTML that says something, also to screen readers; `role` is `"alert"` where something went wrong."""
    text = html.escape(text) if role == "status" else f"<b>{html.escape(text)}</b>"
    return f'<div role="{role}" aria-live="polite" style="line-height: 1.4; min-height: 2.8em">{text}</div>'


def knob(label, value, low, high, step, tip):
    """A slider and the same number as a field to type into; returns the box and the slider, linked."""
    limits = {"value": value, "min": low, "max": high, "step": step}
    slider = widgets.FloatSlider(
        description=label,
        readout=False,
        continuous_update=False,
        description_tooltip=tip,
        **NARROW,
        **limits,
    )
    # A slider's handle has no name for a screen reader; the field has one, drawn with no width.
    hidden = {"style": {"description_width": "0px"}, "layout": {"width": "70px"}}
    field = widgets.BoundedFloatText(description=f"{label}, number", **hidden, **limits)
    widgets.link((slider, "value"), (field, "value"))
    return widgets.HBox([slider, field]), slider


def heading(text):
    return widgets.HTML(f"<h4 style='margin:8px 0 2px'>{text}</h4>")


def button(label, tip, action, *values):
    made = widgets.Button(
        description=label,
        tooltip=tip,
        layout={"width": "auto", "align_self": "flex-start"},
    )
    made.on_click(lambda _: action(*values))
    return made


class Player(widgets.HTML):
    """A player with a name for screen readers, which the Audio widget has no room for; silent until pressed."""

    def __init__(self, label):
        super().__init__()
        self.label, self.loop = label, False
        self.play(b"")

    def play(self, wav, about=""):
        """Holds another sound ready, the bytes of a WAV file, and says above it what it is."""
        self.wav, self.about = wav, about
        self.value = html.escape(about) + audio_tag(
            wav, self.label, "audio/wav", self.loop
        )


class Panel:
    """Every widget of the studio; what becomes of a touch is up to the callbacks.

    `knobs` holds all that a clip is set by, by key: `"seed"`, `"tempo"`, `("mix", genre)`, `("sliders", name)`,
    `("dimensions", number)`, `("at", axis)` and more; `rows` holds the sliders with their fields, `box` everything.

    Args:
        genres: Names of the genres; none for a model without a label.
        controls: `Controls`.
        on: Dict of what to call. Without arguments: `repeat`, `upload`, `path`, `start`, `surprise`, `reset`,
            `compare`, `recall`, `nearest`, `morph`; with arguments: `change(key, value)` of a knob, `swap(genre)`,
            `keep(name)`, `save(what)`.
    """

    def __init__(self, genres, controls, on):
        low, high = controls.points.min(axis=0) * 1.2, controls.points.max(axis=0) * 1.2
        plan = {
            ("mix", n): (n, float(n == genres[0]), 0.0, 1.0, 0.05, f"weight of {n}")
            for n in genres
        }
        plan["tempo"] = (
            "tempo (bpm)",
            110.0,
            60.0,
            200.0,
            1.0,
            "exact: it belongs to the resynthesis",
        )
        plan |= {
            ("sliders", n): (n, 0.0, -3.0, 3.0, 0.25, f"{n}, in standard deviations")
            for n in controls.directions
        }
        plan |= {
            ("dimensions", k): (n, 0.0, -4.0, 4.0, 0.25, n)
            for k, n in controls.dimensions.items()
        }
        plan["temperature"] = (
            "temperature",
            1.0,
            0.0,
            1.5,
            0.05,
            "spread of the draw: 0 is the most typical clip",
        )
        plan["share"] = (
            "morph",
            0.0,
            0.0,
            1.0,
            0.05,
            "how far towards the second seed",
        )
        for axis, (name, smallest, largest) in enumerate(
            zip("xy", low, high, strict=True)
        ):
            plan["at", axis] = (
                f"map {name}",
                0.0,
                round(smallest, 1),
                round(largest, 1),
                0.05,
                f"cursor, {name}",
            )
        self.rows, self.knobs = {}, {}
        for key, arguments in plan.items():
            self.rows[key], self.knobs[key] = knob(*arguments)
        self.knobs["seed"] = widgets.BoundedIntText(
            value=0, min=0, max=10**6, description="seed", **NARROW
        )
        self.knobs["second"] = widgets.BoundedIntText(
            value=1, min=0, max=10**6, description="second seed", **NARROW
        )
        self.knobs["source"] = widgets.Dropdown(
            options=SOURCES, description="start from", **NARROW
        )
        self.knobs["on_map"] = widgets.Checkbox(
            value=False, description="play at the cursor", indent=False
        )
        if genres:
            self.knobs["prior_genre"] = widgets.Dropdown(
                options=genres, description="seed drawn as", **NARROW
            )
        self._make_others()
        self.of_seeds = [
            self.knobs[key] for key in ("seed", "prior_genre") if key in self.knobs
        ]
        for key, widget in self.knobs.items():
            widget.observe(
                lambda change, key=key: on["change"](key, change["new"]), "value"
            )
        for name, widget in {
            "repeat": self.loop,
            "upload": self.upload,
            "start": self.start,
        }.items():
            widget.observe(lambda _, name=name: on[name](), "value")
        self.path.observe(
            lambda change: change["new"] and on["path"](), "value"
        )  # an emptied field is no path
        self.box = self._layout(genres, on)

    def _make_others(self):
        self.status, self.picture, self.map_picture = (widgets.HTML() for _ in range(3))
        self.links, self.journey_links, self.about_own = (
            widgets.HTML() for _ in range(3)
        )
        self.audio, self.compared = (
            Player("the clip"),
            Player("the sound to compare with"),
        )
        self.nearest, self.journey = (
            Player("the real clip nearest to the cursor"),
            Player("the morph from A to B"),
        )
        self.loop = widgets.Checkbox(
            value=False, description="repeat until stopped", indent=False
        )
        high = {"layout": {"width": "auto", "height": "100px"}}
        self.code, self.journey_code = (
            widgets.Textarea(description=f"{k} code", **high) for k in ("as", "morph")
        )
        self.past = widgets.Select(options=[], rows=6, description="history", **WIDE)
        self.comparison = widgets.Dropdown(
            options=COMPARISONS, description="hear", **WIDE
        )
        self.beats = widgets.BoundedIntText(
            value=32, min=8, max=64, step=8, description="morph beats", **NARROW
        )
        self.upload = widgets.FileUpload(
            accept=",".join(AUDIO_ENDINGS), multiple=False, description="upload a clip"
        )
        self.path = widgets.Text(
            description="or a path", continuous_update=False, **WIDE
        )
        self.start = widgets.BoundedFloatText(
            min=0.0, max=3600.0, description="from (s)", layout={"width": "190px"}
        )

    def _layout(self, genres, on):
        def group(kind):
            return [row for key, row in self.rows.items() if key[0] == kind]

        swaps = [
            button(genre, f"this idea as {genre}", on["swap"], genre)
            for genre in genres
        ]
        swaps = [
            heading("The idea as one genre, or a mix"),
            widgets.HBox(swaps, layout={"flex_flow": "row wrap"}),
        ]
        left = [
            heading("Idea"),
            self.knobs["source"],
            *self.of_seeds,
            self.rows["temperature"],
            button("Surprise me", "draw seed, genres and tempo", on["surprise"]),
            *(swaps if genres else []),
            *group("mix"),
            heading("Sound"),
            self.rows["tempo"],
            *group("sliders"),
            button("Sliders to 0", "undo sound and dimensions", on["reset"]),
            heading("Strongest latent dimensions, by effect"),
            *group("dimensions"),
        ]
        middle = [
            heading("Clip"),
            self.status,
            self.audio,
            self.loop,
            self.picture,
            self.code,
            widgets.HTML(
                f"<div style='line-height: 1.3'><small>{IMPORTS}</small></div>"
            ),
            button(
                "Save as WAV and MP3",
                "write both files, show links",
                on["save"],
                "clip",
            ),
            self.links,
            heading("Compare with"),
            self.comparison,
            button("Compare", "make that sound", on["compare"]),
            self.compared,
            heading("What was made"),
            self.past,
            button("Play again", "set everything as it was", on["recall"]),
            heading(f"A clip of your own: {READABLE.replace('.', '')}"),
            self.upload,
            widgets.HTML(
                "Larger than 10 MB? Give its path: most servers drop such uploads."
            ),
            self.path,
            self.start,
            button("Read the path", "encode the file", on["path"]),
            self.about_own,
        ]
        keep = [
            button(f"Keep as {name}", "remember this sound", on["keep"], name)
            for name in "AB"
        ]
        right = [
            heading("Map of the latents"),
            self.map_picture,
            *group("at"),
            self.knobs["on_map"],
            button("Hear the nearest clip", "the real clip in the ring", on["nearest"]),
            self.nearest,
            heading("Morph"),
            self.knobs["second"],
            self.rows["share"],
            self.beats,
            widgets.HBox([*keep, button("Morph A to B", "one long clip", on["morph"])]),
            self.journey,
            self.journey_code,
            button(
                "Save the morph", "write both files, show links", on["save"], "morph"
            ),
            self.journey_links,
        ]
        wide = {
            "308px": left,
            "440px": middle,
            "330px": right,
        }  # beside each other in JupyterLab on a screen of 1280
        columns = [
            widgets.VBox(rows, layout={"width": width, "margin": "0 8px 0 0"})
            for width, rows in wide.items()
        ]
        return widgets.HBox(columns, layout={"flex_flow": "row wrap"})

    def state(self):
        """What every knob stands at: dict of key to value; `source` is an `Own`, or empty for a seed."""
        return {key: widget.value for key, widget in self.knobs.items()}

    def set(self, state):
        """Puts knobs where a state, or a part of one, has them."""
        if state.get("source"):
            self.knobs["source"].options = [*SOURCES, ("my own clip", state["source"])]
            self.start.value = state["source"].start
        for key, value in state.items():
            self.knobs[key].value = value

    def show_own(self, own):
        """Tells what an own clip was found to be, and turns off what only a seed has."""
        beat = (
            "beats tracked"
            if own and own.clip.is_tracked
            else "no steady beat found, cut on a grid of 120 a minute"
        )
        self.about_own.value = html.escape(f"{about(own.clip)}, {beat}") if own else ""
        for widget in (*self.of_seeds, *self.rows["temperature"].children):
            widget.disabled = bool(own)
