"""The widgets of the studio and where they stand: core ipywidgets that versions 7 and 8 share."""

import ipywidgets as widgets

SEED = "a seed"
COMPARISONS = ("the real clip", "the real clip through features and back", "the real clip through the model")
WIDE, NARROW = "560px", "300px"


def knob(label, value, low, high, step, tip=""):
    """A slider and the same number as a field to type into; returns the box and the slider, linked."""
    limits = {"value": value, "min": low, "max": high, "step": step}
    slider = widgets.FloatSlider(
        description=label, readout=False, continuous_update=False, description_tooltip=tip or label,
        style={"description_width": "140px"}, layout=widgets.Layout(width=NARROW), **limits,
    )  # fmt: skip
    # A slider's handle has no name for a screen reader; the field has one, drawn with no width.
    field = widgets.BoundedFloatText(
        description=f"{label}, number", style={"description_width": "0px"}, layout=widgets.Layout(width="90px"), **limits
    )
    widgets.link((slider, "value"), (field, "value"))
    return widgets.HBox([slider, field]), slider


def heading(text):
    return widgets.HTML(f"<h4 style='margin:8px 0 2px'>{text}</h4>")


def button(label, tip, action):
    made = widgets.Button(description=label, tooltip=tip, layout=widgets.Layout(width="auto"))
    made.on_click(lambda _: action())
    return made


def sound(loop=False):
    return widgets.Audio(value=b"", format="wav", autoplay=False, loop=loop, controls=True)


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
        width = {"style": {"description_width": "140px"}, "layout": widgets.Layout(width=NARROW)}
        self.seed = widgets.BoundedIntText(value=0, min=0, max=10**6, description="seed", **width)
        self.second = widgets.BoundedIntText(value=1, min=0, max=10**6, description="second seed", **width)
        self.source = widgets.Dropdown(options=[SEED], value=SEED, description="start from", **width)
        self.drawn_as = widgets.Dropdown(options=names or ["any"], description="seed drawn as", **width)
        self.on_map = widgets.Checkbox(value=False, description="play at the cursor", indent=False)
        for widget in (*self.knobs.values(), self.seed, self.second, self.source, self.drawn_as, self.on_map):
            widget.observe(lambda _: self.refresh(), "value")

    def _make_outputs(self):
        wide = widgets.Layout(width=WIDE)
        self.status, self.links, self.about_own = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.audio, self.compared, self.journey = sound(), sound(), sound()
        self.loop = widgets.Checkbox(value=False, description="repeat until stopped", indent=False)
        widgets.link((self.loop, "value"), (self.audio, "loop"))
        self.picture = widgets.HTML(layout=wide)
        self.map_picture = widgets.HTML(layout=widgets.Layout(width="400px"))
        self.code = widgets.Textarea(description="as code", layout=widgets.Layout(width=WIDE, height="84px"))
        self.past = widgets.Select(options=[("nothing yet", -1)], rows=6, description="history", layout=wide)
        self.about_compared = widgets.HTML()
        self.comparison = widgets.Dropdown(options=COMPARISONS, description="hear", layout=wide)
        self.upload = widgets.FileUpload(accept=".wav,.mp3,.ogg,.flac", multiple=False, description="upload a clip")
        self.upload.observe(lambda _: self._uploaded(), "value")
        self.path = widgets.Text(description="or a path", layout=widgets.Layout(width="400px"), continuous_update=False)
        self.start = widgets.BoundedFloatText(value=0.0, min=0.0, max=3600.0, description="from (s)")
        self.beats = widgets.BoundedIntText(value=32, min=8, max=64, step=8, description="beats")

    def _layout(self):
        def group(kind):
            return [row for key, row in self.rows.items() if key[0] == kind]

        only = widgets.HBox([button(g, f"this idea as {g}", lambda g=g: self.swap(g)) for g in self.model.genres or ()])
        only.layout.flex_flow = "row wrap"
        left = widgets.VBox([
            heading("Idea"), self.source, self.seed, self.drawn_as, self.rows["temperature"],
            button("Surprise me", "draw seed, genres and tempo", self.surprise),
            heading("Genres: the same idea as one of them, or a mix"), only, *group("mix"),
            heading("Sound"), self.rows["tempo"], *group("sliders"),
            button("Sliders to 0", "undo sound and dimensions", self.reset),
            heading("Strongest latent dimensions, by what they do"), *group("dimensions"),
        ])  # fmt: skip
        middle = widgets.VBox([
            heading("Clip"), self.status, self.audio, self.loop, self.picture, self.code,
            button("Save as WAV and MP3", "write both files, show links", self.save), self.links,
            heading("Compare with"), self.comparison, button("Compare", "make that sound", self.compare),
            self.about_compared, self.compared,
            self.past, button("Play again", "set everything as it was", self.recall),
        ])  # fmt: skip
        right = widgets.VBox([
            heading("Map of the latents"), self.map_picture, *group("at"), self.on_map,
            heading("Morph"), self.second, self.rows["share"],
            widgets.HBox([button("Keep as A", "remember this sound", lambda: self.keep("A")),
                          button("Keep as B", "remember this sound", lambda: self.keep("B"))]),
            self.beats, button("Morph A to B", "one long clip", self.morph), self.journey,
            heading("A clip of your own"), self.upload, self.path, self.start,
            button("Read the path", "encode the file", lambda: self.read_own(self.path.value)), self.about_own,
        ])  # fmt: skip
        box = widgets.HBox([left, middle, right])
        box.layout.flex_flow = "row wrap"
        return box
