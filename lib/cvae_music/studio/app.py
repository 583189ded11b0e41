"""The studio: the model as an instrument in a notebook."""

import functools
import os
import random
import re
import threading
from pathlib import Path

from cvae_music import generation, serialization
from cvae_music.audio.files import encode_audio, full_scale
from cvae_music.controls import fingerprint, shipped_controls
from cvae_music.models.autoencoders import VAE
from cvae_music.studio import sounds, views
from cvae_music.studio.panel import Panel, message
from cvae_music.studio.settings import arguments, as_code, in_words

NUM_REMEMBERED = 30


def action(method, beside=None):
    """Makes a method answer a touch of the panel: in its turn, with the busy state shown and what it returns said.

    JupyterLab 4.4 and later may answer sliders on another thread than buttons: each waits for its turn. Widgets that
    an action sets call back while it holds the turn, and that is no touch. What goes wrong is said, and said once more
    in the field of the panel named `beside`.
    """

    @functools.wraps(method)
    def acting(self, *values):
        with self.turn:
            if self.acting:
                return
            self.acting, before = True, self.panel.status.value
            self.panel.status.value = message("Busy: making sound …")
            try:
                text = method(self, *values)
                self.panel.status.value = (
                    message(text) if text else before
                )  # no text: there was nothing to do
            except (
                Exception
            ) as error:  # an error nobody sees would leave the page busy for ever
                foreseen = isinstance(error, (ValueError, OSError))
                fault = f"{type(error).__name__}: {error}. This is a fault of the studio; set another value and go on."
                self.panel.status.value = message(
                    str(error) if foreseen else fault, "alert"
                )
                if beside:
                    getattr(self.panel, beside).value = self.panel.status.value
            finally:
                self.acting = False

    return acting


own_action = functools.partial(action, beside="about_own")


class Studio:
    """Every control of a model beside its sound; show it as the last value of a cell.

    Nothing plays by itself. The sound is at the level the model gave it, turned down only where it would clip.
    `clip` is the last clip made and `made` the arguments of `make_clip` that make it again.

    Args:
        model: `VAE` or `ConditionalVAE`.
        controls: `Controls` of this model, see `fit_controls`.
        folder: Where uploads and saved clips go; None for the session's results.

    Raises:
        ValueError: If the controls are those of another model.
    """

    def __init__(self, model, controls, folder=None):
        if controls.fingerprint != fingerprint(model):
            raise ValueError(
                "The controls were measured of another model; expected fit_controls(model, features)."
            )
        self.model, self.controls, self.config = model, controls, model.audio_config
        self.folder = Path(folder or serialization.results_folder() / "studio")
        self.turn, self.acting = threading.RLock(), False
        self.clip = self.own = self.walked = None
        self.made, self.kept, self.history, self.count = {}, {}, {}, 0
        self.panel = Panel(
            model.genres,
            controls,
            {
                "change": self.change,
                "swap": self.swap,
                "reset": self.reset,
                "surprise": self.surprise,
                "recall": self.recall,
                "repeat": self.repeat,
                "save": self.save,
                "upload": self.take_upload,
                "path": self.take_path,
                "start": self.start_elsewhere,
                "nearest": self.hear_nearest,
                "compare": self.compare,
                "keep": self.keep,
                "morph": self.morph,
            },
        )
        genres = list(model.genres) or sorted(set(controls.table["genre"]))
        self.spectrogram = views.SpectrogramView(self.config)
        self.map = views.MapView(
            controls.points, [genres.index(g) for g in controls.table["genre"]], genres
        )
        self.reset()

    @classmethod
    def from_preset(cls, name, folder=None):
        """The studio on a model that ships, as `"known_cvae"`, with the controls that were measured of it."""
        model = VAE.from_preset(name)
        return cls(model, shipped_controls(model), folder)

    def settings(self):
        """The arguments of `make_clip` that differ from its defaults; own clips by their latent."""
        return arguments(self.panel.state())

    def code_line(self):
        """One line of Python that makes the clip again."""
        return f"clip = make_clip(model, controls, {as_code(self.made, self.own)})"

    def _repr_mimebundle_(self, include=None, exclude=None):
        page = self.clip and views.static_page(
            self.clip, self.config, self.panel.picture.value, self.code_line()
        )
        view = {
            "version_major": 2,
            "version_minor": 0,
            "model_id": self.panel.box.model_id,
        }
        return {
            "application/vnd.jupyter.widget-view+json": view,
            "text/html": page or "",
            "text/plain": "Studio",
        }

    def _set(self, state):
        """Puts knobs where a state, or a part of one, has them, then makes the clip and shows it."""
        self.panel.set(state)
        panel, state = self.panel, self.panel.state()
        settings, own = arguments(state), state["source"]
        if self.model.num_genres and "mix" not in settings:
            raise ValueError("All genre weights are 0: raise at least one.")
        self.clip = generation.make_clip(self.model, self.controls, **settings)
        self.made, self.own = settings, own
        panel.audio.play(encode_audio(self.clip.samples, self.config))
        panel.show_own(own)
        panel.code.value, panel.links.value = self.code_line(), ""
        words = in_words(self.clip, settings, own, self.controls.dimensions)
        self._draw(words)
        self._remember(words, state)
        seconds, turned_down = (
            len(self.clip.samples) / self.config.sample_rate,
            full_scale(self.clip.samples)[1],
        )
        note = f", turned down by {turned_down:.1f} dB" if turned_down else ""
        return f"Ready: {self.clip.genre or 'clip'}, {seconds:.2f} s{note}"

    def _draw(self, words):
        picture = self.spectrogram.png(self.clip.log_mel, self.clip.tempo)
        self.panel.picture.value = views.image_tag(
            picture, f"Log-mel spectrogram of {words}."
        )
        x, y = at = self.clip.latent @ self.controls.axes.T
        if "at" not in self.made:
            self.panel.set({("at", axis): round(float(at[axis]), 2) for axis in (0, 1)})
        points, near = self.controls.points, self.controls.nearest(at)
        genre = self.controls.table["genre"].iloc[near]
        alt = f"Map of the latents: cursor at {x:.1f}, {y:.1f}; the nearest of {len(points)} clips is {genre}."
        self.panel.map_picture.value = views.image_tag(
            self.map.png(at, points[near]), alt
        )

    def _remember(self, words, state):
        code = self.panel.code.value
        number = self.history.pop(code, (self.count + 1,))[
            0
        ]  # what is made again keeps its number and moves up
        self.count = max(self.count, number)
        self.history = dict(
            [*self.history.items(), (code, (number, words, state))][-NUM_REMEMBERED:]
        )
        self.panel.past.options = [
            (f"{k}: {words}", code)
            for code, (k, words, _) in reversed(self.history.items())
        ]

    @action
    def recall(self):
        """Sets every control as it was for the chosen line of the history."""
        if self.panel.past.value in self.history:
            return self._set(self.history[self.panel.past.value][2])

    @action
    def change(self, key, value):
        """Makes the clip anew once a knob has moved; where the cursor was moved, it is played there."""
        return self._set({key: value, "on_map": True} if key[0] == "at" else {})

    @action
    def repeat(self):
        """The player of the clip repeats, or stops to."""
        self.panel.audio.loop = self.panel.loop.value
        self.panel.audio.play(self.panel.audio.wav)

    @action
    def swap(self, genre):
        """The same latent as another genre."""
        return self._set(
            {("mix", name): float(name == genre) for name in self.model.genres}
        )

    @action
    def reset(self):
        """Sound sliders and dimensions back to 0."""
        return self._set(
            {
                key: 0.0
                for key in self.panel.knobs
                if key[0] in ("sliders", "dimensions")
            }
        )

    @action
    def surprise(self):
        """Draws a seed, one or two genres and a tempo."""
        names = self.model.genres
        chosen = random.sample(names, min(len(names), random.choice((1, 2))))
        state = {("mix", name): (name in chosen) / len(chosen) for name in names}
        state |= {"prior_genre": chosen[0]} if chosen else {}
        state |= {
            "seed": random.randrange(10**6),
            "tempo": float(random.randrange(80, 161, 4)),
            "source": "",
        }
        return self._set(state | {"on_map": False, "share": 0.0})

    @action
    def save(self, what="clip"):
        """Writes the clip, or the `"morph"`, as WAV and MP3 to the folder and shows links to both."""
        stem = re.sub(r"\W+", "_", f"{self.clip.genre or 'clip'} seed{self.clip.seed}")
        samples, place = self.clip.samples, self.panel.links
        if what == "morph":
            samples, stem, place = self.walked, what, self.panel.journey_links
        if samples is None:
            raise ValueError("There is no morph to save yet. Press Morph A to B first.")
        wav, mp3 = sounds.save_sound(samples, self.config, self.folder / f"{stem}.wav")
        place.value = f"{views.download_link(wav)}<br>{views.download_link(mp3)}"
        folder = (
            wav.parent.relative_to(Path.cwd())
            if wav.is_relative_to(Path.cwd())
            else wav.parent
        )
        return f"Ready: saved as {wav.stem}.wav and .mp3 in {folder}, links beside the button"

    def _read(self, path):
        own, tempo = (
            sounds.read_own(self.model, path, self.panel.start.value),
            self.panel.knobs["tempo"],
        )
        heard = min(max(float(round(own.clip.tempo)), tempo.min), tempo.max)
        return self._set({"source": own, "tempo": heard, "on_map": False, "share": 0.0})

    @own_action
    def take_upload(self):
        """Keeps what was uploaded and starts from it; then empties the widget, so that the same file can come again."""
        value = self.panel.upload.value
        if value:
            self.panel.upload.set_trait("value", type(value)())
            return self._read(sounds.keep_upload(value, self.folder / "uploads"))

    @own_action
    def take_path(self):
        """Starts from the file of the path, unless it is played: the button may be answered before the field."""
        path, source = (
            self.panel.path.value.strip().strip("'\""),
            self.panel.knobs["source"].value,
        )
        if not source or source.path != Path(os.path.expanduser(path)):
            return self._read(path)

    @own_action
    def start_elsewhere(self):
        """Cuts the own clip anew where the start was moved."""
        source = self.panel.knobs["source"].value
        return self._read(source.path) if source else None

    def _nearest(self):
        return sounds.nearest_clip(self.model, self.controls, self.clip.latent)

    @action
    def hear_nearest(self):
        """The real clip nearest to the cursor."""
        real, _ = self._nearest()
        self.panel.nearest.play(
            encode_audio(real.samples, self.config), sounds.about(real)
        )
        return "Ready: the nearest clip, in the player below its button"

    @action
    def compare(self):
        """Makes the sound to compare with: of the own clip where it is played, else of the nearest real clip."""
        own, kind = self.own, self.panel.comparison.value
        real, mix = (own.clip, self.made.get("mix")) if own else self._nearest()
        sound = encode_audio(
            sounds.comparison(self.model, real, mix, kind), self.config
        )
        self.panel.compared.play(sound, f"{kind}: {sounds.about(real)}")
        return "Ready: the sound to compare with"

    @action
    def keep(self, name):
        """Remembers the settings of the sound as A or B."""
        settings = {key: value for key, value in self.made.items() if key != "tempo"}
        self.kept[name] = (
            settings,
            f"dict({as_code(settings, self.own)})",
            self.clip.genre or name,
        )
        return f"Kept as {name}: {self.clip.genre or 'clip'}"

    @action
    def morph(self):
        """One long clip that walks from A to B along the sphere."""
        if {"A", "B"} - set(self.kept):
            raise ValueError(
                "Nothing kept yet as A, or as B. Keep two sounds first, one as A and one as B."
            )
        ends, codes, genres = zip(self.kept["A"], self.kept["B"], strict=True)
        length = {
            "num_beats": self.panel.beats.value,
            "tempo": self.panel.knobs["tempo"].value,
        }
        self.walked = generation.make_morph(self.model, self.controls, *ends, **length)
        seconds = len(self.walked) / self.config.sample_rate
        self.panel.journey.play(
            encode_audio(self.walked, self.config),
            f"{' to '.join(genres)}, {seconds:.1f} s",
        )
        arguments = ", ".join(["model", "controls", *codes, as_code(length)])
        self.panel.journey_code.value = f"samples = make_morph({arguments})"
        self.panel.journey_links.value = ""
        return f"Ready: morph of {seconds:.1f} s, in the player below its button"
