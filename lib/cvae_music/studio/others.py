"""The other sounds of the studio: long morphs, clips of one's own, real clips to compare with."""

import html
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cvae_music import generation as playing
from cvae_music.audio.inversion import to_audio
from cvae_music.data import clips
from cvae_music.generation import mixed_log_mel
from cvae_music.studio import views
from cvae_music.studio.panel import COMPARISONS, SEED, Panel, in_turn
from cvae_music.studio.views import save_sound, wav_bytes

OWN = "my own clip"


class Own(NamedTuple):
    """A clip of one's own: where it was read from and what it became."""

    path: Path
    start: float
    clip: clips.OwnClip
    latent: np.ndarray


def as_arguments(settings, own):
    """Settings as the arguments of a call, in Python; an own clip by its file."""
    parts = {name: repr(value) for name, value in settings.items()}
    if "start" in parts:
        here = Path.cwd()
        path = own.path.relative_to(here) if own.path.is_relative_to(here) else own.path
        parts["start"] = f"encode_clip(model, {path.as_posix()!r}, {own.start!r})"
    return ", ".join(f"{name}={value}" for name, value in parts.items())


class OtherSounds(Panel):
    """What the studio plays beside its clip; `Studio` inherits from this."""

    def keep(self, name):
        """Remembers the settings of the sound as A or B."""

        def remember():
            settings = {key: value for key, value in self.made.items() if key != "tempo"}
            self.kept[name] = settings, as_arguments(settings, self.made_from)
            self._say(f"Kept as {name}: {self.clip.genre or 'clip'}")

        self._guarded(remember)

    def morph(self):
        """One long clip that walks from A to B along the sphere."""
        self._guarded(self._morph)

    def _morph(self):
        if {"A", "B"} - set(self.kept):
            raise ValueError("Nothing kept yet as A, or as B. Keep two sounds first, one as A and one as B.")
        (first, first_text), (second, second_text) = self.kept["A"], self.kept["B"]
        length = {"num_beats": self.beats.value, "tempo": self.knobs["tempo"].value}
        self.walked = playing.make_morph(self.model, self.controls, first, second, **length)
        self.journey.play(wav_bytes(self.walked, self.config))
        text = ", ".join(f"{name}={value}" for name, value in length.items())
        self.journey_code.value = f"samples = make_morph(model, controls, dict({first_text}), dict({second_text}), {text})"
        labels = [playing.mix_label(self.model, playing.locate(self.model, self.controls, **end)[1]) for end in (first, second)]
        seconds = len(self.walked) / self.config.sample_rate
        self.about_journey.value = html.escape(f"{' to '.join(filter(None, labels)) or 'A to B'}, {seconds:.1f} s")
        self._say(f"Ready: morph of {seconds:.1f} s, in the player below its button")

    def save_morph(self):
        """Writes the morph as WAV and MP3 to the folder and shows links to both."""

        def write():
            if self.walked is None:
                raise ValueError("There is no morph to save yet. Press Morph A to B first.")
            self.about_journey.value = self._write(self.walked, "morph")

        self._guarded(write)

    def _write(self, samples, stem):
        path, links = save_sound(samples, self.config, self.folder, stem)
        folder = path.parent.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path.parent
        self._say(f"Ready: saved as {path.stem}.wav and .mp3 in {folder}, links beside the button")
        return links

    @in_turn
    def take_upload(self):
        """Keeps what was uploaded and starts from it; then empties the widget, so that the same file can come again."""

        def take():
            self._silently(lambda: self.upload.set_trait("value", type(value)()))
            self._read_own(views.keep_upload(value, self.folder / "uploads"), self.start.value)

        value = self.upload.value
        if value and not self.quiet:
            self._guarded(take, self.about_own)

    def read_own(self, path):
        """Encodes a file and starts from it."""
        self._guarded(lambda: self._read_own(path, self.start.value), self.about_own)

    @in_turn
    def take_path(self):
        """Starts from the file whose path was entered, unless it is played: the button may be answered before the field."""
        path = self.path.value.strip().strip("'\"")
        played = self.own and self.source.value == OWN and self.own.path == Path(path).expanduser()
        if not played:
            self.read_own(path)

    @in_turn
    def start_elsewhere(self):
        """Cuts the own clip anew where the start was moved."""
        if self.own and self.source.value == OWN and not self.quiet:
            self.read_own(self.own.path)

    def _read_own(self, path, start):
        path = clips.existing_file(path)
        clip = clips.read_clip(path, self.config, start)
        own = Own(path, start, clip, self.model.encode(self.config.scale(clip.log_mel[None]))[0][0])
        self._silently(lambda: self.source.set_trait("options", [SEED, OWN]))
        tempo = float(np.clip(round(clip.tempo), self.knobs["tempo"].min, self.knobs["tempo"].max))
        self._set({"own": own, "source": OWN, "tempo": tempo, "on_map": False, "share": 0.0})

    def _describe_own(self):
        clip = self.own.clip
        beat = "beats tracked" if clip.is_tracked else "no steady beat found: cut on a grid of 120 a minute"
        return html.escape(f"{clip.name}: {clip.tempo:.1f} beats a minute, {beat}")

    def _nearest_clip(self):
        row = self.controls.table.iloc[self.controls.nearest(self.clip.latent @ self.controls.axes.T)].to_dict()
        return clips.real_clip(row, self.config), row["genre"]

    def hear_nearest(self):
        """The real clip nearest to the cursor."""

        def play():
            real, _ = self._nearest_clip()
            self.nearest.play(wav_bytes(real.samples, self.config))
            self.about_nearest.value = html.escape(f"{real.name}, {real.tempo:.1f} beats a minute")
            self._say("Ready: the nearest clip, in the player below its button")

        self._guarded(play)

    def compare(self):
        """Makes the sound to compare with: of the own clip where it is played, else of the nearest real clip."""
        self._guarded(self._compare)

    def _compare(self):
        real, mix = (self.made_from.clip, self.made.get("mix")) if "start" in self.made else self._nearest_clip()
        samples = real.samples
        if self.comparison.value != COMPARISONS[0]:
            level = real.log_mel
            if self.comparison.value == COMPARISONS[2]:
                weights = playing.mix_weights(self.model, mix)
                latent = self.model.encode(self.config.scale(level[None]))[0]
                level = mixed_log_mel(self.model, latent, None if weights is None else weights[None])[0]
            samples = to_audio(level, self.config, real.tempo)
        self.compared.play(wav_bytes(samples, self.config))
        self.about_compared.value = html.escape(f"{self.comparison.value}: {real.name}, {real.tempo:.1f} beats a minute")
        self._say("Ready: the sound to compare with")
