"""Sound files: reads parts of them as mono samples, and writes them."""

import contextlib
import io
import math
import numbers
import os
import re
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
import soxr

from cvae_music.config import AudioConfig
from cvae_music.serialization import NOT_FETCHED, what_it_is, write_file

# What libsndfile reads by itself, without ffmpeg. The whole library accepts these.
READABLE = ".wav, .mp3, .ogg, .flac, .aiff, .aif, .aifc, .oga, .opus, .au, .caf, .w64"
AUDIO_ENDINGS = tuple(READABLE.split(", "))
ENCODINGS = {
    "wav": "PCM_16",
    "mp3": "MPEG_LAYER_III",
    "ogg": "VORBIS",
    "flac": "PCM_16",
}
# Hz, in the order of their numbers in the header: MPEG 1, MPEG 2, MPEG 2.5.
MP3_RATES = (44100, 48000, 32000, 22050, 24000, 16000, 11025, 12000, 8000)
LOWEST_RATE = 1000  # Hz, of files that are read
HIGHEST_RATE = 400_000  # Hz
MOST_CHANNELS = 32
LONGEST = 24 * 3600.0  # seconds; a header that claims more is wrong
LOUDEST = 10.0  # float files of sound stay within 20 dB of full scale
BLOCK = 2**14  # frames decoded at a time
OGG_BLOCK = 2**16  # samples; libsndfile crashes on minutes of Ogg at once
HEADER_BYTES = 4096

CONVERT = f"Convert it to one of {READABLE}; a new name is not enough."
# What files without sound begin with: pattern -> (what it is, what to do).
NOT_SOUND = {
    rb"#EXTM3U|\[playlist\]": ("playlist", "Copy the files that it lists."),
    rb"\[InternetShortcut\]": ("link to a page", "Download what it links to."),
    # An alias of macOS, a shortcut of Windows, and AppleDouble, which macOS writes
    # beside a file.
    rb"book\0{4}mark|L\0{3}\x01\x14\x02\0|\0\x05\x16[\0\7]": (
        "link to a file",
        "Copy the file that it stands for.",
    ),
    rb"\x89PNG|\xff\xd8\xff|GIF8|RIFF....WEBP|%PDF|\{\\rtf|\xd0\xcf\x11\xe0"
    rb"|SQLite|bplist|MZ|\x89HDF|\x93NUMPY": (
        "picture or document",
        "Remove it.",
    ),
    **NOT_FETCHED,
    rb"PK[\3\5]|Rar!|7z\xbc\xaf|\x1f\x8b|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|.{257}ustar": (
        "archive",
        "Unpack it first.",
    ),
    rb"MThd": ("MIDI file", "It holds notes, no sound; render it as audio."),
    rb"....ftyp": ("MPEG-4 file", CONVERT),
    rb"\xff[\xf0\xf1\xf8\xf9]|\x30\x26\xb2\x75|\x1a\x45\xdf\xa3": (
        "AAC, WMA or Matroska file",
        CONVERT,
    ),
}
# What files of several formats begin with, to count those that `cat` joined in one.
FILE_MARKS = (
    b"OggS\0\2",
    b"fLaC\0\0\0\x22",
    b"WAVEfmt ",
    b"WAVEJUNK",
    b"WAVEbext",
    b"WAVEds64",
    b"AIFFCOMM",
    b"AIFCFVER",
    b".snd\0\0\0",
    b"caff\0\1\0\0desc",
)


class AudioError(ValueError):
    """Says why a file cannot be used.

    Args:
        path: Path of the file.
        reason: A short phrase for reports, kept as `.reason`.
        detail: What was found, what was expected, and what to do; kept as `.detail`.

    Example:
        >>> print(AudioError("a.wav", "empty file", "Copy it again."))
        a.wav: empty file. Copy it again.
    """

    def __init__(self, path: object, reason: str, detail: str = "") -> None:
        self.path = printable(path)
        self.reason = reason
        self.detail = detail
        super().__init__(f"{self.path}: {reason}. {detail}".strip())


def printable(path: object) -> str:
    """Converts a path to text that can be printed, even if its name is not UTF-8."""
    return str(path).encode("utf-8", "backslashreplace").decode()


class _SoundFile(soundfile.SoundFile):
    """Reads a file to its real end, whatever its header claims.

    soundfile seeks after each read of a seekable file, and fails at the end of a FLAC
    that a pipe wrote.
    """

    def seekable(self) -> bool:
        return False


def open_sound(path: Path | str) -> soundfile.SoundFile:
    """Opens a sound file for reading.

    Args:
        path: A file that ends in one of `AUDIO_ENDINGS`.

    Returns:
        `soundfile.SoundFile`; its `frames` are what the header claims, which may be too
        many.

    Raises:
        AudioError: If the file is missing, empty or not audio, or if its header claims
            a rate or a number of channels that no sound has.
    """
    if not os.path.isfile(path):
        raise AudioError(path, "missing", "Expected a file at this path.")
    if os.path.getsize(path) == 0:
        raise AudioError(
            path, "empty file", "It holds 0 bytes; copy or download it again."
        )
    try:
        file = _SoundFile(os.fsencode(path) if os.name == "posix" else str(path))
        counted = _with_frame_count(path, file)
        if counted is not None:
            file = _SoundFile(counted)
    except (RuntimeError, TypeError) as error:  # TypeError: the ending is .raw
        raise AudioError(path, *_why_unreadable(path)) from error
    is_rate = LOWEST_RATE <= file.samplerate <= HIGHEST_RATE
    if not is_rate or file.channels > MOST_CHANNELS:
        raise AudioError(
            path,
            "absurd header",
            f"Its header claims {file.samplerate} Hz, {file.channels} channels; "
            f"expected {LOWEST_RATE} to {HIGHEST_RATE} Hz, at most {MOST_CHANNELS} "
            "channels. Export it again.",
        )
    return file


def _why_unreadable(path: Path | str) -> tuple[str, str]:
    """Returns the reason and the advice for a file that is no sound."""
    try:
        with open(path, "rb") as file:
            start = file.read(HEADER_BYTES).removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        return "unreadable", f"{error.strerror}. Allow it to be read, or copy it again."
    if reason := what_it_is(start, NOT_SOUND):
        return reason
    if (num_joined := count_joined(path)) > 1:
        return "joined files", f"{num_joined} files stand in it in turn. Split it."
    text = start.replace(b"\0", b"")  # which UTF-16 has between Latin letters
    if not re.search(rb"[\1-\x08\x0e-\x1f]", text):
        shown = text[:40].decode(errors="replace")
        return "unreadable", f"It holds text, {shown!r}. Replace it by a sound file."
    return "unreadable", f"Expected one of {READABLE}; convert it or remove it."


def count_joined(path: Path | str) -> int:
    """Counts the files that were joined in one, of which only the first is read.

    An mp3 counts as one: it is read to its end.

    Args:
        path: A sound file.

    Returns:
        Number of files, 1 if none were joined.
    """
    with open(path, "rb") as file:
        start = file.read(HEADER_BYTES)
        mark = next((mark for mark in FILE_MARKS if mark in start[:64]), None)
        count = 1
        rest = b""
        while mark and (block := file.read(2**20)):
            count += (rest + block).count(mark)
            rest = block[1 - len(mark) :]  # a mark may begin in it
    return count


def _with_frame_count(
    path: Path | str, sound: soundfile.SoundFile
) -> io.BytesIO | None:
    """Returns a copy of a file with a frame count in its header, if it has none.

    The count is larger than any file, so reading goes on to the real end. libsndfile
    guesses the length of an mp3 without a count from its first frame and the size of
    the file, and stops there. It also believes the 0 in a WAV that was never closed.
    """
    if sound.subtype != ENCODINGS["mp3"]:
        if sound.frames > 0:
            return None
        content = Path(path).read_bytes()
        unknown = b"data" + bytes([255] * 4)
        return io.BytesIO(re.sub(rb"data\0{4}", unknown, content, count=1))
    with open(path, "rb") as file:
        first = _skip_tags(file)
        start = file.read(HEADER_BYTES)
        if re.search(b"Xing|Info|VBRI", start):
            # Four bytes each: the tag's name, flags, number of frames, number of bytes.
            # A file of more bytes holds several; the numbers are those of the first.
            found = re.search(rb"(?:Xing|Info)...[\3\7\x0b\x0f].{4}(.{4})", start, re.S)
            counted = int.from_bytes(found[1], "big") if found else np.inf
            if os.path.getsize(path) - first < 1.05 * counted + HEADER_BYTES:
                return None
        content = start + file.read()
    return io.BytesIO(_xing_frame(sound.samplerate, sound.channels) + content)


def _skip_tags(file: BinaryIO) -> int:
    """Moves to the first byte of an mp3 after its ID3 tags, and returns its place."""
    start = 0
    tag = file.read(10)
    while tag[:3] == b"ID3" and len(tag) == 10:
        size = 0
        for digit in tag[6:]:  # of seven bits each
            size = size * 128 + digit
        start += 10 + size
        file.seek(start)
        tag = file.read(10)
    return file.seek(start)


def sound_span(file: BinaryIO) -> tuple[int, int]:
    """Finds where a file's sound begins and ends without its tags, in bytes.

    Tags are those of ID3, before and behind an mp3, and the blocks before the frames of
    a FLAC. Those of other formats count as sound.

    Args:
        file: A file that is open for reading bytes.

    Returns:
        `(first, last)`: place of the first byte of sound, and of the first behind it.
    """
    first = _skip_tags(file)
    is_last = file.read(4) != b"fLaC"
    while not is_last:
        block = file.read(4)
        is_last = not block or block[0] >= 128  # the highest bit marks the last block
        first = file.seek(int.from_bytes(block[1:], "big"), os.SEEK_CUR)
    size = file.seek(0, os.SEEK_END)
    last = size
    file.seek(max(0, size - 128))
    if file.read(3) == b"TAG":
        last -= 128
    if first >= last:  # damaged tags: all of it counts
        return 0, size
    return first, last


def _xing_frame(rate: int, channels: int) -> bytes:
    """Builds a silent mp3 frame that counts 2**22 frames to come."""
    version, rate_number = divmod(MP3_RATES.index(rate), 3)  # MPEG 1, 2 or 2.5
    version_byte = (0xFB, 0xF3, 0xE3)[version]
    # Bytes of a frame at 128 kbit/s (MPEG 1) or 80 kbit/s, whose code is the 9 below.
    if version == 0:
        size = 144 * 128_000 // rate
        side_bytes = 17 if channels == 1 else 32
    else:
        size = 72 * 80_000 // rate
        side_bytes = 9 if channels == 1 else 17
    mode = 0xC0 if channels == 1 else 0
    header = bytes([0xFF, version_byte, 0x90 | rate_number << 2, mode])
    count = b"Xing" + struct.pack(">II", 1, 2**22)
    return (header + bytes(side_bytes) + count).ljust(size, b"\0")


def _read_blocks(
    file: soundfile.SoundFile, count: float = np.inf
) -> Iterator[np.ndarray]:
    """Decodes up to `count` frames, until damage or the real end of a file.

    Yields:
        Float32 arrays, shape `(frames, channels)`.
    """
    with contextlib.suppress(RuntimeError):
        while count > 0:
            size = int(min(count, BLOCK))
            block = file.read(out=np.empty((size, file.channels), np.float32))
            if len(block) == 0:
                return
            yield block
            count -= len(block)


def audio_duration(path: Path | str) -> tuple[float, float]:
    """Measures the length of a file, in seconds.

    The file is decoded only where the header is wrong.

    Args:
        path: A file that ends in one of `AUDIO_ENDINGS`.

    Returns:
        `(seconds, claimed)`: the real length, and that of the header, infinite where
        the header gives none.

    Raises:
        AudioError: As `open_sound`.
    """
    with open_sound(path) as file, contextlib.suppress(RuntimeError):
        claimed = file.frames / file.samplerate
        file.seek(file.frames - 1)
        if len(file.read(1)):
            return claimed, claimed
    with open_sound(path) as file:
        seconds = sum(map(len, _read_blocks(file))) / file.samplerate
    return seconds, claimed if claimed < LONGEST else np.inf


def load_audio(
    path: Path | str,
    config: AudioConfig,
    start: float = 0.0,
    duration: float | None = None,
) -> np.ndarray:
    """Reads a part of a file as mono samples at the `sample_rate` of a config, in Hz.

    Only that part is decoded.

    Args:
        path: A file that ends in one of `AUDIO_ENDINGS`.
        config: `AudioConfig`; its `sample_rate` is the one returned.
        start: Where to begin, in seconds.
        duration: How much to read, in seconds; `None` reads to the end.

    Returns:
        Float32 array, shape `(samples,)`, full scale at 1; shorter where the file ends
        or is damaged before.

    Raises:
        AudioError: If the file cannot be read, holds no samples there, or samples that
            are not finite or beyond 10 times full scale, or if `start` or `duration` is
            no number of seconds.

    Example:
        >>> import tempfile
        >>> config = AudioConfig()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "click.wav")
        ...     write_audio(path, np.full(22050, 0.5), config)
        ...     load_audio(path, config, start=0.25, duration=0.5).shape
        (11025,)
    """
    samples, rate = read_mono(path, start, duration)
    return _resample(samples, rate, config)


def load_blocks(
    path: Path | str, config: AudioConfig, seconds: float, blocks: Iterable[int]
) -> Iterator[tuple[float, np.ndarray]]:
    """Reads blocks of equal length from a file, as `load_audio` does.

    The file is opened once. It is read on from one block to the next without a seek,
    because a seek in an mp3 decodes all that lies before.

    Args:
        path: As of `load_audio`.
        config: As of `load_audio`.
        seconds: Length of a block, in seconds.
        blocks: Numbers of the blocks to read, from 0, increasing.

    Yields:
        `(start, samples)`: where a block begins, in seconds, and a float32 array, shape
        `(samples,)`, shorter or empty where the file ends or is damaged.

    Raises:
        AudioError: As `load_audio`, but not for a block without samples.
    """
    with open_sound(path) as file:
        size = math.ceil(seconds * file.samplerate)
        place = 0
        for block in blocks:
            first = int(block) * size
            samples = _read_part(path, file, None if first == place else first, size)
            place = first + len(samples)
            yield first / file.samplerate, _resample(samples, file.samplerate, config)


def _resample(samples: np.ndarray, rate: int, config: AudioConfig) -> np.ndarray:
    if rate != config.sample_rate:
        samples = soxr.resample(samples, rate, config.sample_rate)
    return np.ascontiguousarray(samples, np.float32)


def read_mono(
    path: Path | str, start: float = 0.0, duration: float | None = None
) -> tuple[np.ndarray, int]:
    """Reads a part of a file as mono samples, at the file's own rate in Hz.

    Args:
        path: As of `load_audio`.
        start: As of `load_audio`.
        duration: As of `load_audio`.

    Returns:
        `(samples, sample_rate)`: float32 array, shape `(samples,)`, and Hz.

    Raises:
        AudioError: As `load_audio`.
    """
    if not (_is_time(start) and _is_time(duration or 0.0)):
        raise AudioError(
            path,
            "no such piece",
            f"Got start={start!r}, duration={duration!r}; expected seconds, from 0 to "
            f"{LONGEST:.0f}.",
        )
    with open_sound(path) as file:
        rate = file.samplerate
        count = np.inf if duration is None else round(duration * rate)
        samples = _read_part(path, file, round(start * rate), count)
    if len(samples) == 0:
        raise AudioError(
            path,
            "no audio",
            f"Nothing to read from {start:.2f} s on; it may be cut off, damaged, or "
            "several files in one.",
        )
    return samples, rate


def _read_part(
    path: Path | str, file: soundfile.SoundFile, first: int | None, count: float
) -> np.ndarray:
    """Reads `count` frames as mono samples, from frame `first` or from where it is."""
    blocks = [np.zeros((0, file.channels), np.float32)]
    # A start beyond the end is a RuntimeError, and leaves no samples.
    with contextlib.suppress(RuntimeError):
        if first is not None:
            file.seek(first)
        blocks += _read_blocks(file, count)
    samples = np.concatenate(blocks)
    peak = np.abs(samples).max(initial=0.0)
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
    return to_mono(samples)


def _is_time(value: Any) -> bool:
    is_number = isinstance(value, numbers.Real)
    return is_number and 0 <= value < LONGEST


def to_mono(samples: np.ndarray) -> np.ndarray:
    """Averages channels, or takes the loudest one where they cancel out.

    Args:
        samples: Float array, shape `(samples, channels)`, full scale at 1.

    Returns:
        Float array, shape `(samples,)`.

    Example:
        >>> to_mono(np.array([[1.0, -1.0], [0.5, -0.5]]))  # opposite phase
        array([1. , 0.5])
    """
    products = samples.T @ samples
    energy = products.diagonal()
    num_channels = samples.shape[1]
    # Their mean would have less than 5 % (-13 dB) of the energy of the loudest.
    if products.sum() < 0.05 * num_channels**2 * energy.max():
        return samples[:, energy.argmax()]
    return samples @ np.full(num_channels, 1.0 / num_channels, samples.dtype)


def full_scale(samples: np.ndarray) -> tuple[np.ndarray, float]:
    """Attenuates samples whose peak is beyond full scale; others stay as they are.

    Args:
        samples: Float array, shape `(samples,)`, full scale at 1.

    Returns:
        `(samples, attenuation)`: the samples, peak at most 1, and by how many dB they
        were attenuated, 0 if they were not.

    Example:
        >>> full_scale(np.array([0.5, -2.0]))[0]
        array([ 0.25, -1.  ])
    """
    peak = float(np.abs(samples).max(initial=0.0))
    if peak <= 1.0:
        return samples, 0.0
    return samples / peak, 20.0 * np.log10(peak)


def encode_audio(samples: np.ndarray, config: AudioConfig, kind: str = "wav") -> bytes:
    """Encodes samples as the bytes of a sound file.

    Args:
        samples: Float array, shape `(samples,)`, full scale at 1. The level is kept;
            what is beyond full scale is attenuated.
        config: `AudioConfig`, for the sample rate.
        kind: `"wav"` (16 bits), `"mp3"`, `"ogg"` or `"flac"`.

    Returns:
        Bytes.

    Raises:
        ValueError: If the kind is unknown, an mp3 cannot have the sample rate, or the
            samples are not finite mono audio.

    Example:
        >>> encode_audio(np.zeros(100), AudioConfig())[:4]
        b'RIFF'
    """
    if kind not in ENCODINGS:
        raise ValueError(
            f"Sound cannot be written as {kind!r}; expected one of "
            f"{', '.join(ENCODINGS)}."
        )
    if kind == "mp3" and config.sample_rate not in MP3_RATES:
        raise ValueError(
            f"Got sample_rate={config.sample_rate} for an mp3; expected one of "
            f"{MP3_RATES}, or a wav."
        )
    samples = np.asarray(samples)
    is_sound = samples.dtype.kind == "f"
    if is_sound:  # of a clip loud in all bands samples are some 30 dB beyond full scale
        is_sound = bool(np.all(np.abs(samples) <= 100 * LOUDEST))
    if samples.ndim != 1 or len(samples) == 0 or not is_sound:
        raise ValueError(
            f"Got {samples.dtype} of shape {samples.shape}, finite floats up to 1,000: "
            f"{is_sound}; expected finite mono samples, (samples,), floats with full "
            "scale at 1. Divide 16-bit integers by 32768."
        )
    samples, _ = full_scale(samples.astype(np.float32))
    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer, "w", config.sample_rate, 1, ENCODINGS[kind], format=kind.upper()
    ) as file:
        for first in range(0, len(samples), OGG_BLOCK):
            file.write(samples[first : first + OGG_BLOCK])
    return buffer.getvalue()


def write_audio(path: Path | str, samples: np.ndarray, config: AudioConfig) -> None:
    """Writes samples to a sound file, atomically.

    Args:
        path: Its ending names the kind: .wav, .mp3, .ogg or .flac.
        samples: Float array, shape `(samples,)`, full scale at 1.
        config: `AudioConfig`, for the sample rate.

    Raises:
        ValueError: As `encode_audio`.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "silence.flac")
        ...     write_audio(path, np.zeros(22050), AudioConfig())
        ...     audio_duration(path)
        (1.0, 1.0)
    """
    content = encode_audio(samples, config, Path(path).suffix.lower().removeprefix("."))
    write_file(path, lambda file: file.write(content))
