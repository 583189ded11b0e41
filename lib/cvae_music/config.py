"""The constants of the feature extraction, in one frozen dataclass."""

import dataclasses
import hashlib
import json
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

GRIDS = ("beats", "seconds")
HIGHEST_RATE = 200_000  # Hz; libsndfile crashes on Ogg of a higher rate
LARGEST_SIZE = 2**20  # of the other whole numbers: a slip must not fill the memory
# `check_clip` takes levels beyond these margins for scaled values, power or samples.
SCALED_DB = 3.0  # on both sides of 0 dB, for all levels of a clip
ABOVE_DB = 40.0  # above the ceiling
BELOW_DB = 100.0  # below the floor


def check_number(
    name: str,
    value: Any,
    least: float = 0,
    most: float = np.inf,
    kind: Any = numbers.Integral,
) -> Any:
    """Checks the type and the range of a number, and returns it.

    Args:
        name: Name of the argument, for the message.
        value: The value to check.
        least: Smallest value allowed.
        most: Largest value allowed.
        kind: `numbers.Integral` for whole numbers, `numbers.Real` for any number.

    Returns:
        `value`, unchanged.

    Raises:
        ValueError: If the value is of another kind, a bool, NaN, infinite or out of
            range.

    Example:
        >>> check_number("seed", 3)
        3
        >>> check_number("seed", -1)
        Traceback (most recent call last):
        ValueError: Got seed=-1; expected a whole number of at least 0.
    """
    is_number = isinstance(value, kind) and not isinstance(value, bool)
    if is_number and least <= value <= most and value != np.inf:
        return value
    what = "whole number" if kind is numbers.Integral else "number"
    bounds = f"from {least:,} to {most:,}"
    if most == np.inf:
        bounds = f"of at least {least:,}"
    raise ValueError(f"Got {name}={value!r}; expected a {what} {bounds}.")


@dataclasses.dataclass(frozen=True)
class AudioConfig:
    """Holds the constants of the log-mel features; each cache and model saves it.

    A clip is a matrix of shape `(num_frames, n_mels)`, in dB relative to full scale.
    The reference is a sine wave of amplitude 1, which has power 1 (0 dB) in its bin of
    the spectrum. With the default constants the mel band around it reads 0 dB to within
    1.7 dB, depending on how the triangles of the bands fall on the bins. Floor and
    ceiling are never measured from a file, so a level means the same in every clip.

    Args:
        sample_rate: Samples a second of all audio inside the library, in Hz.
        n_fft: Length of the analysis window, in samples.
        hop_length: Step of the fixed grid, in samples. On the beat grid the step
            follows the beat instead.
        n_mels: Number of mel bands.
        fmin: Lower edge of the lowest band, in Hz.
        fmax: Upper edge of the highest band, in Hz.
        num_frames: Frames in a clip.
        frames_per_beat: Frames in a beat (beat grid only).
        grid: `"beats"` counts time in beats, `"seconds"` in steps of `hop_length`.
        floor_db: Lowest level, in dB; lower ones are raised to it.
        ceiling_db: Highest level, in dB; higher ones are lowered to it.

    Raises:
        ValueError: If a value is out of range or the values contradict each other.

    Example:
        >>> config = AudioConfig(n_mels=64)
        >>> config.shape
        (128, 64)
        >>> config.scale([-70.0, 0.0])
        array([-1.,  1.], dtype=float32)
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
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type is int:
                is_rate = field.name == "sample_rate"
                most = HIGHEST_RATE if is_rate else LARGEST_SIZE
                value = int(check_number(field.name, value, 1, most))
            elif field.type is float:
                value = float(
                    check_number(field.name, value, -1_000_000, 1_000_000, numbers.Real)
                )
            object.__setattr__(self, field.name, value)  # the dataclass is frozen
        if self.grid not in GRIDS:
            raise ValueError(
                f"AudioConfig got grid={self.grid!r}; expected one of {GRIDS}."
            )
        if not 0 <= self.fmin < self.fmax <= self.sample_rate / 2:
            raise ValueError(
                f"AudioConfig got fmin={self.fmin}, fmax={self.fmax} at sample_rate="
                f"{self.sample_rate}; expected 0 <= fmin < fmax <= sample_rate / 2."
            )
        if not self.floor_db < self.ceiling_db:
            raise ValueError(
                f"AudioConfig got floor_db={self.floor_db}, ceiling_db="
                f"{self.ceiling_db}; expected floor_db below ceiling_db."
            )
        if self.grid == "beats" and self.num_frames % self.frames_per_beat:
            raise ValueError(
                f"AudioConfig got num_frames={self.num_frames}, frames_per_beat="
                f"{self.frames_per_beat}; expected a whole number of beats. Make "
                "num_frames a multiple of frames_per_beat."
            )

    @property
    def num_beats(self) -> int:
        """Number of beats in a clip (beat grid only)."""
        return self.num_frames // self.frames_per_beat

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of one clip, `(num_frames, n_mels)`."""
        return (self.num_frames, self.n_mels)

    @property
    def db_per_unit(self) -> float:
        """Decibels in one unit of the scaled features."""
        return (self.ceiling_db - self.floor_db) / 2.0

    def seconds(self, tempo: float = 110.0) -> float:
        """Returns the length of a clip in seconds.

        Args:
            tempo: Beats a minute; without effect on the grid in seconds.

        Raises:
            ValueError: On the beat grid, if the tempo is no number from 1 to 10,000.
        """
        if self.grid == "beats":
            check_number("tempo", tempo, 1, 10_000, numbers.Real)
            return self.num_beats * 60.0 / float(tempo)
        return self.num_frames * self.hop_length / self.sample_rate

    def scale(self, log_mel_db: np.ndarray | list) -> np.ndarray:
        """Maps dB to [-1, 1]: the floor to -1, the ceiling to 1.

        Args:
            log_mel_db: Levels in dB, any shape. They are not clipped.

        Returns:
            Float32 array, same shape.

        Raises:
            ValueError: If an array of two or more axes has no level below -2, as
                scaled clips and amplitudes have not. All zeros pass.
        """
        level = np.asarray(log_mel_db, np.float32)
        if level.ndim > 1 and level.any() and level.min() >= -2.0:
            raise ValueError(
                f"scale got no level below {level.min():.1f}, as of scaled clips or of "
                "amplitudes; expected dB. A model takes scaled clips as they are; "
                "AudioConfig.unscale makes dB of them."
            )
        return (level - self.floor_db) * (1.0 / self.db_per_unit) - 1.0

    def unscale(self, scaled: np.ndarray | list) -> np.ndarray:
        """Maps [-1, 1] back to dB, clipped to floor and ceiling.

        Args:
            scaled: Scaled levels, any shape.

        Returns:
            Float32 array, same shape.

        Raises:
            ValueError: If the mean of an array of two or more axes is below -10: it
                is in dB already, and clipping would leave nothing but the floor.
        """
        scaled = np.asarray(scaled, np.float32)
        # A decoder may overshoot far, but not on average.
        if scaled.ndim > 1 and scaled.size and scaled.mean() < -10.0:
            raise ValueError(
                f"unscale got a mean level of {scaled.mean():.1f}, as of dB; expected "
                "[-1, 1]. Use it as it is, in dB."
            )
        level = (scaled + 1.0) * self.db_per_unit + self.floor_db
        return np.clip(level, self.floor_db, self.ceiling_db)

    def check_scaled(self, clips: Any, what: str) -> None:
        """Checks that clips given to a model are scaled, not in dB.

        Args:
            clips: Array or tensor of clips, any shape. Lists and data sets pass.
            what: Name of the method that got them, for the message.

        Raises:
            ValueError: If a value is beyond [-10, 10], or NaN.
        """
        # Not `> 10`, which is False for NaN.
        if hasattr(clips, "__array__") and not np.abs(clips).max(initial=0.0) <= 10.0:
            raise ValueError(
                f"{what} got values from {np.min(clips):.1f} to {np.max(clips):.1f}; "
                "expected [-1, 1]. Use AudioConfig.scale on dB."
            )

    def check_clip(self, log_mel_db: np.ndarray | list, what: str) -> np.ndarray:
        """Checks that levels are one clip in dB, and returns them as float32.

        Args:
            log_mel_db: Float array, shape `(frames, n_mels)`, any number of frames.
            what: Name of the function that got it, for the message.

        Returns:
            Float32 array, same shape.

        Raises:
            ValueError: If the shape is another, a level is not finite, or the levels
                are clearly not in dB.
        """
        level = np.asarray(log_mel_db, np.float32)
        if level.shape[1:] != (self.n_mels,) or len(level) == 0:
            raise ValueError(
                f"{what} got shape {level.shape}; expected (frames, {self.n_mels}), "
                "one clip in dB. Pass one clip at a time, and use AudioConfig.unscale "
                "on what a model returns."
            )
        if not np.isfinite(level).all():
            raise ValueError(
                f"{what} got NaN or infinite levels; expected dB. Look for a division "
                "by zero before it."
            )
        low = level.min()
        high = level.max()
        # With a floor near 0 dB, levels and scaled values cannot be told apart.
        is_scaled = -SCALED_DB <= low and high <= SCALED_DB and self.floor_db < -10.0
        is_below = low < self.floor_db - BELOW_DB
        if is_scaled or is_below or high > self.ceiling_db + ABOVE_DB:
            raise ValueError(
                f"{what} got levels from {low:.2f} to {high:.2f}, not from "
                f"{self.floor_db} to {self.ceiling_db}; expected dB. Use "
                "AudioConfig.unscale on what a model returns: pass config.unscale(...) "
                "of it. (config.scale is the way back.)"
            )
        return level

    def get_config(self) -> dict[str, Any]:
        """Returns the constants as a dict of plain values, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "AudioConfig":
        """Builds a configuration from the dict that `get_config` returns.

        Args:
            values: Dict from name to value; names that are missing get the default.

        Raises:
            ValueError: If a name is unknown, or a value is out of range.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        if unknown := sorted(set(values) - set(known)):
            raise ValueError(
                f"AudioConfig got {str(values)[:80]!r} with unknown fields {unknown}, "
                f"perhaps of another version; expected some of {known}."
            )
        return cls(**values)

    def key(self) -> str:
        """Returns ten hexadecimal digits that change when any constant changes."""
        text = json.dumps(self.get_config(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def check_same(self, other: "AudioConfig", where: object) -> None:
        """Checks that another configuration equals this one.

        Args:
            other: The `AudioConfig` found.
            where: What `other` belongs to, for the message.

        Raises:
            ValueError: If any constant differs; the message names each of them.
        """
        found = other.get_config()
        differing = [
            f"{name}: {found[name]} there, {value} here"
            for name, value in self.get_config().items()
            if value != found[name]
        ]
        if differing:
            raise ValueError(
                f"{where} was made with another AudioConfig ({'; '.join(differing)}). "
                "Pass the same AudioConfig, or make it again with the new one."
            )

    def check_compatible(
        self, features: Any, genres: Sequence[str] = (), what: str = "The model"
    ) -> None:
        """Checks that features fit a model or judge that has this configuration.

        Args:
            features: `FeatureSet`.
            genres: Genre names of the model, in order; empty for a model without a
                label, which takes any genres.
            what: What the configuration belongs to, for the message.

        Raises:
            ValueError: If they are no `FeatureSet`, or have another `AudioConfig`,
                other genres, or the same genres in another order.
        """
        if not hasattr(features, "genres"):
            raise ValueError(
                f"Got {type(features).__name__} as features; expected a FeatureSet, as "
                "build_features returns it. Arrays are for model.fit(x, genre)."
            )
        self.check_same(features.config, where="The FeatureSet")
        if genres and list(genres) != list(features.genres):
            raise ValueError(
                f"{what} has {list(genres)}, the features {list(features.genres)}; "
                "expected the same, in one order. Pass the features it was made with, "
                "or train it anew."
            )
