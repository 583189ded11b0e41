"""The studio: the model as an instrument in a notebook."""

import html
import random
import time
from pathlib import Path

import numpy as np

from cvae_music import own_clip, playing
from cvae_music.audio import write_audio
from cvae_music.inversion import to_audio
from cvae_music.session import output_folder
from cvae_music.studio_panel import COMPARISONS, SEED, Panel
from cvae_music.studio_views import (
    MapView,
    SpectrogramView,
    download_links,
    full_scale,
    image_tag,
    static_page,
    wav_bytes,
)
from cvae_music.walks import walk

OWN = "my own clip"
NUM_REMEMBERED = 30


class Studio(Panel):
    """Every control of a model beside its sound; show it as the last value of a cell.

    Nothing plays by itself. The sound is at the level the model gave it, turned down only where it would clip.
    `clip` is the last clip made and `settings()` the arguments of `playing.make_clip` that make it again.

    Args:
        model: `VAE` or `ConditionalVAE`.
        controls: `Controls` of this model, see `controls.fit_controls`.
        folder: Where uploads and saved clips go; None for the session's results.
    """

    def __init__(self, model, controls, folder=None):
        self.model, self.controls, self.config = model, controls, model.audio_config
        self.folder = Path(folder or output_folder() / "studio")
        self.own = self.own_latent = self.clip = None
        self.milliseconds, self.history, self.kept, self.quiet = [], [], {}, True
        self.spectrogram = SpectrogramView(self.config)
        genres = list(model.genres if model.num_genres else sorted(set(controls.table["genre"])))
        self.map = MapView(controls.points, [genres.index(g) for g in controls.table["genre"]], genres)
        self._make_knobs()
        self._make_outputs()
        self.box = self._layout()
        self.quiet = False
        self.refresh()

    def settings(self):
        """The arguments of `playing.make_clip` that differ from its defaults; own clips by their latent."""
        values = {key: round(widget.value, 4) for key, widget in self.knobs.items()}
        found = {"seed": self.seed.value, "tempo": values["tempo"]}
        for kind in ("mix", "sliders", "dimensions"):
            chosen = {key[1]: value for key, value in values.items() if key[0] == kind and value}
            if chosen:
                found[kind] = chosen
        if self.source.value == OWN:
            found["start"] = self.own_latent
        else:
            found |= {"drawn_as": self.drawn_as.value} if self.model.num_genres else {}
            found |= {"temperature": values["temperature"]} if values["temperature"] != 1 else {}
        if self.on_map.value:
            found["at"] = (values["at", 0], values["at", 1])
        if values["share"]:
            found |= {"morph_to": self.second.value, "share": values["share"]}
        return found

    def code_line(self):
        """One line of Python that makes the clip again."""
        parts = {name: repr(value) for name, value in self.settings().items()}
        if "start" in parts:
            path, here = Path(self.own[0]), Path.cwd()
            path = path.relative_to(here) if path.is_relative_to(here) else path
            parts["start"] = f"encode_clip(model, {path.as_posix()!r}, {self.own[1]!r})"
        return f"clip = make_clip(model, controls, {', '.join(f'{name}={value}' for name, value in parts.items())})"

    def refresh(self):
        """Makes the clip of the current settings, and shows it."""
        if not self.quiet:
            self._guarded(self._refresh)

    def _refresh(self):
        begin = time.perf_counter()
        settings = self.settings()
        if settings.get("mix") is None and self.model.num_genres:
            raise ValueError("All genre weights are 0: raise at least one.")
        self.clip = playing.make_clip(self.model, self.controls, **settings)
        self.audio.value = wav_bytes(self.clip.samples, self.config)
        self.milliseconds.append(1000 * (time.perf_counter() - begin))
        what = f"{self.clip.genre or 'the clip'}, seed {self.clip.seed}, {self.clip.tempo:g} beats a minute"
        picture = self.spectrogram.png(self.clip.log_mel, self.clip.tempo)
        self.picture.value = image_tag(picture, f"Log-mel spectrogram of {what}.")
        self.code.value = self.code_line()
        at = self.clip.latent @ self.controls.axes.T
        if not self.on_map.value:
            self._silently(lambda: [self.knobs["at", axis].set_trait("value", round(float(at[axis]), 2)) for axis in (0, 1)])
        near = self.controls.nearest(at)
        nearest = self.controls.table["genre"].iloc[near] if "genre" in self.controls.table else "real"
        alt = f"Map of the latents: cursor at {at[0]:.1f}, {at[1]:.1f}; the nearest of {len(self.controls.points)} clips is {nearest}."
        self.map_picture.value = image_tag(self.map.png(at, self.controls.points[near]), alt)
        self._remember(settings)
        self.links.value = ""
        seconds, (_, turned_down) = len(self.clip.samples) / self.config.sample_rate, full_scale(self.clip.samples)
        note = f", turned down by {turned_down:.1f} dB" if turned_down else ""
        self._say(f"Ready: {self.clip.genre or 'clip'}, {seconds:.2f} s, made in {self.milliseconds[-1]:.0f} ms{note}")

    def _guarded(self, action):
        """Runs an action with the busy state shown; what goes wrong is said in the page."""
        self._say("Busy: making sound …")
        try:
            action()
        except (ValueError, OSError) as error:
            self._say(f"<b>{html.escape(str(error))}</b>", "alert")

    def _say(self, text, role="status"):
        self.status.value = f'<div role="{role}" aria-live="polite">{text}</div>'

    def _silently(self, action):
        before, self.quiet = self.quiet, True
        try:
            action()
        finally:
            self.quiet = before

    def _remember(self, settings):
        state = {key: widget.value for key, widget in self.knobs.items()}
        state |= {name: getattr(self, name).value for name in ("seed", "second", "source", "drawn_as", "on_map")}
        label = f"{self.clip.genre or 'clip'}, seed {settings['seed']}, {settings['tempo']:g} a min"
        turned = {**settings.get("sliders", {}), **settings.get("dimensions", {})}
        label += "".join(f", {name} {value:+g}" for name, value in turned.items())
        self.history = [*self.history, (label, state)][-NUM_REMEMBERED:]
        self.past.options = [(f"{k + 1}: {text}", k) for k, (text, _) in reversed(list(enumerate(self.history)))]

    def _set(self, state):
        def assign():
            for key, value in state.items():
                (self.knobs[key] if key in self.knobs else getattr(self, key)).value = value

        self._silently(assign)
        self.refresh()

    def recall(self):
        """Sets every control as it was for the chosen line of the history."""
        if self.past.value is not None and self.past.value >= 0:
            self._set(self.history[self.past.value][1])

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
        state = {("mix", name): 0.5 * (name in chosen) for name in names}
        state |= {"seed": random.randrange(10**6), "tempo": float(random.randrange(80, 161, 4)), "on_map": False}
        self._set(state | {"source": SEED} | ({"drawn_as": chosen[0]} if chosen else {}))

    def keep(self, name):
        """Remembers the latent and the genre weights of the sound as A or B."""
        self.kept[name] = (self.clip.latent, self.settings().get("mix"))
        self._say(f"Kept as {name}: {self.clip.genre or 'clip'}")

    def morph(self):
        """One long clip that walks from A to B along the sphere."""
        self._guarded(self._morph)

    def _morph(self):
        if {"A", "B"} - set(self.kept):
            raise ValueError("Keep two sounds first, one as A and one as B.")
        latents, mixes = zip(self.kept["A"], self.kept["B"], strict=True)
        weights = np.stack([playing.mix_weights(self.model, mix) for mix in mixes]) if self.model.num_genres else None
        samples = walk(self.model, np.stack(latents), weights, self.beats.value, self.knobs["tempo"].value)
        self.journey.value = wav_bytes(samples, self.config)
        self._say(f"Ready: morph of {len(samples) / self.config.sample_rate:.1f} s, in the player below its button")

    def _uploaded(self):
        def take():
            path = own_clip.keep_upload(self.upload.value, self.folder / "uploads")
            if path:
                self._read_own(path)

        self._guarded(take)

    def read_own(self, path):
        """Encodes a file and starts from it."""
        self._guarded(lambda: self._read_own(path))

    def _read_own(self, path):
        clip = own_clip.read_clip(path, self.config, self.start.value)
        self.own = (str(path), self.start.value, clip)
        self.own_latent = self.model.encode(self.config.scale(clip.log_mel[None]))[0][0]
        beat = "beats tracked" if clip.is_tracked else "no steady beat found: cut on a grid of 120 a minute"
        self.about_own.value = html.escape(f"{clip.name}: {clip.tempo:.1f} beats a minute, {beat}")
        self._silently(lambda: self.source.set_trait("options", [SEED, OWN]))
        self._set({"source": OWN, "tempo": float(np.clip(round(clip.tempo), 60, 200)), "on_map": False})

    def compare(self):
        """Makes the sound to compare with: of the own clip where it is played, else of the nearest real clip."""
        self._guarded(self._compare)

    def _compare(self):
        if self.source.value == OWN:
            real = self.own[2]
        else:
            row = self.controls.nearest(self.clip.latent @ self.controls.axes.T)
            real = own_clip.real_clip(self.controls.table.iloc[row].to_dict(), self.config)
        samples, scaled = real.samples, self.config.scale(real.log_mel[None])
        if self.comparison.value != COMPARISONS[0]:
            level = real.log_mel
            if self.comparison.value == COMPARISONS[2]:
                weights = playing.mix_weights(self.model, self.settings().get("mix"))
                rebuilt = self.model.decode(self.model.encode(scaled)[0], None if weights is None else weights[None])
                level = self.config.unscale(rebuilt)[0]
            samples = to_audio(level, self.config, real.tempo)
        self.compared.value = wav_bytes(samples, self.config)
        self.about_compared.value = html.escape(f"{self.comparison.value}: {real.name}, {real.tempo:.1f} beats a minute")
        self._say("Ready: the sound to compare with")

    def save(self):
        """Writes the clip as WAV and MP3 to the folder and shows links to both."""
        def write():
            self.folder.mkdir(parents=True, exist_ok=True)
            stem = f"{'_'.join((self.clip.genre or 'clip').replace('%', '').replace(',', '').split())}_seed{self.clip.seed}"
            for ending in ("wav", "mp3"):
                write_audio(self.folder / f"{stem}.{ending}", self.clip.samples, self.config)
            self.links.value = download_links(self.clip.samples, self.config, stem)
            self._say("Ready: saved, links below the button")

        self._guarded(write)

    def _ipython_display_(self):
        from IPython.display import display

        page = static_page(self.clip, self.config, self.picture.value, self.code_line())
        view = {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}
        display(
            {"application/vnd.jupyter.widget-view+json": view, "text/html": page, "text/plain": "Studio"}, raw=True
        )


def pretrained_studio(name="known_cvae", folder=None):
    """The studio on a shipped model, with the controls that ship with it (measured anew when they are missing)."""
    from cvae_music.controls import fit_controls, shipped_controls
    from cvae_music.pretrained import load_pretrained

    model = load_pretrained(name)
    fitted = shipped_controls(model)
    if fitted is None:
        from cvae_music.datasets import open_collection
        from cvae_music.features import build_features
        from cvae_music.session import cache_folder

        fitted = fit_controls(model, build_features(open_collection("known"), model.audio_config, cache_folder()))
    return Studio(model, fitted, folder)
