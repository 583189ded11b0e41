"""Measures the way back to sound: bands to frequencies, phases, the whole way, the choice of the features.

The last table asks a pretrained music tagger how far the result is from the original.

    OMP_NUM_THREADS=1 python tests/benchmarks/inversion.py [--data FOLDER] [--clips 12] [--tables bands ...]

Without a folder the music is the known-factor music. Tables go to `lib/cvae_lab/results/inversion_<table>.csv`; rows
of the same music are replaced, others stay. All sides of a comparison run clip by clip in one process; seconds
are those of one core (process time), medians over the clips, for each second of music.
"""

import argparse
import contextlib
import dataclasses
import functools
import io
import itertools
import time
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import librosa
import numpy as np
import pandas as pd
import scipy.optimize
import scipy.signal
import soundfile
import tagger
from scipy.spatial.distance import cdist, pdist

from cvae_lab.measures.scores import (
    frechet_distance,
    kernel_distance,
    mean_pairwise_distance,
)
from cvae_music.audio import analysis, inversion
from cvae_music.audio.analysis import (
    beat_frame_times,
    log_mel,
    mel_filters,
)
from cvae_music.audio.beats import track_beats
from cvae_music.audio.files import audio_duration, load_audio
from cvae_music.audio.inversion import (
    METHODS,
    LoopSTFT,
    Method,
    mel_to_linear,
    to_audio,
)
from cvae_music.audio.phase_retrieval import (
    fast_griffin_lim,
    phase_gradient_integration,
)
from cvae_music.audio.vocoder import shipped_vocoder
from cvae_music.config import AudioConfig
from cvae_music.data.sources import open_collection
from cvae_music.models.conditional import ConditionalVAE
from cvae_music.saving import load_compact
from known_music.composer import compose, draw_factors

CONFIG = AudioConfig()
RESULTS = Path(__file__).resolve().parents[2] / "lib" / "cvae_lab" / "results"
SCALE = np.float32(CONFIG.n_fft / 4)  # of `LoopSTFT` over the amplitude of a sine
METHODS["pghi_griffin_lim"] = Method(
    phase_gradient_integration, rounds=12
)  # compared here only
NNLS_FRAMES = 4  # of each clip; librosa takes some 160 ms for each


class Clip(NamedTuple):
    """Eight beats; `another` is more of the same music, for the distance that two good recordings of it have."""

    tempo: float
    samples: np.ndarray
    style: str
    track: str
    another: np.ndarray


def known_clips(num, seed=11):
    """Loops of eight beats, all genres in turn; another has other chords."""
    clips = []
    for k, row in draw_factors(num, seed=seed).iterrows():
        other = {**row, "progression": (row["progression"] + 1) % 4}
        clips.append(
            Clip(row["tempo"], compose(row), row["genre"], str(k), compose(other))
        )
    return clips


def real_clips(data, num, splits=("test",)):
    """Eight beats at a time, at their mean tempo, of tracks of the test split; another is what follows.

    The vocoder learned from training tracks and its settings were chosen on validation tracks.
    """
    table = open_collection(data).table
    if splits:
        table = table[table["split"].isin(splits)]
    clips, num_per_genre = [], max(1, num // table["genre"].nunique())
    for genre, rows in table.groupby("genre"):
        num_each = -(-num_per_genre // len(rows))
        found = []
        for row in rows.to_dict("records"):
            start = max(0.0, audio_duration(row["path"])[0] / 2 - 30)
            sound = load_audio(row["path"], CONFIG, start=start, duration=60.0)
            beats = (
                (np.asarray(track_beats(sound, CONFIG)[0]) * CONFIG.sample_rate)
                .round()
                .astype(int)
            )
            places = (
                np.linspace(0, len(beats) - 18, num_each + 2)[1:-1].astype(int)
                if len(beats) > 20
                else []
            )
            for place in places:
                first, last = beats[place], beats[place + 8]
                found.append(
                    Clip(
                        tempo_of(sound[first:last]),
                        sound[first:last],
                        genre,
                        row["group"],
                        sound[last : 2 * last - first],
                    )
                )
        clips += [
            found[k]
            for k in np.unique(
                np.linspace(0, len(found) - 1, num_per_genre).astype(int)
            )
        ]
    return clips


def frames_of(samples, config=CONFIG):
    beats = np.linspace(0.0, len(samples) / config.sample_rate, config.num_beats + 1)
    return log_mel(samples, beat_frame_times(beats, config), config, wrap=True)


def timed(function, *arguments, **options):
    start = time.process_time()
    result = function(*arguments, **options)
    return result, time.process_time() - start


def tempo_of(samples):
    return 480.0 / (len(samples) / CONFIG.sample_rate)


def even_loop(samples, hop=512):
    """Frames about `hop` samples apart around the loop, which librosa's functions expect."""
    count = round(len(samples) / hop)
    return LoopSTFT(
        np.round(np.arange(count) * len(samples) / count), len(samples), CONFIG.n_fft
    )


def spectral_convergence(samples, magnitude, loop):
    """Distance of a sound's magnitudes from those wanted, over the size of those wanted; 0 is best."""
    return np.linalg.norm(np.abs(loop.forward(samples)) - magnitude) / np.linalg.norm(
        magnitude
    )


def spectrum_error(samples, original):
    """Mean difference of log magnitudes below 10 kHz over windows of 512 to 4,096 samples, in dB."""
    errors, length = [], min(len(samples), len(original))
    for n_fft in (512, 1024, 2048, 4096):
        pair = [
            np.abs(librosa.stft(x[:length], n_fft=n_fft, hop_length=n_fft // 4))
            * 4
            / n_fft
            for x in (samples, original)
        ]
        pair = [
            20
            * np.log10(np.maximum(x[1 : int(1e4 / CONFIG.sample_rate * n_fft)], 1e-4))
            for x in pair
        ]
        errors.append(np.abs(pair[0] - pair[1]).mean())
    return np.mean(errors)


# Bands to frequencies


def librosa_nnls(mel_power, config):
    options = {
        "sr": CONFIG.sample_rate,
        "n_fft": CONFIG.n_fft,
        "power": 2.0,
        "htk": True,
        "norm": None,
    }
    linear = librosa.feature.inverse.mel_to_stft(
        mel_power.T * SCALE**2, fmin=CONFIG.fmin, fmax=CONFIG.fmax, **options
    )
    return (linear.T / SCALE) ** 2


def scipy_nnls(mel_power, config):
    return np.array(
        [
            scipy.optimize.nnls(mel_filters(config), frame)[0]
            for frame in mel_power.astype(float)
        ]
    )


def by_vocoder(mel_power, config, vocoder=None):
    vocoder = vocoder or shipped_vocoder(config)
    return mel_to_linear(mel_power, config, start=vocoder.spread(mel_power)[0])


# Name -> function of `(mel_power, config)` that returns power, and which frames it gets and is scored on.
# Tables "bands", "whole" and "tagger" take another way to sound from here and from `VARIANTS`.
BAND_WAYS = {
    "librosa mel_to_stft (NNLS)": (librosa_nnls, "few"),
    "scipy nnls (exact)": (scipy_nnls, "few"),
    "mel_to_linear": (mel_to_linear, "all"),
    "mel_to_linear, frames of NNLS": (mel_to_linear, "all, scored on few"),
    "vocoder": (by_vocoder, "all"),
    "vocoder, frames of NNLS": (by_vocoder, "all, scored on few"),
}


def compare_bands(clips, frames=("all", "few", "all, scored on few")):
    ways, rows = {name: way for name, way in BAND_WAYS.items() if way[1] in frames}, []
    for clip in clips:
        samples = clip.samples
        truth = np.abs(even_loop(samples).forward(samples)) / SCALE
        mel_power = np.maximum(truth**2 @ mel_filters(CONFIG).T, 1e-7)
        few = np.linspace(0, len(truth) - 1, NNLS_FRAMES).astype(int)
        for name, (method, given_to_it) in ways.items():
            given = mel_power[few] if given_to_it == "few" else mel_power
            linear, seconds = timed(method, given, CONFIG)
            if given_to_it == "all, scored on few":
                linear = linear[few]
            wanted, bands = (
                (truth, mel_power)
                if given_to_it == "all"
                else (truth[few], mel_power[few])
            )
            heard = (wanted > 10 ** (CONFIG.floor_db / 20)) & (
                mel_filters(CONFIG).sum(axis=0) > 0.1
            )
            again = np.maximum(linear @ mel_filters(CONFIG).T, 1e-7)
            rows.append(
                {
                    "style": clip.style,
                    "method": name,
                    "magnitude error (share)": np.linalg.norm(np.sqrt(linear) - wanted)
                    / np.linalg.norm(wanted),
                    "magnitude error (dB)": np.abs(
                        10
                        * np.log10(np.maximum(linear, 1e-8)[heard] / wanted[heard] ** 2)
                    ).mean(),
                    "band error (dB)": np.abs(10 * np.log10(again / bands)).mean(),
                    "ms a frame": 1e3 * seconds / len(given),
                }
            )
    return rows


# Phases


def find_samples(magnitude, loop, method):
    start = loop.with_phases(
        magnitude, method.start(magnitude, loop, np.random.default_rng(0))
    )
    return fast_griffin_lim(magnitude, start, loop, method.rounds, method.momentum)


def librosa_griffinlim(magnitude):
    return librosa.griffinlim(magnitude.T, hop_length=512, n_fft=CONFIG.n_fft)


def through_bands(magnitude):
    """What is left of magnitudes in the units of `LoopSTFT` after 128 bands."""
    mel_power = (magnitude / SCALE) ** 2 @ mel_filters(CONFIG).T
    return (np.sqrt(mel_to_linear(mel_power, CONFIG)) * SCALE).astype(np.float32)


def compare_phases(clips):
    rows = []
    for clip in clips:
        samples = clip.samples
        loop, seconds_long = even_loop(samples), len(samples) / CONFIG.sample_rate
        truth = np.abs(loop.forward(samples))
        from_bands = through_bands(truth)
        for target, magnitude in (
            ("true magnitudes", truth),
            ("magnitudes from 128 bands", from_bands),
        ):
            made, seconds = timed(librosa_griffinlim, magnitude)
            again = np.abs(librosa.stft(made, hop_length=512, n_fft=CONFIG.n_fft)).T[
                : len(magnitude)
            ]
            error = np.linalg.norm(again - magnitude) / np.linalg.norm(magnitude)
            rows.append(
                {
                    "target": target,
                    "method": "librosa griffinlim",
                    "spectral convergence": error,
                    "seconds": seconds / seconds_long,
                }
            )
            for name, method in METHODS.items():
                if method.band_rounds:
                    continue  # it has no target of magnitudes
                made, seconds = timed(find_samples, magnitude, loop, method)
                error = spectral_convergence(made, magnitude, loop)
                rows.append(
                    {
                        "target": target,
                        "method": name,
                        "spectral convergence": error,
                        "seconds": seconds / seconds_long,
                    }
                )
    return rows


# The whole way


def by_librosa(level, config, tempo):
    """librosa's Griffin-Lim (32 rounds) on levels read every 512 samples; its NNLS would take half a minute a clip."""
    moments = (
        np.arange(round(len(level) * 60 / tempo / 16 * 22050 / 512) + 8)
        * 512
        / 22050
        * tempo
        / 60
        * 16
    )
    low = moments.astype(int)
    share = (moments - low)[:, None]
    read = (1 - share) * level[low % len(level)] + share * level[(low + 1) % len(level)]
    linear = mel_to_linear(
        np.where(read <= CONFIG.floor_db, 0.0, 10 ** (read / 10)), CONFIG
    )
    return librosa_griffinlim(np.sqrt(linear) * SCALE)[
        : round(len(level) * 60 / tempo / 16 * 22050)
    ]


# Name -> function of `(level, config, tempo)` that returns samples.
VARIANTS = {"mel_to_linear and librosa griffinlim": by_librosa}
VARIANTS |= {name: functools.partial(to_audio, method=name) for name in METHODS}


def compare_whole(clips):
    rows = []
    for clip in clips:
        samples = clip.samples
        level, loop = frames_of(samples), even_loop(samples)
        truth = np.abs(loop.forward(samples))
        for name, way in VARIANTS.items():
            made, seconds = timed(way, level, CONFIG, tempo_of(samples))
            rows.append(
                {
                    "method": name,
                    "log-mel error (dB)": np.abs(frames_of(made) - level).mean(),
                    "distance from the true magnitudes": spectral_convergence(
                        made[: len(samples)], truth, loop
                    ),
                    "spectrum error (dB)": spectrum_error(made, samples),
                    "seconds": seconds / (len(samples) / CONFIG.sample_rate),
                }
            )
    return rows


def compare_rebuilt(clips):
    """What the shipped model makes of clips, brought to sound; compared with what it made and with the original."""
    model = ConditionalVAE.from_preset("known_cvae")
    rows = []
    for clip in clips:
        level = frames_of(clip.samples)
        latent, _ = model.encode(CONFIG.scale(level)[None])
        label = np.eye(model.num_genres, dtype=np.float32)[
            [model.genres.index(clip.style)]
        ]
        rebuilt = CONFIG.unscale(model.decode(latent, label)[0])
        for name, way in VARIANTS.items():
            made = way(rebuilt, CONFIG, tempo_of(clip.samples))
            rows.append(
                {
                    "method": name,
                    "log-mel error of the sound (dB)": np.abs(
                        frames_of(made) - rebuilt
                    ).mean(),
                    "log-mel error of the model (dB)": np.abs(rebuilt - level).mean(),
                    "spectrum error (dB)": spectrum_error(made, clip.samples),
                }
            )
    return rows


# The choice of the features


@functools.cache
def spaced_filters(spacing, config):
    """Filters as `mel_filters` has them, on another scale of frequency.

    A logarithmic scale is linear below its corner, with the step that it has there.
    """
    if spacing == "HTK mel":
        return mel_filters(config)
    options = {"sr": config.sample_rate, "n_fft": config.n_fft}
    if spacing == "Slaney mel":
        return librosa.filters.mel(
            n_mels=config.n_mels,
            fmin=config.fmin,
            fmax=config.fmax,
            htk=False,
            norm=None,
            **options,
        )
    corner = float(spacing.split()[-2])
    steps = np.linspace(
        config.fmin / corner, 1 + np.log(config.fmax / corner), config.n_mels + 2
    )
    edges = corner * np.where(steps < 1, steps, np.exp(np.maximum(steps, 1) - 1))
    rising = (librosa.fft_frequencies(**options) - edges[:-2, None]) / np.diff(edges)[
        :-1, None
    ]
    falling = (edges[2:, None] - librosa.fft_frequencies(**options)) / np.diff(edges)[
        1:, None
    ]
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)


@contextlib.contextmanager
def bands_spaced(spacing):
    """Inside, the library's filters have this spacing."""
    filters = functools.partial(spaced_filters, spacing)
    analysis.mel_to_stft_weights.cache_clear()
    try:
        with (
            mock.patch.object(analysis, "mel_filters", filters),
            mock.patch.object(inversion, "mel_filters", filters),
        ):
            yield
    finally:
        analysis.mel_to_stft_weights.cache_clear()


def design(spacing="HTK mel", bands=128, window=2048, frames=16):
    """A spacing of bands and the `AudioConfig` of eight beats with it."""
    return spacing, dataclasses.replace(
        CONFIG,
        n_mels=bands,
        n_fft=window,
        frames_per_beat=frames,
        num_frames=8 * frames,
    )


DESIGNS = [design()] + [design(bands=n) for n in (64, 96, 192, 256)]
DESIGNS += [
    design(name)
    for name in (
        "log above 200 Hz",
        "log above 500 Hz",
        "Slaney mel",
        "log above 2000 Hz",
    )
]
DESIGNS += [design(window=n) for n in (1024, 4096)] + [
    design(frames=n) for n in (8, 32)
]
DESIGNS += [
    design(window=1024, frames=32),
    design(window=4096, frames=8),
    design(bands=256, window=4096),
]
DESIGNS += [design(bands=n, frames=32) for n in (192, 256)]
DESIGN_KEYS = ["bands", "spacing", "window", "frames a beat", "numbers a clip"]


def design_values(spacing, config):
    return dict(
        zip(
            DESIGN_KEYS,
            (
                config.n_mels,
                spacing,
                config.n_fft,
                config.frames_per_beat,
                config.num_frames * config.n_mels,
            ),
            strict=True,
        )
    )


def there_and_back(samples, spacing, config):
    with bands_spaced(spacing):
        return to_audio(
            frames_of(samples, config), config, tempo_of(samples), method="pghi_bands"
        )


def compare_design(clips):
    for spacing, config in DESIGNS:
        there_and_back(clips[0].samples, spacing, config)  # filters
    rows = []
    for clip in clips:
        level = frames_of(clip.samples)
        for spacing, config in DESIGNS:
            made, seconds = timed(there_and_back, clip.samples, spacing, config)
            rows.append(
                {
                    **design_values(spacing, config),
                    "log-mel error (dB, 128 HTK bands)": np.abs(
                        frames_of(made) - level
                    ).mean(),
                    "spectrum error (dB)": spectrum_error(made, clip.samples),
                    "seconds": seconds / (len(clip.samples) / config.sample_rate),
                }
            )
    return rows


# What a network that tags music hears of it all

NUM_COMPONENTS = (
    32  # of the embeddings; a Fréchet distance needs more clips than dimensions
)


def by_mp3(clip):
    file = io.BytesIO()
    soundfile.write(file, clip.samples, CONFIG.sample_rate, format="MP3")
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]


def by_noise(clip, ratio_db=30.0):
    noise = (
        np.random.default_rng(0).standard_normal(len(clip.samples)).astype(np.float32)
    )
    return clip.samples + noise * np.sqrt(np.mean(clip.samples**2)) * 10 ** (
        -ratio_db / 20
    )


def by_low_pass(clip):
    filters = scipy.signal.butter(8, 4000.0, fs=CONFIG.sample_rate, output="sos")
    return scipy.signal.sosfiltfilt(filters, clip.samples)


def by_phases_only(clip):
    """All magnitudes of the windows are known, phases are not."""
    loop = even_loop(clip.samples)
    return find_samples(
        np.abs(loop.forward(clip.samples)), loop, METHODS["pghi_griffin_lim"]
    )


def by_bands_only(clip):
    """Phases are known, of the magnitudes only the bands."""
    loop = even_loop(clip.samples)
    spectra = loop.forward(clip.samples)
    magnitude = np.abs(spectra)
    return loop.inverse(
        spectra * (through_bands(magnitude) / np.maximum(magnitude, 1e-9))
    )


CONTROLS = {
    "more of the same music": lambda clip: clip.another,
    "mp3": by_mp3,
    "noise 30 dB below": by_noise,
    "low-pass 4 kHz": by_low_pass,
    "all magnitudes, phases by pghi_griffin_lim": by_phases_only,
    "magnitudes from 128 bands, true phases": by_bands_only,
}


def paired_kernel_distance(points, originals):
    """`kernel_distance` without the pairs of a clip and its own original, which would pull it below 0.

    Source: Gretton et al. (2012), JMLR 13, the unbiased estimate for as many points on both sides.
    """
    bandwidth = np.median(pdist(originals))
    cross = np.exp(-0.5 * (cdist(points, originals) / bandwidth) ** 2)
    others = (cross.sum() - np.trace(cross)) / (len(points) * (len(points) - 1))
    return kernel_distance(points, originals) + 200.0 * (cross.mean() - others)


def compare_tagger(clips):
    """Distances of clips from their originals, in the embedding of `tagger`.

    The paired distance is that of a clip from its own original, over the mean distance between two clips of
    one style. Sets are compared in the first principal components of the originals, whose variance is set to 100.
    """
    sounds = {
        ("control", name): (lambda clip, way=way: way(clip))
        for name, way in CONTROLS.items()
    }
    for name, way in VARIANTS.items():
        sounds["way", name] = lambda clip, way=way: way(
            frames_of(clip.samples), CONFIG, tempo_of(clip.samples)
        )
    for spacing, config in DESIGNS:
        name = f"{config.n_mels} bands, {spacing}, window {config.n_fft}, {config.frames_per_beat} frames a beat"
        sounds["design", name] = lambda clip, made=(spacing, config): there_and_back(
            clip.samples, *made
        )

    styles = np.array([clip.style for clip in clips])
    numbers = np.unique(styles, return_inverse=True)[1]
    originals = tagger.embed(clip.samples for clip in clips)
    unit = np.mean(list(mean_pairwise_distance(originals, numbers).values()))
    mean = originals.mean(axis=0)
    _, sizes, axes = np.linalg.svd(originals - mean, full_matrices=False)
    axes = axes[:NUM_COMPONENTS].T * np.sqrt(
        100.0 / (sizes[:NUM_COMPONENTS] ** 2).sum() * (len(clips) - 1)
    )

    def distances(points, reference, kernel=kernel_distance):
        points, reference = (points - mean) @ axes, (reference - mean) @ axes
        return {
            "Fréchet": frechet_distance(points, reference),
            "kernel": kernel(points, reference),
        }

    made = {key: tagger.embed(map(sound, clips)) for key, sound in sounds.items()}
    paired = {
        key: np.linalg.norm(points - originals, axis=1) / unit
        for key, points in made.items()
    }
    base = paired["way", "pghi_bands"]
    root = np.sqrt(len(clips))
    rows = [
        {
            "part": part,
            "sound": name,
            "paired": paired[part, name].mean(),
            "standard error": paired[part, name].std() / root,
            "paired, less pghi_bands": (paired[part, name] - base).mean(),
            "standard error of that": (paired[part, name] - base).std() / root,
            **distances(points, originals, paired_kernel_distance),
            "clips a side": len(clips),
        }
        for (part, name), points in made.items()
    ]

    halves = [
        np.concatenate(
            [np.flatnonzero(styles == style)[k::2] for style in np.unique(styles)]
        )
        for k in (0, 1)
    ]
    rows.append(
        {
            "part": "control",
            "sound": "half of the clips, the other half",
            **distances(*(originals[half] for half in halves)),
            "clips a side": len(halves[1]),
        }
    )
    pairs = []
    for first, second in itertools.combinations(np.unique(styles), 2):
        sides = originals[styles == first], originals[styles == second]
        pairs.append(
            {
                "part": "styles",
                "sound": f"{first}, {second}",
                "paired": cdist(*sides).mean() / unit,
                **distances(*sides),
                "clips a side": min(map(len, sides)),
            }
        )
    return rows + pairs


TABLES = {
    "bands": (compare_bands, ["method"]),
    "styles": (functools.partial(compare_bands, frames=("all",)), ["style", "method"]),
    "phases": (compare_phases, ["target", "method"]),
    "whole": (compare_whole, ["method"]),
    "rebuilt": (compare_rebuilt, ["method"]),  # known-factor music only
    "design": (compare_design, DESIGN_KEYS),
    "tagger": (compare_tagger, ["part", "sound"]),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data",
        help="a folder of genres or of FMA; nothing for the known-factor music",
    )
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument(
        "--vocoder",
        type=Path,
        help="file of another vocoder, compared in the tables bands and styles",
    )
    options = parser.parse_args()
    if options.vocoder:
        another = functools.partial(by_vocoder, vocoder=load_compact(options.vocoder))
        BAND_WAYS[options.vocoder.stem] = (another, "all")
    music = "real" if options.data else "known"
    clips = (
        real_clips(options.data, options.clips)
        if options.data
        else known_clips(options.clips)
    )
    to_audio(frames_of(clips[0].samples), CONFIG)  # compiles
    librosa_griffinlim(np.ones((50, 1025), np.float32))
    for name in options.tables:
        if name == "rebuilt" and options.data:
            continue  # the shipped model knows other music
        compare, keys = TABLES[name]
        grouped = pd.DataFrame(compare(clips)).groupby(keys, sort=False)
        table = grouped.mean(numeric_only=True).astype(float)
        for column in {"seconds", "ms a frame"} & set(table):
            table[column] = grouped[column].median()
        table = table.reset_index().round(4).convert_dtypes()
        table.insert(0, "music", music)
        table["clips"], table["command"] = (
            len(clips),
            (
                f"OMP_NUM_THREADS=1 python tests/benchmarks/inversion.py --tables {name} --clips {options.clips}"
                + (" --data FOLDER" if options.data else "")
                + (f" --vocoder {options.vocoder.name}" if options.vocoder else "")
            ),
        )
        path = RESULTS / f"inversion_{name}.csv"
        if path.exists():
            old = pd.read_csv(path)
            old = old[old["music"] != music].dropna(axis=1, how="all")
            table = pd.concat([table, old]).sort_values("music", kind="stable")
        table.to_csv(path, index=False)
        print(
            table[table["music"] == music]
            .drop(columns=["music", "clips", "command"])
            .to_string(index=False),
            flush=True,
        )


if __name__ == "__main__":
    main()
