"""Composes short loops in six genres from factors that do not depend on the genre.

It is to music what dSprites is to images: because every factor is known,
disentanglement can be measured.
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import scipy.fft

from known_music.arrangements import ARRANGEMENTS
from known_music.drums import render_drum
from known_music.instruments import render_note

GENRES = tuple(ARRANGEMENTS)
# Lowest value, highest value, kind of each factor; categorical ones are whole numbers.
FACTOR_RANGES = {
    "tempo": (80.0, 160.0),  # beats a minute
    "key": (0, 11),  # semitones above C
    "mode": (0, 1),  # 0 minor, 1 major
    "brightness": (0.0, 1.0),  # tilt of the spectrum
    "density": (0.0, 1.0),  # share of the optional notes that play
    "progression": (0, 3),  # which of the genre's chord sequences
    "pattern": (0, 2),  # which of the genre's rhythms
    "register": (0, 1),  # melody low or an octave higher
    "level_db": (-23.0, -17.0),  # RMS, relative to full scale
}
FACTORS = tuple(FACTOR_RANGES)
SCALES = ((0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 5, 7, 9, 11))
# Root, third, fifth and octave in scale steps above the root of the chord.
CHORD_TONES = (0, 2, 4, 7)
# Melodies: scale steps above the root of the chord, one for each eighth of a bar.
MOTIFS = (
    (0, 1, 2, 4, 4, 2, 1, 0),
    (4, 4, 2, 0, 2, 2, 1, 0),
    (0, 2, 4, 2, 7, 4, 2, 4),
    (4, 3, 2, 1, 0, 1, 2, 4),
    (2, 2, 4, 4, 2, 0, 0, 2),
    (7, 4, 2, 4, 0, 2, 4, 2),
)
# Delay in seconds and share of each echo of the room.
ROOM_ECHOES = (
    (0.013, 0.5),
    (0.029, 0.42),
    (0.047, 0.36),
    (0.083, 0.3),
    (0.127, 0.24),
    (0.179, 0.18),
)
# A clip's highest peak is at most about this many times its RMS.
CREST_LIMIT = 4.0


def draw_factors(num_clips: int, seed: int = 0) -> pd.DataFrame:
    """Draws the factors of a collection, independently of the genre.

    Args:
        num_clips: Number of clips; the genres take turns.
        seed: Whole number; the same seed gives the same table on every platform.

    Returns:
        DataFrame with one row a clip and the columns `genre`, `seed` and `FACTORS`.

    Raises:
        ValueError: If `num_clips` is not a positive whole number.

    Example:
        >>> table = draw_factors(12)
        >>> table["genre"].iloc[:3].tolist()
        ['house', 'rock', 'jazz']
        >>> table["tempo"].between(80.0, 160.0).all().item()
        True
    """
    if not isinstance(num_clips, numbers.Integral) or num_clips < 1:
        raise ValueError(
            f"draw_factors got num_clips={num_clips!r}; expected a whole number of at "
            "least 1."
        )
    rng = np.random.Generator(np.random.PCG64(seed))
    table: dict[str, Any] = {
        "genre": np.resize(GENRES, num_clips),
        "seed": rng.integers(0, 2**31, num_clips),
    }
    for name, (low, high) in FACTOR_RANGES.items():
        if isinstance(low, int):
            table[name] = rng.integers(low, int(high) + 1, num_clips)
        else:
            table[name] = low + (high - low) * rng.random(num_clips)
    return pd.DataFrame(table)


def compose(
    row: Mapping[str, Any] | pd.Series, sample_rate: int = 22050, num_beats: int = 8
) -> np.ndarray:
    """Composes one clip and returns its samples.

    Args:
        row: Dict or pandas row with `genre`, `seed` and the `FACTORS`, as
            `draw_factors` makes them.
        sample_rate: In Hz.
        num_beats: Length in beats, a multiple of 4.

    Returns:
        Float32 array, shape `(round(num_beats * 60 / tempo * sample_rate),)`. It loops
        without a seam: what rings past the end is heard at the beginning.

    Raises:
        ValueError: If the genre is unknown, a factor is missing or out of range, or
            `num_beats` is no multiple of 4.

    Example:
        >>> row = draw_factors(1).iloc[0]
        >>> samples = compose(row, sample_rate=8000, num_beats=4)
        >>> len(samples) == round(4 * 60 / row["tempo"] * 8000)
        True
        >>> samples.dtype
        dtype('float32')
    """
    row = _check_row(row, sample_rate, num_beats)
    arrangement = ARRANGEMENTS[row["genre"]]
    rng = np.random.Generator(np.random.PCG64(row["seed"]))
    motifs = rng.integers(0, len(MOTIFS), num_beats // 4)
    num_samples = round(num_beats * 60.0 / row["tempo"] * sample_rate)
    drums = np.zeros(num_samples, np.float32)
    pitched = np.zeros(num_samples, np.float32)
    for part in arrangement.parts:
        bus = drums if part.role == "drum" else pitched
        onsets = _onsets(part, arrangement, row, num_beats, rng)
        if part.echo_db is not None:
            bus = np.zeros(num_samples, np.float32)
        _play(bus, part, arrangement, onsets, row, motifs, sample_rate, num_beats)
        if part.echo_db is not None:
            echo = round(0.75 * num_samples / num_beats)
            pitched += bus + 10.0 ** (part.echo_db / 20.0) * np.roll(bus, echo)
    if arrangement.pump:
        pitched *= _pump(num_samples, num_beats, arrangement.pump)
    return _master(drums + pitched, arrangement, row, sample_rate)


def _check_row(row, sample_rate, num_beats):
    """A copy of a row with plain numbers; refuses what cannot be composed."""
    row = dict(row)
    if row.get("genre") not in ARRANGEMENTS:
        raise ValueError(
            f"compose got genre={row.get('genre')!r}; expected one of {GENRES}."
        )
    for name, (low, high) in {"seed": (0, 2**63 - 1), **FACTOR_RANGES}.items():
        value = row.get(name)
        if value is None:
            raise ValueError(
                f"compose got no {name!r}; expected the columns "
                f"{('genre', 'seed', *FACTORS)}. Add it to the row."
            )
        whole = isinstance(low, int)
        kind = "whole number" if whole else "number"
        is_number = isinstance(value, numbers.Real)
        if not is_number or not low <= value <= high or (whole and value % 1):
            raise ValueError(
                f"compose got {name}={value!r}; expected a {kind} from {low} to {high}."
                " Clip it to that range."
            )
        row[name] = int(value) if whole else float(value)
    if not isinstance(num_beats, numbers.Integral) or num_beats < 4 or num_beats % 4:
        raise ValueError(
            f"compose got num_beats={num_beats!r}; expected a multiple of 4, since a "
            "bar has four beats."
        )
    if not sample_rate >= 8000:
        raise ValueError(
            f"compose got sample_rate={sample_rate!r}; expected at least 8000 Hz."
        )
    return row


def _onsets(part, arrangement, row, num_beats, rng):
    """List of `(step, steps until the next note, velocity)` over the whole clip."""
    rhythm = part.rhythms[row["pattern"] % len(part.rhythms)]
    num_steps = num_beats * arrangement.steps_per_beat
    # Drawn for every step, played or not, so that the density leaves the other notes as
    # they were.
    feeling = rng.random(num_steps)
    allowed = 1.0 + 8.0 * row["density"]
    steps = []
    for step in range(num_steps):
        symbol = rhythm[step % len(rhythm)]
        if symbol != "." and int(symbol) <= allowed:
            steps.append(step)
    # The last note lasts until the first one of the next round.
    next_steps = steps[1:] + [step + num_steps for step in steps[:1]]
    onsets = []
    for step, following in zip(steps, next_steps, strict=True):
        accent = 1.0 if step % arrangement.steps_per_beat == 0 else 0.85
        onsets.append((step, following - step, accent * (0.92 + 0.16 * feeling[step])))
    return onsets


def _play(bus, part, arrangement, onsets, row, motifs, sample_rate, num_beats):
    """Adds the notes of a part to a bus."""
    samples_per_step = len(bus) / (num_beats * arrangement.steps_per_beat)
    gain = 10.0 ** (part.level_db / 20.0)
    for step, until_next, velocity in onsets:
        start = round(step * samples_per_step)
        if part.role == "drum":
            hit = render_drum(part.sound, sample_rate)
            _add_round(bus, hit, start, gain * velocity)
            continue
        # No note is held into the next chord, which comes every two beats.
        until_chord = 2.0 - step / arrangement.steps_per_beat % 2.0
        until_note = until_next / arrangement.steps_per_beat
        beats = min(part.gate or 2.0, until_note, until_chord)
        gate = round(beats * arrangement.steps_per_beat * samples_per_step)
        for pitch in _pitches(part, arrangement, step, row, motifs):
            note = render_note(part.sound, pitch, gate, sample_rate)
            _add_round(bus, note, start, gain * velocity)


def _pitches(part, arrangement, step, row, motifs):
    """MIDI note numbers of a part at a step."""
    beat = step / arrangement.steps_per_beat
    progression = arrangement.progressions[row["progression"]]
    root = progression[int(beat // 2) % len(progression)]
    # Roots stay around the tonic, so that chords move by small steps.
    if root > 4:
        root = root - 7
    tonic = 60 + row["key"] + 12 * part.octave
    if part.role == "chord":
        degrees = [_fold(root + tone) for tone in arrangement.chord]
    elif part.role == "tones":
        tone = part.tones[int(beat % 4.0 * len(part.tones) / 4.0)]
        degrees = [root + CHORD_TONES[tone]]
    else:
        tonic += 12 * row["register"] - 12
        motif = MOTIFS[motifs[int(beat // 4)]]
        # Notes between two eighths anticipate the later one.
        degrees = [root + motif[int(2.0 * beat + 0.5) % 8]]
    scale = SCALES[row["mode"]]
    return [tonic + 12 * (degree // 7) + scale[degree % 7] for degree in degrees]


def _fold(degree):
    """Moves a chord tone by octaves into the seven scale steps around the tonic."""
    return (degree + 2) % 7 - 2


def _add_round(bus, wave, start, gain):
    """Adds a note; what does not fit before the end goes on at the beginning."""
    done = 0
    while done < len(wave):
        at = (start + done) % len(bus)
        length = min(len(wave) - done, len(bus) - at)
        bus[at : at + length] += gain * wave[done : done + length]
        done += length


def _pump(num_samples, num_beats, depth):
    """Gain that dips at each beat and recovers, as a compressor keyed by the kick."""
    beats_a_sample = np.float32(num_beats / num_samples)
    phase = np.arange(num_samples, dtype=np.float32) * beats_a_sample % 1
    dip = 0.5 + 0.5 * np.cos(np.pi * np.minimum(phase / 0.6, 1.0))
    return (1.0 - depth * dip).astype(np.float32)


def _master(mix, arrangement, row, sample_rate):
    """Room, tilt, peak limit and level."""
    wet = mix.copy()
    if arrangement.room:
        for delay, share in ROOM_ECHOES:
            wet += arrangement.room * share * np.roll(mix, round(delay * sample_rate))
    wet = _tilt(wet, -4.0 + 5.5 * row["brightness"] + arrangement.tilt, sample_rate)
    wet *= 1.0 / _rms(wet)
    wet = CREST_LIMIT * np.tanh(wet / CREST_LIMIT)
    wet *= 10.0 ** (row["level_db"] / 20.0) / _rms(wet)
    return wet.astype(np.float32)


def _rms(samples):
    return np.sqrt(np.mean(np.square(samples, dtype=np.float64)))


def _tilt(loop, slope, sample_rate):
    """Turns the spectrum of a loop around 1 kHz by `slope` in dB an octave."""
    # The loop is lengthened by its own other end, longer than the filter rings: the
    # seam stays closed, and the length can be one that the transform is fast at.
    edge = sample_rate // 5
    length = scipy.fft.next_fast_len(len(loop) + 2 * edge, real=True)
    longer = np.take(loop, np.arange(-edge, length - edge), mode="wrap")
    spectrum = scipy.fft.rfft(longer)
    frequency = scipy.fft.rfftfreq(length, 1.0 / sample_rate)
    octaves = np.log2(np.maximum(frequency, 40.0) / 1000.0)
    gain = np.clip(octaves, -3.5, 3.3) * (slope / 20.0)
    spectrum *= 10.0 ** gain.astype(np.float32)
    spectrum[0] = 0.0
    return scipy.fft.irfft(spectrum, length)[edge : edge + len(loop)]
