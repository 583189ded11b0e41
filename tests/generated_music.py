"""Small sound files for the tests: a click on each beat over a tone, so that beats can be tracked."""

import numpy as np
import soundfile


def tune(seconds=5.0, sample_rate=8000, tempo=120.0, pitch=220.0):
    """Float32 samples of a tone with a decaying click on each beat."""
    time = np.arange(int(seconds * sample_rate)) / sample_rate
    phase = time % (60.0 / tempo)
    noise = np.random.default_rng(0).standard_normal(len(time))
    return (
        0.1 * np.sin(2 * np.pi * pitch * time) + 0.4 * noise * np.exp(-phase * 40)
    ).astype(np.float32)


def write_tune(path, seconds=5.0, sample_rate=8000, tempo=120.0, pitch=220.0):
    """Writes a tune, with the folders it needs; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tune(seconds, sample_rate, tempo, pitch), sample_rate)
    return path


def write_genres(root, genres=("jazz", "rock"), num_tracks=3, **options):
    """A folder of genres with tracks of one piece each, no two alike; returns the folder."""
    for number, genre in enumerate(genres):
        for track in range(num_tracks):
            write_tune(
                root / genre / f"track{track}.wav",
                pitch=220.0 * (number + 1) + track,
                **options,
            )
    return root
