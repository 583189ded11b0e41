"""The widgets of the studio and where they stand: core ipywidgets that versions 7 and 8 share."""

import base64
import functools

import ipywidgets as widgets

SEED = "a seed"
COMPARISONS = ("the real clip", "the real clip through features and back", "the real clip through the model")
LEFT, MIDDLE, RIGHT = "308px", "440px", "330px"  # beside each other in JupyterLab on a screen of 1280
LABEL = {"description_width": "128px"}
IMPORTS = "from cvae_music.own_clip import encode_clip; from cvae_music.playing import make_clip, make_morph"


def in_turn(method):
    """One action after the other: JupyterLab 4.4 and later may answer sliders on another thread than buttons.

    The thread that holds the turn may call such methods again, so that a control can set others.
    """

    @functools.wraps(method)
    def waiting(self, *arguments):
        with self.turn:
            return method(self, *arguments)

    return waiting


def knob(label, value, low, high, step, tip=""):
    """A slider and the same number as a field to type into; returns the box and the slider, linked."""
    limits = {"value": value, "min": low, "max": high, "step": step}
    slider = widgets.FloatSlider(
        description=label, readout=False, continuous_update=False, description_tooltip=tip or label,
        style=LABEL, layout=widgets.Layout(width="230px"), **limits,
    )  # fmt: skip
    # A slider's handle has no name for a screen reader; the field has one, drawn with no width.
    field = widgets.BoundedFloatText(
        description=f"{label}, number", style={"description_width": "0px"}, layout=widgets.Layout(width="70px"), **limits
    )
    widgets.link((slider, "value"), (field, "value"))
    return widgets.HBox([slider, field]), slider


def heading(text):
    return widgets.HTML(f"<h4 style='margin:8px 0 2px'>{text}</h4>")


def button(label, tip, action):
    made = widgets.Button(description=label, tooltip=tip, layout=widgets.Layout(width="auto", align_self="flex-start"))
    made.on_click(lambda _: action())
    return made


class Player(widgets.HTML):
    """A player with a name for screen readers, which the Audio widget has no room for; silent until pressed."""

    def __init__(self, label):
        super().__init__()
        self.label, self.loop = label, False
        self.play(b"")

    def play(self, wav):
        """Holds another sound ready, the bytes of a WAV file."""
        self.wav = wav
        source = f'src="data:audio/wav;base64,{base64.b64encode(wav).decode()}"' if wav else ""
        loop = "loop" if self.loop else ""
        self.value = f'<audio controls {loop} aria-label="{self.label}" style="width: 300px; height: 40px" {source}></audio>'


def code_field(label):
    return widgets.Textarea(description=label, layout=widgets.Layout(width="auto", height="100px"))


class Panel:
    """Every widget of the studio; what they do is in `Studio`, which inherits from this."""

    def _make_knobs(self):
        low, high = self.controls.points.min(axis=0) * 1.2, self.controls.points.max(axis=0) * 1.2
        names = list(self.model.genres) if self.model.num_genres else []
        plan = {("mix", n): (n, float(n == names[0]), 0.0, 1.0, 0.05, f"weight of {n}") for n in names}
        plan["tempo"] = ("tempo (bpm)", 110.0, 60.0, 200.0, 1.0, "exact: it belongs to the resynthesis")
        plan |= {("sliders", n): (n, 0.0, -3.0, 3.0, 0.25, f"{n}, in standard deviations") for n in self.controls.directions}
        plan |= {("dimensions", k): (n, 0.0, -4.0, 4.0, 0.25, n) for k, n in self.controls.dimensions.items()}
        plan["temperature"] = ("temperature", 1.0, 0.0, 1.5, 0.05, "spread of the draw: 0 is the most typical clip")
        plan["share"] = ("morph", 0.0, 0.0, 1.0, 0.05, "how far towards the second seed")
        for axis, (name, smallest, largest) in enumerate(zip("xy", low, high, strict=True)):
            plan["at", axis] = (f"map {name}", 0.0, round(smallest, 1), round(largest, 1), 0.05, f"cursor, {name}")
        self.rows, self.knobs = {}, {}
        for key, arguments in plan.items():
            self.rows[key], self.knobs[key] = knob(*arguments)
        narrow = {"style": LABEL, "layout": widgets.Layout(width="230px")}
        self.seed = widgets.BoundedIntText(value=0, min=0, max=10**6, description="seed", **narrow)
        self.second = widgets.BoundedIntText(value=1, min=0, max=10**6, description="second seed", **narrow)
        self.source = widgets.Dropdown(options=[SEED], value=SEED, description="start from", **narrow)
        self.drawn_as = widgets.Dropdown(options=names or ["any"], description="seed drawn as", **narrow)
        self.on_map = widgets.Checkbox(value=False, description="play at the cursor", indent=False)
        self.of_seeds = (self.seed, self.drawn_as, *self.rows["temperature"].children)  # a clip of one's own has none
        for key, widget in self.knobs.items():
            if key[0] == "at":
                widget.observe(lambda change, key=key: self.point(key, change["new"]), "value")
            else:
                widget.observe(lambda _: self.refresh(), "value")
        for widget in (self.seed, self.second, self.source, self.drawn_as, self.on_map):
            widget.observe(lambda _: self.refresh(), "value")

    def _make_outputs(self):
        wide = widgets.Layout(width="auto")
        self.status, self.picture, self.map_picture, self.links, self.about_compared = (widgets.HTML() for _ in range(5))
        self.about_nearest, self.about_journey, self.about_own = (widgets.HTML() for _ in range(3))
        self.audio, self.compared = Player("the clip"), Player("the sound to compare with")
        self.nearest, self.journey = Player("the real clip nearest to the cursor"), Player("the morph from A to B")
        self.loop = widgets.Checkbox(value=False, description="repeat until stopped", indent=False)
        self.loop.observe(lambda _: self.repeat(), "value")
        self.code, self.journey_code = code_field("as code"), code_field("morph code")
        self.past = widgets.Select(options=[("nothing yet", -1)], rows=6, description="history", layout=wide)
        self.comparison = widgets.Dropdown(options=COMPARISONS, description="hear", layout=wide)
        self.beats = widgets.BoundedIntText(
            value=32, min=8, max=64, step=8, description="morph beats", style=LABEL, layout=widgets.Layout(width="230px")
        )
        self.upload = widgets.FileUpload(accept=".wav,.mp3,.ogg,.flac", multiple=False, description="upload a clip")
        self.upload.observe(lambda _: self.take_upload(), "value")
        self.path = widgets.Text(description="or a path", layout=widgets.Layout(width="auto"), continuous_update=False)
        self.path.observe(lambda change: change["new"] and self.take_path(), "value")
        self.start = widgets.BoundedFloatText(
            value=0.0, min=0.0, max=3600.0, description="from (s)", layout=widgets.Layout(width="190px")
        )
        self.start.observe(lambda _: self.start_elsewhere(), "value")

    def _layout(self):
        def group(kind):
            return [row for key, row in self.rows.items() if key[0] == kind]

        left = [
            heading("Idea"), self.source, self.seed, self.drawn_as, self.rows["temperature"],
            button("Surprise me", "draw seed, genres and tempo", self.surprise),
        ]  # fmt: skip
        if self.model.num_genres:
            only = [button(genre, f"this idea as {genre}", lambda g=genre: self.swap(g)) for genre in self.model.genres]
            only = widgets.HBox(only, layout=widgets.Layout(flex_flow="row wrap"))
            left += [heading("The idea as one genre, or a mix"), only, *group("mix")]
        left += [
            heading("Sound"), self.rows["tempo"], *group("sliders"),
            button("Sliders to 0", "undo sound and dimensions", self.reset),
            heading("Strongest latent dimensions, by effect"), *group("dimensions"),
        ]  # fmt: skip
        middle = [
            heading("Clip"), self.status, self.audio, self.loop, self.picture, self.code,
            widgets.HTML(f"<div style='line-height: 1.3'><small>{IMPORTS}</small></div>"),
            button("Save as WAV and MP3", "write both files, show links", self.save), self.links,
            heading("Compare with"), self.comparison, button("Compare", "make that sound", self.compare),
            self.about_compared, self.compared, heading("What was made"), self.past,
            button("Play again", "set everything as it was", self.recall),
            heading("A clip of your own: wav, mp3, ogg or flac"), self.upload,
            widgets.HTML("Larger than 10 MB? Give its path: most servers drop such uploads."), self.path, self.start,
            button("Read the path", "encode the file", self.take_path), self.about_own,
        ]  # fmt: skip
        keep = [button(f"Keep as {name}", "remember this sound", lambda n=name: self.keep(n)) for name in "AB"]
        right = [
            heading("Map of the latents"), self.map_picture, *group("at"), self.on_map,
            button("Hear the nearest clip", "the real clip in the ring", self.hear_nearest), self.about_nearest, self.nearest,
            heading("Morph"), self.second, self.rows["share"], self.beats,
            widgets.HBox([*keep, button("Morph A to B", "one long clip", self.morph)]), self.about_journey, self.journey,
            self.journey_code, button("Save the morph", "write both files, show links", self.save_morph),
        ]  # fmt: skip
        columns = [
            widgets.VBox(rows, layout=widgets.Layout(width=width, margin="0 8px 0 0"))
            for rows, width in ((left, LEFT), (middle, MIDDLE), (right, RIGHT))
        ]
        return widgets.HBox(columns, layout=widgets.Layout(flex_flow="row wrap"))
