"""The studio: the model as an instrument in a notebook."""

import html
import random
import re
import threading
import time
from pathlib import Path

from cvae_music import generation as playing
from cvae_music import store
from cvae_music.studio.others import OWN, OtherSounds, as_arguments
from cvae_music.studio.panel import SEED, in_turn
from cvae_music.studio.views import MapView, SpectrogramView, full_scale, image_tag, static_page, wav_bytes

NUM_REMEMBERED = 30


class Studio(OtherSounds):
    """Every control of a model beside its sound; show it as the last value of a cell.

    Nothing plays by itself. The sound is at the level the model gave it, turned down only where it would clip.
    `clip` is the last clip made and `made` the arguments of `playing.make_clip` that make it again.

    Args:
        model: `VAE` or `ConditionalVAE`.
        controls: `Controls` of this model, see `controls.fit_controls`.
        folder: Where uploads and saved clips go; None for the session's results.
    """

    def __init__(self, model, controls, folder=None):
        self.model, self.controls, self.config = model, controls, model.audio_config
        self.folder = Path(folder or store.results_folder() / "studio")
        self.turn = threading.RLock()
        self.own = self.made_from = self.clip = self.walked = None
        self.made, self.kept, self.history, self.count, self.milliseconds, self.quiet = {}, {}, {}, 0, [], True
        self.spectrogram = SpectrogramView(self.config)
        genres = list(model.genres if model.num_genres else sorted(set(controls.table["genre"])))
        self.map = MapView(controls.points, [genres.index(g) for g in controls.table["genre"]], genres)
        self._make_knobs()
        self._make_outputs()
        self.box = self._layout()
        self.quiet = False
        self.refresh()

    def _state(self):
        state = {key: widget.value for key, widget in self.knobs.items()}
        state |= {name: getattr(self, name).value for name in ("seed", "second", "source", "drawn_as", "on_map")}
        return state | ({"own": self.own} if state["source"] == OWN else {})

    def settings(self):
        """The arguments of `playing.make_clip` that differ from its defaults; own clips by their latent."""
        return self._settings(self._state())

    def _settings(self, state):
        values = {key: round(state[key], 4) for key in self.knobs}
        found = {"seed": state["seed"], "tempo": values["tempo"]}
        for kind in ("mix", "sliders", "dimensions"):
            chosen = {key[1]: value for key, value in values.items() if key[0] == kind and value}
            if chosen:
                found[kind] = chosen
        if "own" in state:
            found["start"] = state["own"].latent
        else:
            found |= {"drawn_as": state["drawn_as"]} if self.model.num_genres else {}
            found |= {"temperature": values["temperature"]} if values["temperature"] != 1 else {}
        if state["on_map"]:
            found["at"] = (values["at", 0], values["at", 1])
        if values["share"]:
            found |= {"morph_to": state["second"], "share": values["share"]}
        return found

    def code_line(self):
        """One line of Python that makes the clip again."""
        return f"clip = make_clip(model, controls, {as_arguments(self.made, self.made_from)})"

    def describe(self):
        """The clip and what was set for it, in words."""
        made, names = self.made, self.controls.dimensions
        parts = [self.clip.genre or "clip", self.made_from.clip.name if "start" in made else f"seed {made['seed']}"]
        parts.append(f"{made['tempo']:g} bpm")
        parts += [f"{name} {value:+g}" for name, value in made.get("sliders", {}).items()]
        parts += [f"{names[number]} {value:+g}" for number, value in made.get("dimensions", {}).items()]
        parts += [f"temperature {made['temperature']:g}"] if "temperature" in made else []
        parts += ["at {:g}, {:g}".format(*made["at"])] if "at" in made else []
        parts += [f"{made['share']:.0%} towards seed {made['morph_to']}"] if "share" in made else []
        if made.get("drawn_as", self.clip.genre) != self.clip.genre:
            parts.append(f"drawn as {made['drawn_as']}")
        return ", ".join(parts)

    @in_turn
    def refresh(self):
        """Makes the clip of the current settings, and shows it."""
        if not self.quiet:
            self._guarded(self._refresh)

    def _refresh(self):
        begin = time.perf_counter()
        state = self._state()
        settings = self._settings(state)
        if settings.get("mix") is None and self.model.num_genres:
            raise ValueError("All genre weights are 0: raise at least one.")
        self.clip = playing.make_clip(self.model, self.controls, **settings)
        self.made, self.made_from = settings, state.get("own")
        self.audio.play(wav_bytes(self.clip.samples, self.config))
        self.milliseconds.append(1000 * (time.perf_counter() - begin))
        for widget in self.of_seeds:
            widget.disabled = "start" in settings
        self.about_own.value = self._describe_own() if "start" in settings else ""
        self._draw()
        self.code.value = self.code_line()
        self.links.value = ""
        self._remember(state)
        seconds, (_, turned_down) = len(self.clip.samples) / self.config.sample_rate, full_scale(self.clip.samples)
        note = f", turned down by {turned_down:.1f} dB" if turned_down else ""
        self._say(f"Ready: {self.clip.genre or 'clip'}, {seconds:.2f} s, made in {self.milliseconds[-1]:.0f} ms{note}")

    def _draw(self):
        picture = self.spectrogram.png(self.clip.log_mel, self.clip.tempo)
        self.picture.value = image_tag(picture, f"Log-mel spectrogram of {self.describe()}.")
        at = self.clip.latent @ self.controls.axes.T
        if not self.on_map.value:
            self._silently(lambda: self._assign({("at", axis): round(float(at[axis]), 2) for axis in (0, 1)}))
        near = self.controls.nearest(at)
        genre = self.controls.table["genre"].iloc[near]
        alt = f"Map of the latents: cursor at {at[0]:.1f}, {at[1]:.1f}; the nearest of {len(self.controls.points)} clips is {genre}."
        self.map_picture.value = image_tag(self.map.png(at, self.controls.points[near]), alt)

    @in_turn
    def _guarded(self, action, place=None):
        """Runs an action with the busy state shown; what goes wrong is said in the page, and in a second place there."""
        self._say("Busy: making sound …")
        try:
            action()
        except Exception as error:  # an error nobody sees would leave the page busy for ever
            foreseen = isinstance(error, (ValueError, OSError))
            fault = f"{type(error).__name__}: {error}. This is a fault of the studio; set another value and go on."
            self._say(str(error) if foreseen else fault, "alert")
            if place is not None:
                place.value = self.status.value

    def _say(self, text, role="status"):
        text = html.escape(text) if role == "status" else f"<b>{html.escape(text)}</b>"
        self.status.value = f'<div role="{role}" aria-live="polite" style="line-height: 1.4; min-height: 2.8em">{text}</div>'

    def _silently(self, action):
        before, self.quiet = self.quiet, True
        try:
            action()
        finally:
            self.quiet = before

    def _remember(self, state):
        code = self.code.value
        number = self.history.pop(code, (self.count + 1,))[0]  # what is made again keeps its number and moves up
        self.history[code], self.count = (number, self.describe(), state), max(self.count, number)
        for oldest in list(self.history)[:-NUM_REMEMBERED]:
            del self.history[oldest]
        self.past.options = [(f"{number}: {text}", code) for code, (number, text, _) in reversed(self.history.items())]

    def _assign(self, state):
        for key, value in state.items():
            if key == "own":
                self.own, self.start.value = value, value.start
            else:
                (self.knobs[key] if key in self.knobs else getattr(self, key)).value = value

    @in_turn
    def _set(self, state):
        self._silently(lambda: self._assign(state))
        self.refresh()

    @in_turn
    def recall(self):
        """Sets every control as it was for the chosen line of the history."""
        if self.past.value in self.history:
            self._set(self.history[self.past.value][2])

    @in_turn
    def point(self, key, value):
        """Plays at the cursor once it is moved by hand."""
        if not self.quiet:
            self._set({key: value, "on_map": True})

    @in_turn
    def repeat(self):
        """The player of the clip repeats, or stops to."""
        self.audio.loop = self.loop.value
        self.audio.play(self.audio.wav)

    def swap(self, genre):
        """The same latent as another genre."""
        self._set({("mix", name): float(name == genre) for name in self.model.genres})

    def reset(self):
        """Sound sliders and dimensions back to 0."""
        self._set({key: 0.0 for key in self.knobs if key[0] in ("sliders", "dimensions")})

    def surprise(self):
        """Draws a seed, one or two genres and a tempo."""
        names = list(self.model.genres) if self.model.num_genres else []
        chosen = random.sample(names, min(len(names), random.choice((1, 2))))
        state = {("mix", name): (name in chosen) / len(chosen) for name in names}
        state |= {"seed": random.randrange(10**6), "tempo": float(random.randrange(80, 161, 4)), "on_map": False}
        self._set(state | {"source": SEED, "share": 0.0} | ({"drawn_as": chosen[0]} if chosen else {}))

    def save(self):
        """Writes the clip as WAV and MP3 to the folder and shows links to both."""

        def write():
            stem = re.sub(r"\W+", "_", f"{self.clip.genre or 'clip'} seed{self.clip.seed}")
            self.links.value = self._write(self.clip.samples, stem)

        self._guarded(write)

    def _ipython_display_(self):
        from IPython.display import display

        page = static_page(self.clip, self.config, self.picture.value, self.code.value) if self.clip else ""
        view = {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}
        display(
            {"application/vnd.jupyter.widget-view+json": view, "text/html": page, "text/plain": "Studio"}, raw=True
        )


def pretrained_studio(name="known_cvae", folder=None):
    """The studio on a model that ships, with the controls that were measured of it."""
    from cvae_music.controls import shipped_controls
    from cvae_music.models.autoencoders import VAE

    model = VAE.from_preset(name)
    return Studio(model, shipped_controls(model), folder)
