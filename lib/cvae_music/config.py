"""What a network gets to hear: every constant of the feature extraction in one frozen place."""

import dataclasses
import hashlib
import json
import numbers
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

GRIDS = ("beats", "seconds")


def check_number(
    name: str,
    value: Any,
    least: float = 0,
    most: float = np.inf,
    kind: Any = numbers.Integral,
) -> Any:
    """The value, if it is a whole number from `least` to `most`, or with `kind=numbers.Real` any number.

    Raises:
        ValueError: If it is not; says so of `name`.
    """
    if (
        isinstance(value, bool)
        or not isinstance(value, kind)
        or not least <= value <= most
    ):
        what = "whole number" if kind is numbers.Integral else "number"
        bounds = f"of at least {least}" if most == np.inf else f"from {least} to {most}"
        raise ValueError(f"Got {name}={value!r}; expected a {what} {bounds}.")
    return value


@dataclasses.dataclass(frozen=True)
class AudioConfig:
    """Constants of the log-mel features, saved inside every cache and every model.

    A clip is a matrix of shape `(num_frames, n_mels)`, in dB relative to full scale: a sine wave
    of amplitude 1 reads 0 dB in its band. The constants are fixed, never measured from a file, so
    that a level means the same in every clip.

    Args:
        sample_rate: Samples a second of all audio inside the library, in Hz.
        n_fft: Length of the analysis window, in samples.
        hop_length: Step of the fixed grid and of the resynthesis, in samples. On the beat grid
            the analysis step follows the beat instead.
        n_mels: Number of mel bands.
        fmin: Lower edge of the lowest band, in Hz.
        fmax: Upper edge of the highest band, in Hz.
        num_frames: Frames in a clip.
        frames_per_beat: Frames in a beat (beat grid only).
        grid: `"beats"` counts time in beats, `"seconds"` in fixed steps of `hop_length`.
        floor_db: Levels below are raised to it.
        ceiling_db: Levels above are lowered to it.

    Raises:
        ValueError: If a value is out of range or the values contradict each other.
    """

    sample_rate: int = 22050
    n_fft: int = 2048
    hop_length: int = 512
    n_mels: int = 128
    fmin: float = 30.0
    fmax: float = 10000.0
    num_frames: int = 128
    frames_per_beat: int = 16
    grid: str = "beats"
    floor_db: float = -70.0
    ceiling_db: float = 0.0

    def __post_init__(self) -> None:
        for name in (
            "sample_rate",
            "n_fft",
            "hop_length",
            "n_mels",
            "num_frames",
            "frames_per_beat",
        ):
            most = (
                200_000 if name == "sample_rate" else 2**20
            )  # libsndfile crashes on Ogg of a higher rate
            object.__setattr__(
                self, name, int(check_number(name, getattr(self, name), 1, most))
            )
        for name in ("fmin", "fmax", "floor_db", "ceiling_db"):
            object.__setattr__(
                self,
                name,
                float(check_number(name, getattr(self, name), -1e6, 1e6, numbers.Real)),
            )
        if self.grid not in GRIDS:
            raise ValueError(
                f"AudioConfig got grid={self.grid!r}; expected one of {GRIDS}."
            )
        if not 0 <= self.fmin < self.fmax <= self.sample_rate / 2:
            found = (
                f"fmin={self.fmin}, fmax={self.fmax} at sample_rate={self.sample_rate}"
            )
            raise ValueError(
                f"AudioConfig got {found}; expected 0 <= fmin < fmax <= sample_rate / 2."
            )
        if not self.floor_db < self.ceiling_db:
            found = f"floor_db={self.floor_db}, ceiling_db={self.ceiling_db}"
            raise ValueError(
                f"AudioConfig got {found}; expected floor_db below ceiling_db."
            )
        if self.grid == "beats" and self.num_frames % self.frames_per_beat:
            found = (
                f"num_frames={self.num_frames}, frames_per_beat={self.frames_per_beat}"
            )
            raise ValueError(
                f"AudioConfig got {found}; expected a whole number of beats, the first a multiple."
            )

    @property
    def num_beats(self) -> int:
        """Beats in a clip."""
        return self.num_frames // self.frames_per_beat

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of one clip, `(num_frames, n_mels)`."""
        return (self.num_frames, self.n_mels)

    def seconds(self, tempo: float = 110.0) -> float:
        """Length of a clip in seconds; `tempo` (beats a minute) counts on the beat grid only."""
        if self.grid == "beats":
            return self.num_beats * 60.0 / float(tempo)
        return self.num_frames * self.hop_length / self.sample_rate

    def scale(self, log_mel_db: ArrayLike) -> np.ndarray:
        """Maps dB to [-1, 1], floor to -1 and ceiling to 1; float32, any shape."""
        span = self.ceiling_db - self.floor_db
        return (
            (np.asarray(log_mel_db, np.float32) - self.floor_db) * (2.0 / span) - 1.0
        ).astype(np.float32)

    def unscale(self, scaled: ArrayLike) -> np.ndarray:
        """Maps [-1, 1] back to dB, clipped to floor and ceiling; float32, any shape."""
        span = self.ceiling_db - self.floor_db
        level = (np.asarray(scaled, np.float32) + 1.0) * (span / 2.0) + self.floor_db
        return np.clip(level, self.floor_db, self.ceiling_db).astype(np.float32)

    @property
    def db_per_unit(self) -> float:
        """dB in one unit of the scaled features."""
        return (self.ceiling_db - self.floor_db) / 2.0

    def get_config(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The inverse of `get_config`.

        Raises:
            ValueError: If a name is unknown.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        if unknown := sorted(set(values) - set(known)):
            raise ValueError(
                f"AudioConfig got unknown fields {unknown}, of another version; expected {known}."
            )
        return cls(**values)

    def key(self) -> str:
        """Ten hexadecimal digits that change when any constant changes."""
        text = json.dumps(self.get_config(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def check_same(self, other: Self, where: object) -> None:
        """Refuses to mix features of two configurations.

        Args:
            other: The `AudioConfig` found.
            where: What `other` belongs to, for the message.

        Raises:
            ValueError: If any constant differs; names each of them.
        """
        mine, theirs = self.get_config(), other.get_config()
        differing = [
            f"{name}: {theirs[name]} there, {mine[name]} here"
            for name in mine
            if mine[name] != theirs[name]
        ]
        if differing:
            found = (
                f"{where} was made with another AudioConfig ({'; '.join(differing)})"
            )
            raise ValueError(
                f"{found}. Pass the same AudioConfig, or make it again with the new one."
            )

    def check_compatible(
        self, features: Any, genres: Sequence[str] = (), what: str = "The model"
    ) -> None:
        """Refuses features that are not those of a model or judge with this configuration.

        Args:
            features: `FeatureSet`.
            genres: Names of the genres it knows, in order; none for a model without a label.
            what: What it is, for the message.

        Raises:
            ValueError: If the features have another `AudioConfig`, or other genres or the same in another order.
        """
        self.check_same(features.config, where="The FeatureSet")
        if genres and list(genres) != list(features.genres):
            found = f"{what} has {list(genres)}, the features {list(features.genres)}; expected the same, in one order"
            raise ValueError(
                f"{found}. Pass the features it was made with, or train it anew."
            )
