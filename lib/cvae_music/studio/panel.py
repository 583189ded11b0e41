"""The widgets of the studio and their layout: core ipywidgets of versions 7 and 8."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from cvae_music.audio.files import AUDIO_ENDINGS, READABLE
from cvae_music.players import audio_tag, player_script
from cvae_music.studio.settings import SECOND_SEED
from cvae_music.studio.sounds import COMPARISONS, OwnClip, describe_clip

if TYPE_CHECKING:
    from cvae_music.controls import Controls
    from cvae_music.studio.app import Studio

# What can be chosen before the clips of one's own. Their values are text, since None
# means to a `Dropdown` that nothing is chosen.
CHOICES = {
    "source": [("a seed", "")],
    "style": [("the same", ""), ("the second seed", SECOND_SEED)],
}
PRESSED = ".then(() => window.cvaeStudio?.())"  # see studio.js
# A script in a widget's HTML does not run, but the error handler of a picture does.
RUN = '<img hidden alt="" src="data:," onerror="{}">'
COPY = (
    '<button class="cvae-copy" type="button">Copy</button> <span role="status"></span>'
)


def message(text: str, role: str = "status") -> str:
    """Writes HTML of a message that screen readers read out.

    Args:
        text: The message, as text.
        role: `"status"`, or `"alert"` for an error, which is also set bold.

    Returns:
        A `<div>` element.
    """
    text = html.escape(text)
    if role == "alert":
        text = f"<b>{text}</b>"
    return f'<div class="cvae-said" role="{role}" aria-live="polite">{text}</div>'


def page_parts() -> widgets.HTML:
    """Makes an invisible widget that brings studio.css and studio.js into the page."""
    style, script = [
        Path(__file__).with_name(f"studio.{kind}").read_text(encoding="utf-8")
        for kind in ("css", "js")
    ]
    return widgets.HTML(f"<style>{style}</style>{RUN.format(html.escape(script))}")


def with_copy(code: widgets.Textarea) -> widgets.VBox:
    """Puts a button below a field of code that copies it."""
    return widgets.VBox([code, widgets.HTML(COPY)]).add_class("cvae-code")


def slider_row(
    label: str, value: float, low: float, high: float, step: float, tip: str
) -> widgets.HBox:
    """Makes a slider and, linked to it, the same number as a field to type into."""
    limits = {"value": value, "min": low, "max": high, "step": step}
    slider = widgets.FloatSlider(
        description=label,
        readout=False,
        continuous_update=False,
        description_tooltip=tip,
        **limits,
    )
    # Without studio.js a slider has no name for a screen reader. The field has one.
    field = widgets.BoundedFloatText(description=f"{label}, number", **limits)
    widgets.link((slider, "value"), (field, "value"))
    return widgets.HBox([slider, field])


def button(label: str, tip: str, action: Callable, *values: Any) -> widgets.Button:
    """Makes a button that calls `action(*values)`."""
    made = widgets.Button(description=label, tooltip=tip)
    made.on_click(lambda _: action(*values))
    return made


def distinct_names(dimensions: dict[int, str]) -> dict[int, str]:
    """Chooses the latent dimensions that get a slider, with what each does.

    Args:
        dimensions: Dict of dimension to its name, see `Controls`.

    Returns:
        Dict of dimension to its effect. One whose largest effect a stronger dimension
        has already, or that moves no attribute, has no slider.

    Example:
        >>> names = {17: "17: softer, purer", 26: "26: softer", 23: "23: fine detail"}
        >>> distinct_names(names)
        {17: 'softer, purer'}
    """
    by_effect: dict[str, tuple[int, str]] = {}
    for number, name in dimensions.items():
        effect = name.removeprefix(f"{number}: ")
        by_effect.setdefault(effect.partition(",")[0], (number, effect))
    by_effect.pop("fine detail", None)
    return dict(by_effect.values())


class Player(widgets.HTML):
    """Shows a sound as the notebooks do, hidden while there is none.

    A new sound goes on where the old one was, if that played and `is_silent` is not
    set. What players of one group play is heard at the same place of the bar.

    Args:
        label: Name for screen readers.
        loop: Whether it repeats.
    """

    def __init__(self, label: str, loop: bool = False) -> None:
        super().__init__()
        self.label = label
        self.loop = loop
        self.is_silent = False
        self.wav = b""
        self.about = ""

    def play(self, wav: bytes, about: str = "", picture: str = "") -> None:
        """Loads a WAV file, says above the player what it is, and shows a picture."""
        self.wav = wav
        self.about = about
        silent = "data-silent" if self.is_silent else ""
        run = RUN.format(html.escape(player_script() + PRESSED))
        self.value = (
            f'<figure class="cvae" {silent}><figcaption>{html.escape(about)}'
            f"</figcaption>{picture}"
            f"{audio_tag(wav, self.label, 'audio/wav', self.loop)}</figure>{run}"
        )


class Panel:
    """Holds every widget of the studio; each calls a method of the `Studio`.

    `knobs` holds all that a clip is set by: `"seed"`, `"tempo"`, `("genre", name)`,
    `("sliders", name)`, `("dimensions", number)`, `("map", axis)` and more. `rows`
    holds the sliders with their fields, `box` everything.

    Args:
        genres: Names of the genres; none for a model without a label.
        controls: `Controls`.
        studio: The `Studio` whose methods are called.
    """

    def __init__(
        self, genres: Sequence[str], controls: Controls, studio: Studio
    ) -> None:
        self.rows: dict[Any, widgets.HBox] = {}
        self.knobs: dict[Any, Any] = {}
        self._make_sliders(genres, controls, getattr(studio.model, "guidance", 0.0))
        self.knobs["seed"] = widgets.BoundedIntText(description="seed", max=10**6)
        self.knobs["morph_to"] = widgets.BoundedIntText(
            description="second seed", value=1, max=10**6
        )
        self.own_clips: dict[str, OwnClip] = {}  # by name, as the choices show them
        for key, label in (("source", "start from"), ("style", "style of")):
            self.knobs[key] = widgets.Dropdown(options=CHOICES[key], description=label)
        self.knobs["on_map"] = widgets.Checkbox(
            description="play at the cursor", indent=False
        )
        self.of_seeds = [self.knobs["seed"]]
        if genres:
            self.knobs["prior_genre"] = widgets.Dropdown(
                options=genres, description="seed drawn as"
            )
            self.of_seeds.append(self.knobs["prior_genre"])
        self._make_others()
        self._observe(studio)
        stage = widgets.VBox(self._stage(genres, studio))
        rest = widgets.VBox(self._folds(genres, studio))
        self.box = widgets.HBox([stage, rest])
        self.box.add_class("cvae-studio").add_class("cvae-group")
        self.journey.add_class("cvae-group")

    def _add_slider(self, key, label, value, low, high, step, tip):
        self.rows[key] = slider_row(label, value, low, high, step, tip)
        self.knobs[key] = self.rows[key].children[0]

    def _make_sliders(self, genres, controls, guidance):
        add = self._add_slider
        for name in genres:
            weight = float(name == genres[0])
            add(("genre", name), name, weight, 0.0, 1.0, 0.05, f"weight of {name}")
        if genres:
            tip = "0 keeps most of the idea, more sounds more like the genre"
            add("guidance", "guidance", guidance, 0.0, 2.0, 0.25, tip)
        tip = "exact: it belongs to the resynthesis"
        add("tempo", "tempo (bpm)", 110.0, 60.0, 200.0, 1.0, tip)
        for name in controls.attribute_directions:
            tip = f"{name}, in standard deviations"
            add(("sliders", name), name, 0.0, -3.0, 3.0, 0.25, tip)
        for number in distinct_names(controls.dimensions):
            tip = f"latent dimension {number}, in standard deviations"
            name = controls.dimensions[number]
            add(("dimensions", number), name, 0.0, -4.0, 4.0, 0.25, tip)
        tip = "spread of the draw: 0 is the most typical clip"
        add("temperature", "temperature", 1.0, 0.0, 1.5, 0.05, tip)
        tip = "how far towards the second seed"
        add("morph", "morph", 0.0, 0.0, 1.0, 0.05, tip)
        lowest = (1.2 * controls.points.min(axis=0)).round(1)
        highest = (1.2 * controls.points.max(axis=0)).round(1)
        for axis, name in enumerate("xy"):
            low = float(lowest[axis])
            high = float(highest[axis])
            add(("map", axis), f"map {name}", 0.0, low, high, 0.05, f"cursor, {name}")

    def _make_others(self):
        self.status = widgets.HTML()
        self.map_picture = widgets.HTML()
        self.links = widgets.HTML()
        self.idle = widgets.HTML()
        self.journey_links = widgets.HTML()
        self.about_own = widgets.HTML()
        self.audio = Player("the clip", loop=True)
        self.compared = Player("the sound to compare with")
        self.nearest = Player("the real clip nearest to the cursor")
        self.journey = Player("the morph from A to B")
        self.silent = widgets.Checkbox(
            description="stay silent after a change", indent=False
        )
        # The page writes here where the map was clicked: shares of the picture.
        self.clicked = widgets.Text(continuous_update=False)
        self.clicked.add_class("cvae-clicked")
        self.code = widgets.Textarea(description="as code")
        self.journey_code = widgets.Textarea(description="morph code")
        self.past = widgets.Select(description="history")
        self.comparison = widgets.Dropdown(options=COMPARISONS, description="hear")
        self.beats = widgets.BoundedIntText(
            description="morph beats", value=32, min=8, max=64, step=8
        )
        self.upload = widgets.FileUpload(
            accept=",".join(AUDIO_ENDINGS), description="upload a clip"
        )
        self.path = widgets.Text(description="or a path", continuous_update=False)
        self.start = widgets.BoundedFloatText(max=3600.0, description="from (s)")

    def _observe(self, studio):
        for key, widget in self.knobs.items():
            widget.observe(
                lambda change, key=key: studio.change(key, change["new"]), "value"
            )
        self.silent.observe(
            lambda change: setattr(self.audio, "is_silent", change["new"]), "value"
        )
        self.clicked.observe(lambda change: studio.click_map(change["new"]), "value")
        self.upload.observe(lambda _: studio.take_upload(), "value")
        self.start.observe(lambda _: studio.change_start(), "value")
        # Emptying the field calls back too, and asks for nothing.
        self.path.observe(lambda change: change["new"] and studio.take_path(), "value")

    def _rows_of(self, kind):
        return [row for key, row in self.rows.items() if key[0] == kind]

    def _stage(self, genres, studio):
        self.swaps = {
            genre: button(genre, f"this idea as {genre}", studio.swap, genre)
            for genre in genres
        }
        buttons = [
            button("Surprise me", "draw seed, genres and tempo", studio.surprise),
            button("Sliders to 0", "undo sound and dimensions", studio.reset),
            button("Save as WAV and MP3", "write both files, show links", studio.save),
        ]
        return [
            self.audio,
            self.status,
            widgets.HBox(list(self.swaps.values())).add_class("cvae-genres"),
            *([self.rows["guidance"]] if genres else []),
            self.knobs["seed"],
            self.rows["tempo"],
            *self._rows_of("sliders"),
            self.idle,
            widgets.HBox(buttons),
            self.links,
            self.silent,
            page_parts(),
        ]

    def _folds(self, genres, studio):
        """Makes a closed accordion for each group of controls that is wanted later."""
        keep = [
            button("Keep as A", "begin with this sound", studio.keep, "A"),
            button("Keep as B", "end with this sound", studio.keep, "B"),
            button("Morph A to B", "one long clip", studio.morph),
        ]
        folds = {
            "Mix of genres": self._rows_of("genre"),
            "Map of the latents": [
                self.map_picture,
                self.clicked,
                *self._rows_of("map"),
                self.knobs["on_map"],
                button(
                    "Hear the nearest clip", "the clip in the ring", studio.play_nearest
                ),
                self.nearest,
            ],
            "Morph, to the second seed or from A to B": [
                self.rows["morph"],
                self.beats,
                widgets.HBox(keep),
                self.journey,
                with_copy(self.journey_code),
                button("Save the morph", "write both files", studio.save, "morph"),
                self.journey_links,
            ],
            f"A clip of your own: {READABLE.replace('.', '')}": [
                widgets.VBox(
                    [self.upload, widgets.HTML("or drop the file here")]
                ).add_class("cvae-drop"),
                widgets.HTML(
                    "Larger than 10 MB? Give its path: most servers drop such uploads."
                ),
                self.path,
                self.start,
                button("Read the path", "encode the file", studio.take_path),
                self.about_own,
            ],
            "Rhythm of one, style of another": [
                self.knobs["source"],
                self.knobs["style"],
                self.knobs["morph_to"],
            ],
            "Compare with real music": [
                self.comparison,
                button("Compare", "make that sound", studio.compare),
                self.compared,
            ],
            "Draw, and single dimensions": [
                *self.of_seeds[1:],
                self.rows["temperature"],
                *self._rows_of("dimensions"),
            ],
            "What was made": [
                self.past,
                button("Play again", "set everything as it was", studio.recall),
            ],
            "The clip as code": [with_copy(self.code)],
        }
        made = []
        for title, rows in folds.items():
            if rows:
                fold = widgets.Accordion([widgets.VBox(rows)], selected_index=None)
                fold.set_title(0, title)
                made.append(fold)
        return made

    def state(self) -> dict[Any, Any]:
        """Reads every knob: dict of key to value.

        `source` and `style` may be an `OwnClip`; `source` is empty for a seed, `style`
        for that of the clip itself.
        """
        return {key: widget.value for key, widget in self.knobs.items()}

    def set(self, state: dict[Any, Any]) -> None:
        """Sets knobs to a state of `state()`, or to a part of one."""
        for key in CHOICES:
            if state.get(key) and not isinstance(state[key], str):
                self._offer(state[key])
        if state.get("source"):
            self.start.value = state["source"].start
        for key, value in state.items():
            self.knobs[key].value = value

    def _offer(self, own):
        """Adds a clip of one's own to both choices.

        It replaces an earlier one of the same path and start.
        """
        name = own.clip.name + (f", from {own.start:g} s" if own.start else "")
        if self.own_clips.get(name, own).path != own.path:  # a namesake
            name = f"{own.path}, from {own.start:g} s"
        self.own_clips[name] = own
        for key, choices in CHOICES.items():
            chosen = self.knobs[key].label
            self.knobs[key].options = [*choices, *self.own_clips.items()]
            self.knobs[key].label = chosen

    def show_genres(self, idle: dict[str, str]) -> None:
        """Marks the genres that play, and disables the sliders that are idle there.

        Args:
            idle: See `Controls.idle_sliders`.
        """
        for genre, swap in self.swaps.items():
            plays = self.knobs["genre", genre].value
            swap.button_style = "primary" if plays else ""
            swap.style.font_weight = "bold" if plays else "normal"
        self.idle.value = html.escape(" ".join(idle.values()))
        self.set({("sliders", name): 0.0 for name in idle})
        for row in self._rows_of("sliders"):
            for widget in row.children:
                words = idle.get(row.children[0].description, "")
                widget.disabled = bool(words)
                widget.tooltip = words  # ipywidgets 7 shows the text above alone

    def show_own(self, own: OwnClip | None) -> None:
        """Describes the own clip that is played and disables what only seeds have."""
        about = ""
        if own:
            beats = "no steady beat found, cut on a grid of 120 a minute"
            if own.clip.is_tracked:
                beats = "beats tracked"
            path = own.path.absolute()
            about = f"{describe_clip(own.clip)}, {beats}. Its code reads {path}"
        self.about_own.value = html.escape(about)
        for widget in (*self.of_seeds, *self.rows["temperature"].children):
            widget.disabled = bool(own)
