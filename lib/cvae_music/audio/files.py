"""Sound in files: read a piece of one, write one."""

import contextlib
import io
import numbers
import os
import re
import struct
from pathlib import Path

import numpy as np
import soundfile
import soxr

from cvae_music.serialization import write_file

# What libsndfile reads by itself, without ffmpeg: every door of this library accepts these and no others.
AUDIO_ENDINGS = tuple(
    ".wav .mp3 .ogg .flac .aiff .aif .aifc .oga .opus .au .caf .w64".split()
)
READABLE = ", ".join(AUDIO_ENDINGS)
ENCODINGS = {
    "wav": "PCM_16",
    "mp3": "MPEG_LAYER_III",
    "ogg": "VORBIS",
    "flac": "PCM_16",
}
MP3_RATES = (
    44100,
    48000,
    32000,
    22050,
    24000,
    16000,
    11025,
    12000,
    8000,
)  # Hz, in the order of their numbers
LOWEST_RATE, HIGHEST_RATE, MOST_CHANNELS = 1000, 400_000, 32  # of files that are read
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
        raise AudioError(
            path, "empty file", "It holds 0 bytes; copy or download it again."
        )
    try:
        file = soundfile.SoundFile(
            os.fsencode(path) if os.name == "posix" else str(path)
        )
        counted = (
            file.subtype == ENCODINGS["mp3"] or file.frames == 0
        ) and _with_count(path, file)
        file = soundfile.SoundFile(counted) if counted else file
    except (RuntimeError, TypeError) as error:  # a TypeError where the ending is .raw
        raise AudioError(
            path, "unreadable", f"Expected one of {READABLE}; convert it or remove it."
        ) from error
    if (
        not LOWEST_RATE <= file.samplerate <= HIGHEST_RATE
        or file.channels > MOST_CHANNELS
    ):
        wanted = f"{LOWEST_RATE} to {HIGHEST_RATE} Hz, at most {MOST_CHANNELS} channels"
        found = f"{file.samplerate} Hz, {file.channels} channels"
        raise AudioError(
            path,
            "absurd header",
            f"Its header claims {found}; expected {wanted}. Export it again.",
        )
    file.seekable = lambda: (
        False
    )  # else soundfile seeks after each read, and fails at the end of a piped FLAC
    return file


def _with_count(path, sound):
    """A file that does not count its frames, in memory with a header that claims more of them than any has; else None.

    libsndfile guesses the length of such an mp3 from its first frame and the size of the file, and reads no further than
    that; and it believes the 0 that is left in a WAV when a recorder stops without a word.
    """
    content = Path(path).read_bytes()
    if sound.subtype != ENCODINGS["mp3"]:
        return io.BytesIO(
            re.sub(rb"data\0{4}", b"data" + bytes([255] * 4), content, count=1)
        )
    while content[:3] == b"ID3":  # a tag, with a cover of any size
        content = content[
            10
            + sum(digit << 7 * place for place, digit in enumerate(content[9:5:-1])) :
        ]
    if re.search(b"Xing|Info|VBRI", content[:4096]):
        return None
    version, rate = divmod(MP3_RATES.index(sound.samplerate), 3)  # MPEG 1, 2 or 2.5
    size, *sides = (72 * 80_000, 17, 9) if version else (144 * 128_000, 32, 17)
    head = [
        0xFF,
        (0xFB, 0xF3, 0xE3)[version],
        0x90 | rate << 2,
        0xC0 if sound.channels == 1 else 0,
    ]
    frame = (
        bytes(head)
        + bytes(sides[sound.channels == 1])
        + b"Xing"
        + struct.pack(">II", 1, 2**22)
    )
    return io.BytesIO(frame.ljust(size // sound.samplerate, b"\0") + content)


def _blocks(file, count=np.inf):
    """Decodes up to `count` frames from where a file stands, to damage, or to its real end; arrays `(frames, channels)`."""
    with contextlib.suppress(RuntimeError):
        while count > 0:
            block = file.read(
                out=np.empty((int(min(count, BLOCK)), file.channels), np.float32)
            )
            yield block
            count -= len(block) or count


def audio_duration(path):
    """`(seconds, claimed)`: length to the real end, and what the header says, inf where it does not know.

    Only where the two differ the file is decoded for this.

    Raises:
        AudioError: As `open_sound`.
    """
    with open_sound(path) as file, contextlib.suppress(RuntimeError):
        claimed = file.frames / file.samplerate
        file.seek(file.frames - 1)
        if len(file.read(1)):
            return claimed, claimed
    with open_sound(path) as file:
        return sum(
            map(len, _blocks(file))
        ) / file.samplerate, claimed if claimed < LONGEST else np.inf


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
        samples = soxr.resample(samples, rate, config.sample_rate)
    return np.ascontiguousarray(samples, np.float32)


def read_mono(path, start=0.0, duration=None):
    """As `load_audio`, but `(samples, sample_rate)` at the rate that the file has."""
    if not all(
        isinstance(value, numbers.Real) and 0 <= value < LONGEST
        for value in (start, duration or 0.0)
    ):
        raise AudioError(
            path,
            "no such piece",
            f"Got start={start!r}, duration={duration!r}; expected seconds.",
        )
    with (
        open_sound(path) as file,
        contextlib.suppress(RuntimeError),
    ):  # where the start is beyond the end
        rate, blocks = file.samplerate, [np.zeros((0, file.channels), np.float32)]
        file.seek(round(start * rate))
        blocks += _blocks(file, np.inf if duration is None else round(duration * rate))
    samples = np.concatenate(blocks)
    if len(samples) == 0:
        raise AudioError(
            path,
            "no audio",
            f"Nothing to read from {start:.2f} s on; it may be cut off or damaged.",
        )
    peak = np.abs(samples).max()
    if not np.isfinite(peak):
        raise AudioError(
            path, "not finite", "It holds NaN or infinite samples; export it again."
        )
    if peak > LOUDEST:
        raise AudioError(
            path,
            "not full scale 1",
            f"It peaks at {peak:.0f}: integers as floats? Divide by 32768.",
        )
    return to_mono(samples), rate


def to_mono(samples):
    """Mean of the channels, or the loudest channel where they cancel each other (opposite phase).

    Args:
        samples: Float array, shape `(samples, channels)`.

    Returns:
        Float array, shape `(samples,)`.
    """
    energy, num_channels = samples.T @ samples, samples.shape[1]
    if energy.sum() < 0.05 * num_channels**2 * energy.diagonal().max():
        return samples[:, energy.diagonal().argmax()]
    return samples @ np.full(num_channels, 1.0 / num_channels, samples.dtype)


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
        raise ValueError(
            f"Sound cannot be written as {kind!r}; expected one of {', '.join(ENCODINGS)}."
        )
    if kind == "mp3" and config.sample_rate not in MP3_RATES:
        raise ValueError(
            f"Got sample_rate={config.sample_rate} for an mp3; expected one of {MP3_RATES}, or a wav."
        )
    samples = np.asarray(samples)
    is_finite = samples.dtype.kind == "f" and bool(np.all(np.isfinite(samples)))
    if samples.ndim != 1 or len(samples) == 0 or not is_finite:
        what = f"Got {samples.dtype} of shape {samples.shape}, finite: {is_finite}"
        raise ValueError(
            f"{what}; expected finite mono samples, (samples,), floats with full scale at 1."
        )
    samples, buffer = full_scale(samples.astype(np.float32))[0], io.BytesIO()
    with soundfile.SoundFile(
        buffer, "w", config.sample_rate, 1, ENCODINGS[kind], format=kind.upper()
    ) as file:
        for first in range(
            0, len(samples), 2**16
        ):  # libsndfile crashes on minutes of Ogg handed over at once
            file.write(samples[first : first + 2**16])
    return buffer.getvalue()


def write_audio(path, samples, config):
    """Writes a sound file of the kind that the ending of `path` names, whole or not at all; raises as `encode_audio`."""
    content = encode_audio(samples, config, Path(path).suffix.lower().removeprefix("."))
    write_file(os.path.expanduser(path), lambda file: file.write(content))
