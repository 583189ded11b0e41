"""A program for the fuzzer atheris: bytes as a sound file, whatever they are, are read or refused in words.

    python tests/fuzz/sound_files.py CORPUS -runs=100000

Each input is written to a file and read in every way that the library reads one. The first byte says with which ending.
`tests/test_fuzz.py` runs it for some minutes; a folder named CORPUS keeps the inputs that reached new code.
"""

import os
import sys
import tempfile
from pathlib import Path

import atheris
import numpy as np

with atheris.instrument_imports(include=["cvae_music.audio.files"]):
    from cvae_music.audio import files

ENDINGS = (".mp3", ".wav")
LONGEST = 60.0  # seconds that an input of some kilobytes may come to
FOLDER = tempfile.TemporaryDirectory()


def ending_of(data):
    """The ending that an input is read with, and its bytes."""
    return ENDINGS[data[0] % 2], data[1:]


def check(data):
    """Reads one input; whatever is no `AudioError` or breaks a promise is a find."""
    if not data:
        return
    ending, content = ending_of(data)
    path = os.path.join(FOLDER.name, f"input{ending}")
    with open(path, "wb") as file:
        file.write(content)
    with open(path, "rb") as file:
        first, last = files.sound_span(file)
    assert 0 <= first < last <= len(content) or (first, last) == (0, len(content))
    assert files.count_joined(path) >= 1
    try:
        seconds, claimed = files.audio_duration(path)
        samples, rate = files.read_mono(path)
    except files.AudioError as error:
        assert error.reason and str(error).startswith(path)
        return
    assert samples.dtype == np.float32 and np.isfinite(samples).all()
    assert 0.0 < seconds <= claimed and len(samples) / rate < LONGEST
    # Reading ends at the first damage; it never goes on behind the length that is told.
    assert len(samples) / rate <= seconds + files.BLOCK / rate
    part, _ = files.read_mono(path, 0.0, 0.01)
    assert len(part) == min(len(samples), round(0.01 * rate))


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(exist_ok=True)
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()
