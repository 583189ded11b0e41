"""Sound files under a coverage-guided fuzzer, with ffmpeg as a reader that shares no code with ours."""

import importlib.util
import io
import os
import shutil
import struct
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from generated_music import tune

from cvae_music.audio import files

pytestmark = pytest.mark.slow
RUNS = os.environ.get("CVAE_MUSIC_FUZZ_RUNS", "15000")  # some minutes
FFMPEG = shutil.which("ffmpeg")
FRAME = 1152 * 2  # samples that a decoder of mp3 may add or leave out at each end


def encoded(kind, rate=44100, channels=1, seconds=0.4, **options):
    samples = np.repeat(tune(seconds, rate)[:, None], channels, axis=1)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=kind, **options)
    return buffer.getvalue()


def without_count(content):
    """An mp3 without its first frame, which counts the others."""
    return content[content.index(content[:2], 4) :]


def tag(size):
    """An ID3 tag of some bytes."""
    places = bytes(size >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + places + bytes(size)


def never_closed(content):
    """A WAV whose sizes are still 0, as a recorder leaves it that was switched off."""
    at = content.index(b"data")
    return content[: at + 4] + struct.pack("<I", 0) + content[at + 8 :]


def seeds():
    """`(ending, content, seconds)` of whole files, and of those whose headers we mend."""
    for rate, channels in ((44100, 2), (22050, 1), (8000, 1)):
        mp3 = encoded("MP3", rate, channels)
        bare = without_count(mp3)
        for content in (mp3, bare, tag(9) + bare, tag(300) + tag(40) + bare):
            yield ".mp3", content, 0.4
        yield ".mp3", 2 * encoded("MP3", rate, channels, 1.5), 3.0  # as of cat
    for subtype in ("PCM_16", "PCM_U8", "FLOAT", "PCM_24"):
        wav = encoded("WAV", 8000, 2, subtype=subtype)
        yield ".wav", wav, 0.4
        yield ".wav", never_closed(wav), 0.4


def write_seeds(folder):
    folder.mkdir()
    for number, (ending, content, _) in enumerate(seeds()):
        first = bytes([(".mp3", ".wav").index(ending)])
        (folder / f"seed{number:02d}").write_bytes(first + content)


def ffmpeg_seconds(path):
    """The length of a file as ffmpeg decodes it, in seconds; None if it complains."""
    rate = 8000
    shown = subprocess.run(
        [FFMPEG, "-v", "error", "-xerror", "-i", path, "-map", "0:a:0", "-ac", "1"]
        + ["-ar", str(rate), "-f", "s16le", "-"],
        capture_output=True,
    )
    if shown.returncode or shown.stderr.strip():
        return None
    return len(shown.stdout) / 2 / rate


def read_seconds(path):
    """The length that we read, in seconds, and the rate; None if we refuse."""
    try:
        samples, rate = files.read_mono(path)
    except files.AudioError:
        return None
    return len(samples) / rate, rate


@pytest.mark.skipif(FFMPEG is None, reason="no ffmpeg on the path")
def test_ffmpeg_reads_the_same_length_of_mended_headers(tmp_path):
    for number, (ending, content, expected) in enumerate(seeds()):
        path = tmp_path / f"{number}{ending}"
        path.write_bytes(content)
        seconds, rate = read_seconds(path)
        most = 4 * FRAME / rate if ending == ".mp3" else 0.0
        assert seconds == pytest.approx(expected, abs=most), number
        other = ffmpeg_seconds(path)
        if other is not None:
            assert seconds == pytest.approx(other, abs=FRAME / rate), number


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="no atheris: pip install"
)
def test_no_bytes_break_the_reading_of_sound(tmp_path, root):
    corpus = tmp_path / "corpus"
    write_seeds(corpus)
    program = root / "tests" / "fuzz" / "sound_files.py"
    options = [f"-runs={RUNS}", "-seed=1", "-max_len=40000", "-rss_limit_mb=6000"]
    command = [sys.executable, str(program), str(corpus), *options, "-timeout=60"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run(
        command, env=environment, capture_output=True, text=True, cwd=tmp_path
    )
    assert found.returncode == 0, found.stderr[-4000:]
    if FFMPEG:
        compare_with_ffmpeg(corpus, tmp_path)


def compare_with_ffmpeg(corpus, folder, num_files=300):
    """Where ffmpeg has nothing to complain of, we leave nothing out that it plays."""
    short = []
    paths = sorted(corpus.iterdir())
    for source in paths[:: max(1, len(paths) // num_files)]:
        data = source.read_bytes()
        if not data:
            continue
        path = folder / f"{source.name}{('.mp3', '.wav')[data[0] % 2]}"
        path.write_bytes(data[1:])
        other = ffmpeg_seconds(path)
        found = read_seconds(path)
        if other is not None and found is not None:
            seconds, rate = found
            if seconds < other - FRAME / rate:
                short.append((path.name, seconds, other))
    assert short == []
