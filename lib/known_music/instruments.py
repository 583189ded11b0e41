"""Pitched instruments: a table with one cycle, read at the pitch of the note.

A bright and a dark table are cross-faded while a note sounds, since the upper harmonics
of real strings and filters fade before the lower ones.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

# Long enough to read the nearest entry: rounding noise is about 60 dB below the note.
TABLE_BITS = 13
TABLE_SIZE = 2**TABLE_BITS
# The same ceiling at every sample rate, so that a note keeps its timbre.
HIGHEST_HARMONIC_HZ = 10000.0
VIBRATO_HZ = 5.5


@dataclasses.dataclass(frozen=True)
class Instrument:
    """Describes how a note of an instrument sounds.

    Args:
        spectrum: Key of `SPECTRA`: the harmonics at the start of the note.
        attack: Time to full level, in seconds.
        decay: Time constant of the fall to `sustain`, in seconds.
        sustain: Level that is held, as a share of the peak level.
        release: Time from the end of the note to silence, in seconds.
        damping: Time constant in which the harmonics above `cutoff` fade, in seconds;
            0 keeps them.
        cutoff: Corner of the dark sound that is left after the damping, in Hz.
        vibrato: Depth in cents.
        transpose: Semitones added to the pitch of the table.
    """

    spectrum: str
    attack: float = 0.004
    decay: float = 0.5
    sustain: float = 0.0
    release: float = 0.06
    damping: float = 0.0
    cutoff: float = 700.0
    vibrato: float = 0.0
    transpose: int = 0


def _saw(k, f0):
    return 1.0 / k


def _pulse(width):
    def spectrum(k, f0):
        return np.sin(np.pi * k * width) / k

    return spectrum


def _triangle(k, f0):
    return np.where(k % 2 == 1, (-1.0) ** ((k - 1) // 2) / k**2, 0.0)


def _plucked(position, softness):
    """A string released at `position` of its length, low-passed at `softness` Hz."""

    def spectrum(k, f0):
        return np.sin(np.pi * k * position) / k / (1.0 + (k * f0 / softness) ** 2)

    return spectrum


def _bowed(k, f0):
    # A sawtooth seen through a wooden body: weaker below 250 Hz, softer above 3 kHz.
    frequency = k * f0
    body = 0.5 + 1.0 / (1.0 + ((frequency - 500.0) / 350.0) ** 2)
    return 1.0 / k * body / (1.0 + (frequency / 3500.0) ** 2)


def _brass(k, f0):
    # A mute leaves one strong resonance, here around 1.5 kHz.
    frequency = k * f0
    mute = 0.35 + 1.0 / (1.0 + ((frequency - 1500.0) / 600.0) ** 2)
    return 1.0 / k**0.8 * mute / (1.0 + (frequency / 4000.0) ** 2)


def _organ(k, f0):
    drawbars = np.zeros(16)
    drawbars[[0, 1, 2, 3, 5, 7]] = [1.0, 0.9, 0.6, 0.45, 0.2, 0.15]
    return np.where(k <= 16, drawbars[np.minimum(k, 16) - 1], 0.0)


def _round_bass(k, f0):
    return 1.0 / k**2.4


@functools.lru_cache(maxsize=2)
def _overdriven(voices):
    """Harmonics of `voices` (ratios to the fundamental) after a tube-like clipping."""
    phase = 2.0 * np.pi * np.arange(TABLE_SIZE) / TABLE_SIZE
    clean = np.zeros(TABLE_SIZE)
    for voice in voices:
        clean += np.sin(voice * phase + 0.7) + 0.5 * np.sin(2 * voice * phase + 0.3)
    return np.fft.rfft(np.tanh(2.5 * clean + 0.35)) / TABLE_SIZE


def _guitar(voices):
    def spectrum(k, f0):
        # Clipped once in the table, so its overtones stop at the ceiling instead of
        # folding back.
        cabinet = 1.0 / (1.0 + (k * f0 / 4000.0) ** 4)
        return _overdriven(voices)[k] * cabinet * 1j

    return spectrum


SPECTRA = {
    "saw": _saw,
    "square": _pulse(0.5),
    "pulse": _pulse(0.25),
    "triangle": _triangle,
    "plucked": _plucked(0.13, 4500.0),
    "plucked_softly": _plucked(0.28, 1500.0),
    "hammered": _plucked(0.12, 2500.0),
    "bowed": _bowed,
    "brass": _brass,
    "organ": _organ,
    "round": _round_bass,
    # Root, fifth and octave of a power chord are whole multiples of half the root.
    "power_chord": _guitar((2, 3, 4)),
    "overdrive": _guitar((1,)),
}
INSTRUMENTS = {
    "stab": Instrument(
        "saw", decay=0.16, sustain=0.2, release=0.05, damping=0.12, cutoff=900.0
    ),
    "synth_bass": Instrument(
        "saw", decay=0.25, sustain=0.4, release=0.04, damping=0.08, cutoff=250.0
    ),
    "piano": Instrument(
        "hammered", decay=0.9, sustain=0.05, release=0.12, damping=0.5, cutoff=900.0
    ),
    "power_guitar": Instrument(
        "power_chord", decay=0.9, sustain=0.55, release=0.04, transpose=-12
    ),
    "lead_guitar": Instrument(
        "overdrive", attack=0.008, decay=1.2, sustain=0.6, release=0.07, vibrato=8.0
    ),
    "pick_bass": Instrument(
        "plucked", decay=0.7, sustain=0.2, release=0.05, damping=0.2, cutoff=350.0
    ),
    "upright_bass": Instrument(
        "plucked_softly",
        attack=0.008,
        decay=0.45,
        release=0.09,
        damping=0.15,
        cutoff=260.0,
    ),
    "muted_trumpet": Instrument(
        "brass", attack=0.03, decay=0.6, sustain=0.7, release=0.07
    ),
    "pulse_lead": Instrument(
        "pulse", attack=0.002, decay=0.3, sustain=0.55, release=0.012
    ),
    "square_arpeggio": Instrument(
        "square", attack=0.002, decay=0.15, sustain=0.35, release=0.012
    ),
    "triangle_bass": Instrument(
        "triangle", attack=0.002, decay=1.0, sustain=0.9, release=0.012
    ),
    "dub_bass": Instrument(
        "round", attack=0.012, decay=0.8, sustain=0.45, release=0.09
    ),
    "skank_guitar": Instrument(
        "plucked", attack=0.002, decay=0.09, release=0.03, damping=0.2, cutoff=1500.0
    ),
    "organ": Instrument("organ", attack=0.006, decay=1.0, sustain=0.9, release=0.03),
    "violins": Instrument(
        "bowed", attack=0.07, decay=1.0, sustain=0.85, release=0.18, vibrato=9.0
    ),
    "cellos": Instrument("bowed", attack=0.06, decay=1.0, sustain=0.85, release=0.2),
    "harp": Instrument(
        "plucked", attack=0.003, decay=0.4, release=0.2, damping=0.25, cutoff=900.0
    ),
}


def midi_to_hz(midi: float) -> float:
    """Converts a MIDI note number to Hz, equal temperament, A4 (69) at 440 Hz.

    Example:
        >>> midi_to_hz(57)
        220.0
    """
    return 440.0 * 2.0 ** ((midi - 69) / 12.0)


@functools.lru_cache(maxsize=512)
def _tables(spectrum, midi, cutoff, sample_rate):
    """Bright and dark cycle, float32 `(2, TABLE_SIZE)`; the bright one has RMS 1."""
    f0 = midi_to_hz(midi)
    highest = min(HIGHEST_HARMONIC_HZ, 0.45 * sample_rate)
    k = np.arange(1, max(1, int(highest / f0)) + 1)
    bright = np.zeros(TABLE_SIZE // 2 + 1, complex)
    bright[k] = -1j * SPECTRA[spectrum](k, f0)
    bright /= np.sqrt(0.5 * np.sum(np.abs(bright) ** 2))
    dark = bright.copy()
    dark[k] /= 1.0 + (k * f0 / max(cutoff, 1.5 * f0)) ** 2
    cycles = np.fft.irfft([bright, dark]) * TABLE_SIZE / 2
    return cycles.astype(np.float32)


@functools.lru_cache(maxsize=64)
def _envelopes(instrument, gate, sample_rate):
    """Level of the note and share of its bright table, each float32 `(samples,)`."""
    release = max(1, round(instrument.release * sample_rate))
    seconds = np.arange(gate + release) / sample_rate
    level = instrument.sustain + (1.0 - instrument.sustain) * np.exp(
        -seconds / instrument.decay
    )
    attack = min(max(2, round(instrument.attack * sample_rate)), gate)
    level[:attack] *= 0.5 - 0.5 * np.cos(np.pi * np.arange(attack) / attack)
    level[gate:] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(1, release + 1) / release)
    bright = np.ones_like(seconds)
    if instrument.damping:
        bright = np.exp(-seconds / instrument.damping)
    return level.astype(np.float32), bright.astype(np.float32)


@functools.lru_cache(maxsize=16)
def _vibrato(num_samples, sample_rate):
    return np.sin(2.0 * np.pi * VIBRATO_HZ / sample_rate * np.arange(num_samples))


@functools.lru_cache(maxsize=128)
def render_note(name: str, midi: int, gate: int, sample_rate: int) -> np.ndarray:
    """Renders one note of an instrument at full velocity.

    Args:
        name: Key of `INSTRUMENTS`.
        midi: MIDI note number; 60 is the C in the middle of the piano.
        gate: Samples until the key is let go; the release follows.
        sample_rate: In Hz.

    Returns:
        Float32 array, shape `(gate + release,)`, read-only because it is cached.

    Raises:
        ValueError: If the instrument is unknown.

    Example:
        >>> render_note("organ", midi=60, gate=800, sample_rate=8000).shape
        (1040,)
    """
    if name not in INSTRUMENTS:
        raise ValueError(
            f"render_note got name={name!r}; expected one of {sorted(INSTRUMENTS)}."
        )
    instrument = INSTRUMENTS[name]
    midi += instrument.transpose
    level, bright_share = _envelopes(instrument, gate, sample_rate)
    bright, dark = _tables(instrument.spectrum, midi, instrument.cutoff, sample_rate)
    # Phase in 32-bit whole numbers that wrap round once a cycle, as in the first
    # digital synthesisers: exact, so equal on every platform, and fast.
    cycles_per_sample = midi_to_hz(midi) / sample_rate
    step = np.uint32(round(cycles_per_sample * 2**32))
    phase = np.arange(len(level), dtype=np.uint32) * step
    if instrument.vibrato:
        # A phase of depth/rate gives a frequency that swings by the depth.
        depth = midi_to_hz(midi) * (2.0 ** (instrument.vibrato / 1200.0) - 1.0)
        swing = depth / (2.0 * np.pi * VIBRATO_HZ)
        offset = swing * 2**32 * _vibrato(len(level), sample_rate)
        phase += offset.astype(np.int64).astype(np.uint32)
    index = phase >> np.uint32(32 - TABLE_BITS)
    wave = bright[index]
    if instrument.damping:
        wave = dark[index] + bright_share * (wave - dark[index])
    wave *= level
    wave.flags.writeable = False
    return wave
