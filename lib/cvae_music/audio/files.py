"""Sound in files: read a piece of one, write one."""

import contextlib
import functools
import io
import numbers
import os
import re
import struct
from pathlib import Path

import librosa
import numpy as np
import soundfile

from cvae_music.store import write_file

# What libsndfile reads by itself, without ffmpeg: every door of this library accepts these and no others.
AUDIO_ENDINGS = tuple(".wav .mp3 .ogg .flac .aiff .aif .aifc .oga .opus .au .caf .w64".split())
READABLE = ", ".join(AUDIO_ENDINGS)
ENCODINGS = {"wav": "PCM_16", "mp3": "MPEG_LAYER_III", "ogg": "VORBIS", "flac": "PCM_16"}
MP3_RATES = (44100, 48000, 32000, 22050, 24000, 16000, 11025, 12000, 8000)  # Hz, in the order of their numbers
WRITABLE_RATES = {"mp3": MP3_RATES, "ogg": range(1, 200_001)}  # libsndfile crashes on Ogg beyond
SAMPLE_RATES, MAX_CHANNELS = (1000, 400_000), 32  # what a header may claim
LONGEST = 24 * 3600.0  # seconds; who claims more does not know
LOUDEST = 10.0  # float files of sound stay within 20 dB of full scale
BLOCK = 2**14  # frames decoded at a time


class AudioError(ValueError):
    """A file that cannot be used; `reason` is a short phrase for reports."""

    def __init__(self, path, reason, detail=""):
        self.path, self.reason = printable(path), reason
        super().__init__(f"{self.path}: {reason}. {detail}".strip())


def printable(path):
    """A path as text that can be printed and saved, also where its name is no UTF-8."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def open_sound(path):
    """Opens a file to read as a `soundfile.SoundFile`; its length is what its header claims, not what it holds.

    Raises:
        AudioError: If the file is missing, empty, not audio, or claims to be what no sound is.
    """
    if not os.path.isfile(path):
        raise AudioError(path, "missing", "Expected a file at this path.")
    if os.path.getsize(path) == 0:
        raise AudioError(path, "empty file", "It holds 0 bytes; copy or download it again.")
    try:
        file = soundfile.SoundFile(os.fsencode(path) if os.name == "posix" else str(path))
        counted = _with_count(path, file) if file.subtype == ENCODINGS["mp3"] else None
        file = soundfile.SoundFile(counted) if counted else file
    except (RuntimeError, TypeError) as error:  # a TypeError where the ending is .raw
        raise AudioError(path, "unreadable", f"Expected one of {READABLE}; convert it or remove it.") from error
    if not SAMPLE_RATES[0] <= file.samplerate <= SAMPLE_RATES[1] or file.channels > MAX_CHANNELS:
        wanted = "{} to {} Hz and at most {} channels".format(*SAMPLE_RATES, MAX_CHANNELS)
        found = f"Its header claims {file.samplerate} Hz and {file.channels} channels; expected {wanted}"
        raise AudioError(path, "absurd header", f"{found}. Export it again.")
    file.seekable = lambda: False  # else soundfile seeks after each read, and fails at the end of a piped FLAC
    return file


def _with_count(path, sound):
    """An mp3 that does not count its frames, as a file in memory that claims more of them than any has; else None.

    libsndfile guesses such a length from the first frame and the size of the file, and reads no further than that.
    """
    with open(path, "rb") as file:
        while (tag := file.read(10))[:3] == b"ID3":  # with a cover of any size
            file.seek(functools.reduce(lambda size, digit: 128 * size + digit, tag[6:], 0), os.SEEK_CUR)
        file.seek(-len(tag), os.SEEK_CUR)
        content = file.read(4096)
        if re.search(b"Xing|Info|VBRI", content) or sound.samplerate not in MP3_RATES:
            return None
        content += file.read()
    version, rate = divmod(MP3_RATES.index(sound.samplerate), 3)  # MPEG 1, 2 or 2.5
    length = (80_000 * 72 if version else 128_000 * 144) // sound.samplerate
    side = (9 if version else 17) if sound.channels == 1 else (17 if version else 32)
    frame = bytes([0xFF, (0xFB, 0xF3, 0xE3)[version], 0x90 | rate << 2, 0xC0 if sound.channels == 1 else 0])
    frame += bytes(side) + b"Xing" + struct.pack(">II", 1, 2**22)  # frames, more than a day of them
    return io.BytesIO(frame.ljust(length, b"\0") + content)


def _blocks(file, count):
    """Decodes up to `count` frames from where a file stands, or to its real end; arrays `(frames, channels)`."""
    while count > 0:
        block = np.empty((int(min(count, BLOCK)), file.channels), np.float32)
        block = file.read(out=block)
        yield block
        count -= len(block) or count


def header_duration(path):
    """Length of a file in seconds as its header claims, which may be a lie; inf where it claims none."""
    with open_sound(path) as file:
        seconds = file.frames / file.samplerate
    return seconds if seconds < LONGEST else np.inf


def audio_duration(path):
    """Length of a file in seconds to its real end; decoded only where the header claims more than that.

    Raises:
        AudioError: As `open_sound`.
    """
    with open_sound(path) as file, contextlib.suppress(RuntimeError):
        file.seek(file.frames - 1)
        if len(file.read(1)):
            return file.frames / file.samplerate
    frames = 0
    with open_sound(path) as file, contextlib.suppress(RuntimeError):
        for block in _blocks(file, np.inf):
            frames += len(block)
    return frames / file.samplerate


def load_audio(path, config, start=0.0, duration=None):
    """Reads a piece of a file: only that piece is decoded, mixed to mono and resampled.

    Args:
        path: A file that ends in one of `AUDIO_ENDINGS`.
        config: `AudioConfig`; its `sample_rate` is the one returned.
        start: Where to begin, in seconds.
        duration: How much to read, in seconds; `None` reads to the end.

    Returns:
        Float32 array, shape `(samples,)`, full scale at 1; shorter where the file ends or is damaged before.

    Raises:
        AudioError: If the file cannot be read, holds no samples there, or samples that are no sound.
    """
    samples, rate = read_mono(path, start, duration)
    if rate != config.sample_rate:
        samples = librosa.resample(samples, orig_sr=rate, target_sr=config.sample_rate)
    return np.ascontiguousarray(samples, np.float32)


def read_mono(path, start=0.0, duration=None):
    """As `load_audio`, but `(samples, sample_rate)` at the rate that the file has."""
    if not all(isinstance(value, numbers.Real) and 0 <= value < LONGEST for value in (start, duration or 0.0)):
        found = f"Got start={start!r}, duration={duration!r}; expected seconds, from 0 on"
        raise AudioError(path, "no such piece", f"{found}. Choose a start inside the file.")
    with open_sound(path) as file:
        rate, blocks, reason = file.samplerate, [np.zeros((0, file.channels), np.float32)], "no audio"
        with contextlib.suppress(RuntimeError):  # beyond the end, or at damage: what came before it counts
            file.seek(round(start * rate))
            reason = "decoding failed"
            for block in _blocks(file, np.inf if duration is None else round(duration * rate)):
                blocks.append(block)
            reason = "no audio"
    samples = np.concatenate(blocks)
    if len(samples) == 0:
        raise AudioError(path, reason, f"Nothing to read from {start:.2f} s on; the file may be cut off or damaged.")
    peak = np.abs(samples).max()
    if not np.isfinite(peak):
        raise AudioError(path, "not finite", "It holds NaN or infinite samples; export it again.")
    if peak > LOUDEST:
        found = f"It peaks at {peak:.0f} where full scale is 1, as integers saved as floats do"
        raise AudioError(
            path, "not full scale 1", f"{found}. Divide its samples, by 32768 for 16 bits, and save it again."
        )
    return to_mono(samples), rate


def to_mono(samples):
    """Mean of the channels, or the loudest channel where they cancel each other (opposite phase).

    Args:
        samples: Float array, shape `(samples, channels)`.

    Returns:
        Float array, shape `(samples,)`.
    """
    mixed = samples.mean(axis=1)
    energy = np.square(samples, dtype=np.float64).sum(axis=0)
    if np.square(mixed, dtype=np.float64).sum() < 0.05 * energy.max():
        return samples[:, energy.argmax()]
    return mixed


def full_scale(samples):
    """Turns samples down where a sound card would clip them; quiet ones stay quiet.

    Args:
        samples: Float array, full scale at 1.

    Returns:
        `(samples, decibels)`: within full scale, and by how much they were turned down (0 for most).
    """
    peak = float(np.abs(samples).max(initial=0.0))
    return (samples / peak, 20.0 * np.log10(peak)) if peak > 1.0 else (samples, 0.0)


def encode_audio(samples, config, kind="wav"):
    """Sound as the bytes of a file, at the level it has; only what is beyond full scale is turned down.

    Args:
        samples: Float array, shape `(samples,)`, full scale at 1.
        config: `AudioConfig`, for the sample rate.
        kind: `"wav"` (16 bits), `"mp3"`, `"ogg"` or `"flac"`.

    Returns:
        Bytes.

    Raises:
        ValueError: If the kind is unknown, or the samples are not finite mono audio.
    """
    if kind not in ENCODINGS:
        raise ValueError(f"Sound cannot be written as {kind!r}; expected one of {', '.join(ENCODINGS)}.")
    if config.sample_rate not in WRITABLE_RATES.get(kind, (config.sample_rate,)):
        raise ValueError(
            f"A file of the kind {kind!r} cannot hold {config.sample_rate} Hz; expected another kind, as 'wav'."
        )
    samples = np.asarray(samples, np.float32)
    is_finite = bool(np.all(np.isfinite(samples)))
    if samples.ndim != 1 or len(samples) == 0 or not is_finite:
        what = f"Got sound of shape {samples.shape}, finite: {is_finite}; expected finite mono samples, (samples,)."
        raise ValueError(f"{what} Pass one clip, mixed to mono.")
    samples, buffer = full_scale(samples)[0], io.BytesIO()
    with soundfile.SoundFile(buffer, "w", config.sample_rate, 1, ENCODINGS[kind], format=kind.upper()) as file:
        for first in range(0, len(samples), 2**16):  # libsndfile crashes on minutes of Ogg handed over at once
            file.write(samples[first : first + 2**16])
    return buffer.getvalue()


def write_audio(path, samples, config):
    """Writes a sound file of the kind that the ending of `path` names, whole or not at all; raises as `encode_audio`."""
    content = encode_audio(samples, config, Path(path).suffix.lower().removeprefix("."))
    write_file(path, lambda file: file.write(content))
