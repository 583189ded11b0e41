"""The studio: the model as an instrument in a notebook."""

from __future__ import annotations

import functools
import os
import random
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cvae_music import generation, serialization
from cvae_music.audio.files import encode_audio, full_scale
from cvae_music.controls import Controls, shipped_controls
from cvae_music.models.autoencoders import VAE
from cvae_music.studio import sounds, views
from cvae_music.studio.panel import Panel, message
from cvae_music.studio.settings import (
    as_code,
    clip_arguments,
    in_words,
    own_clips,
    setup_code,
)

if TYPE_CHECKING:
    import numpy as np

NUM_REMEMBERED = 30  # clips in the history
OF_A_MORPH = ("tempo", "guidance")  # the same from its beginning to its end


def action(method: Callable, error_field: str | None = None) -> Callable:
    """Makes a method of `Studio` a callback of the panel's widgets.

    JupyterLab 4.4 and later may call back for sliders on another thread than for
    buttons, so each call waits for its turn. Widgets that an action sets call back too,
    on the same thread; such calls are ignored. The status shows that the studio is
    busy, then the text that the method returns, or the error that it raised; None
    leaves the message as it was.

    Args:
        method: Method of `Studio` that returns a text or None.
        error_field: Field of the panel that repeats an error message.

    Returns:
        The method, wrapped; it returns None.
    """

    @functools.wraps(method)
    def answer(self, *values):
        with self.lock:
            if self.is_busy:
                return
            self.is_busy = True
            status = self.panel.status
            before = status.value
            status.value = message("Busy: making sound …")
            try:
                text = method(self, *values)
                status.value = message(text) if text else before
            except Exception as error:  # else the status would say busy for ever
                text = str(error)
                if not isinstance(error, (ValueError, OSError)):
                    text = (
                        f"{type(error).__name__}: {error}. This is a fault of the "
                        "studio; set another value and go on."
                    )
                status.value = message(text, "alert")
                if error_field:
                    getattr(self.panel, error_field).value = status.value
            finally:
                self.is_busy = False

    return answer


own_clip_action = functools.partial(action, error_field="about_own")


class Studio:
    """Shows every control of a model beside its sound, as the last value of a cell.

    Nothing plays until play, or a place of the map, is pressed. From then on each new
    clip goes on at the same place of the bar, unless `stay silent after a change` is
    ticked. The sound is at the level the model gave it, turned down only where it would
    clip. `clip` is the last clip made, and `made` the arguments of `make_clip` that
    make it again.

    Args:
        model: `VAE` or `ConditionalVAE`.
        controls: `Controls` of this model, see `fit_controls`.
        folder: Folder of uploads and saved clips, and of a model that does not ship;
            None for `studio` in the folder that `CVAE_MUSIC_OUTPUT` names, or in
            `outputs`.
        setup: Python that imports `cvae_music` as `cm` and sets `model` and `controls`
            to these. None for code that loads the preset; if the model does not ship,
            for code that loads two files, which are then saved in the folder.

    Raises:
        ValueError: If the controls are those of another model.

    Example:
        >>> from cvae_music import Studio
        >>> studio = Studio.from_preset("known_cvae")
        >>> print(studio.code())  # doctest: +ELLIPSIS
        import cvae_music as cm
        model = cm.VAE.from_preset('known_cvae')
        controls = cm.shipped_controls(model)
        clip = cm.make_clip(model, controls, seed=0, tempo=110.0, genre={'house': 1.0...
    """

    def __init__(
        self,
        model: VAE,
        controls: Controls,
        folder: str | Path | None = None,
        setup: str | None = None,
    ) -> None:
        controls.check_model(model)
        self.model = model
        self.controls = controls
        self.config = model.audio_config
        self.folder = Path(folder or serialization.results_folder() / "studio")
        self.setup = setup or setup_code(model, controls, self.folder / "models")
        self.lock = threading.RLock()
        self.is_busy = False
        self.clip: Any = None  # `Clip`, once one is made
        self.picture = ""  # HTML of its spectrogram
        self.made: dict[str, Any] = {}
        self.own: dict[str, sounds.OwnClip] = {}  # by argument of `make_clip`
        self.morphed: np.ndarray | None = None
        self.kept: dict[str, tuple] = {}  # settings, their code, and the genre
        self.history: dict[str, tuple] = {}  # by code: number, words and state
        self.count = 0
        self.panel = Panel(model.genres, controls, self)
        self.spectrogram = views.SpectrogramView(self.config)
        names = controls.table["genre"]
        genres = list(model.genres) or sorted(set(names))
        indices = [genres.index(name) for name in names]
        self.map = views.MapView(controls.points, indices, genres)
        self.reset()

    @classmethod
    def from_preset(cls, name: str, folder: str | Path | None = None) -> Studio:
        """Opens the studio on a model that ships, with its controls.

        Args:
            name: Such as `"known_cvae"`.
            folder: As of `Studio`.

        Returns:
            `Studio`.

        Raises:
            ValueError: If there is no such preset, or it has no controls.
        """
        model = VAE.from_preset(name)
        return cls(model, shipped_controls(model), folder)

    def code(self) -> str:
        """Writes Python that makes the clip again, in any process."""
        settings = as_code(self.made, self.own)
        return f"{self.setup}\nclip = cm.make_clip(model, controls, {settings})"

    def _repr_mimebundle_(self, **_):
        page = ""
        if self.clip:
            page = views.static_page(self.clip, self.config, self.picture, self.code())
        return {
            "application/vnd.jupyter.widget-view+json": {
                "version_major": 2,
                "version_minor": 0,
                "model_id": self.panel.box.model_id,
            },
            "text/html": page,
            "text/plain": "Studio",
        }

    def _set(self, state):
        """Sets knobs to a state, or a part of one, makes the clip, and shows it."""
        panel = self.panel
        panel.set(state)
        settings = clip_arguments(panel.state())
        if self.model.num_genres and "genre" not in settings:
            raise ValueError("All genre weights are 0: raise at least one.")
        weights = generation.genre_weights(self.model, settings.get("genre"))
        panel.show_genres(self.controls.idle_sliders(weights))
        state = panel.state()  # once more: idle sliders are at 0 now
        settings = clip_arguments(state)
        self.clip = generation.make_clip(self.model, self.controls, **settings)
        self.made = settings
        self.own = own_clips(state)
        panel.show_own(self.own.get("latent"))
        panel.code.value = self.code()
        panel.links.value = ""
        words = in_words(self.clip, settings, self.own, self.controls.dimensions)
        self._draw(words)
        self._remember(words, state)
        seconds = len(self.clip.samples) / self.config.sample_rate
        text = f"Ready: {self.clip.genre or 'clip'}, {seconds:.2f} s"
        turned_down = full_scale(self.clip.samples)[1]
        if turned_down:
            text += f", turned down by {turned_down:.1f} dB"
        return text

    def _draw(self, words):
        """Shows the clip with its spectrogram, and its place on the map."""
        png = self.spectrogram.png(self.clip.log_mel, self.clip.tempo)
        alt = f"Log-mel spectrogram of {words}."
        self.picture = views.image_tag(png, alt, self.spectrogram.attributes)
        self.panel.audio.play(
            encode_audio(self.clip.samples, self.config), words, self.picture
        )
        x, y = self.clip.latent @ self.controls.axes.T
        if "map_position" not in self.made:
            cursor = {("map", 0): round(float(x), 2), ("map", 1): round(float(y), 2)}
            self.panel.set(cursor)
        points = self.controls.points
        nearest = self.controls.nearest((x, y))
        genre = self.controls.table["genre"].iloc[nearest]
        alt = (
            f"Map of the latents: cursor at {x:.1f}, {y:.1f}; "
            f"the nearest of {len(points)} clips is {genre}."
        )
        png = self.map.png((x, y), points[nearest])
        self.panel.map_picture.value = views.image_tag(png, alt, 'class="cvae-map"')

    def _remember(self, words, state):
        """Puts the clip first in the history; a clip made again keeps its number."""
        code = self.panel.code.value
        if code in self.history:
            number = self.history.pop(code)[0]
        else:
            self.count += 1
            number = self.count
        self.history[code] = (number, words, state)
        if len(self.history) > NUM_REMEMBERED:
            del self.history[next(iter(self.history))]
        self.panel.past.options = [
            (f"{number}: {words}", code)
            for code, (number, words, _) in reversed(self.history.items())
        ]

    @action
    def put(self, state):
        """Sets knobs to values of `panel.state()`, or to some of them, and plays."""
        return self._set(state)

    @action
    def recall(self):
        """Sets every control as it was for the chosen line of the history."""
        chosen = self.history.get(self.panel.past.value)
        return self._set(chosen[2]) if chosen else None

    @action
    def change(self, key, value):
        """Makes the clip anew after a knob has moved.

        Moving the cursor on the map also ticks `play at the cursor`.
        """
        is_cursor = key[0] == "map"
        return self._set({key: value, "on_map": True} if is_cursor else {})

    @action
    def click_map(self, place):
        """Plays at the place of the map that was clicked.

        Args:
            place: Such as `"0.5,0.2"`: shares of the picture, from left and from top.
        """
        x, y = self.map.position(*map(float, place.split(",")))
        return self._set({("map", 0): x, ("map", 1): y, "on_map": True})

    @action
    def swap(self, genre):
        """Plays the same latent as another genre."""
        return self._set(
            {("genre", name): float(name == genre) for name in self.model.genres}
        )

    @action
    def reset(self):
        """Sets sound sliders and dimensions back to 0."""
        groups = ("sliders", "dimensions")
        return self._set({key: 0.0 for key in self.panel.knobs if key[0] in groups})

    @action
    def surprise(self):
        """Draws a seed, one or two genres and a tempo."""
        state: dict[Any, Any] = {
            "seed": random.randrange(10**6),
            "tempo": float(random.randrange(80, 161, 4)),
            "source": "",
            "style": "",
            "on_map": False,
            "morph": 0.0,
        }
        names = self.model.genres
        if names:
            chosen = random.sample(names, random.choice((1, 2)))
            state["prior_genre"] = chosen[0]
            for name in names:
                state["genre", name] = (name in chosen) / len(chosen)
        return self._set(state)

    @action
    def save(self, what="clip"):
        """Writes the clip, or the `"morph"`, as WAV and MP3 and shows links to both."""
        if what == "morph":
            if self.morphed is None:
                raise ValueError(
                    "There is no morph to save yet. Press Morph A to B first."
                )
            name = "morph"
            samples = self.morphed
            links = self.panel.journey_links
        else:
            name = f"{self.clip.genre or 'clip'} seed{self.clip.seed}"
            samples = self.clip.samples
            links = self.panel.links
        path = self.folder / (re.sub(r"\W+", "_", name) + ".wav")
        wav, mp3 = sounds.save_sound(samples, self.config, path)
        links.value = f"{views.download_link(wav)}<br>{views.download_link(mp3)}"
        text = f"Ready: saved as {wav.stem}.wav and .mp3 in {wav.parent}"
        return f"{text}, links beside the button"

    def _read(self, path):
        """Starts from the clip of a file, at the tempo that was found in it."""
        own = sounds.read_own_clip(self.model, path, self.panel.start.value)
        knob = self.panel.knobs["tempo"]
        tempo = min(max(float(round(own.clip.tempo)), knob.min), knob.max)
        return self._set({"source": own, "tempo": tempo, "on_map": False, "morph": 0.0})

    @own_clip_action
    def take_upload(self):
        """Keeps what was uploaded, empties the widget, and starts from the clip.

        The widget is emptied so that the same file can come again.
        """
        upload = self.panel.upload
        value = upload.value
        if not value:
            return None
        upload.set_trait("value", type(value)())
        return self._read(sounds.keep_upload(value, self.folder / "uploads"))

    @own_clip_action
    def take_path(self):
        """Starts from the file of the path, unless it is played already.

        A press of the button also ends the editing of the field. Both call back, in any
        order.
        """
        path = self.panel.path.value.strip().strip("'\"")
        source = self.panel.knobs["source"].value
        if source and source.path == Path(os.path.expanduser(path)):
            return None
        return self._read(path)

    @own_clip_action
    def change_start(self):
        """Cuts the own clip anew from another start."""
        source = self.panel.knobs["source"].value
        return self._read(source.path) if source else None

    def _nearest(self):
        return sounds.nearest_clip(self.model, self.controls, self.clip.latent)

    @action
    def play_nearest(self):
        """Loads the real clip nearest to the cursor into its player."""
        real, _ = self._nearest()
        self.panel.nearest.play(
            encode_audio(real.samples, self.config), sounds.describe_clip(real)
        )
        return "Ready: the nearest clip, in the player below its button"

    @action
    def compare(self):
        """Loads a sound to compare with: of the own clip, or the nearest real one."""
        kind = self.panel.comparison.value
        if "latent" in self.own:
            real = self.own["latent"].clip
            genre = self.made.get("genre")
        else:
            real, genre = self._nearest()
        samples = sounds.comparison_samples(self.model, real, genre, kind)
        self.panel.compared.play(
            encode_audio(samples, self.config), f"{kind}: {sounds.describe_clip(real)}"
        )
        return "Ready: the sound to compare with"

    @action
    def keep(self, name):
        """Remembers the settings of the sound as A or B."""
        settings = {k: v for k, v in self.made.items() if k not in OF_A_MORPH}
        code = f"dict({as_code(settings, self.own)})"
        genre = self.clip.genre
        self.kept[name] = (settings, code, genre or name)
        return f"Kept as {name}: {genre or 'clip'}"

    @action
    def morph(self):
        """Makes one long clip that moves from A to B along the arc between them."""
        if {"A", "B"} - set(self.kept):
            raise ValueError(
                "Nothing kept yet as A, or as B. "
                "Keep two sounds first, one as A and one as B."
            )
        first, first_code, first_genre = self.kept["A"]
        second, second_code, second_genre = self.kept["B"]
        state = self.panel.state()
        whole = {name: state[name] for name in OF_A_MORPH if name in state}
        whole["num_beats"] = self.panel.beats.value
        self.morphed = generation.make_morph(
            self.model, self.controls, first, second, **whole
        )
        seconds = len(self.morphed) / self.config.sample_rate
        about = f"{first_genre} to {second_genre}, {seconds:.1f} s"
        self.panel.journey.play(encode_audio(self.morphed, self.config), about)
        self.panel.journey_code.value = (
            f"{self.setup}\nsamples = cm.make_morph(model, controls, {first_code}, "
            f"{second_code}, {as_code(whole)})"
        )
        self.panel.journey_links.value = ""
        return f"Ready: morph of {seconds:.1f} s, in the player below its button"
