"""Measures the way back to sound: bands to frequencies, phases, the whole way, and the choice of the features.

    OMP_NUM_THREADS=1 python tests/benchmarks/inversion.py [--data FOLDER] [--clips 12] [--tables bands ...]

Without a folder the music is the known-factor music. Tables go to `data/results/inversion_<table>.csv`; rows
of the same music are replaced, others stay. All sides of a comparison run clip by clip in one process; seconds
are those of one core (process time), medians over the clips, for each second of music.
"""

import argparse
import dataclasses
import functools
import time
from pathlib import Path

import librosa
import numpy as np
import pandas as pd
import scipy.optimize

from cvae_music import AudioConfig, log_mel, to_audio
from cvae_music.audio import audio_duration, beat_frame_times, load_audio, mel_filters
from cvae_music.beats import track_beats
from cvae_music.inversion import METHODS, LoopSTFT, find_samples, mel_to_linear, spectral_convergence
from cvae_music.music import compose, draw_factors

CONFIG = AudioConfig()
RESULTS = Path(__file__).resolve().parents[2] / "data" / "results"
SCALE = np.float32(CONFIG.n_fft / 4)  # of `LoopSTFT` over the amplitude of a sine
NNLS_FRAMES = 4  # of each clip; librosa takes some 160 ms for each


def known_clips(num, seed=11):
    """Loops of eight beats, all genres in turn: `(tempo, samples)`."""
    return [(row["tempo"], compose(row)) for _, row in draw_factors(num, seed=seed).iterrows()]


def real_clips(folder, num):
    """Eight beats from the middle of some files of each genre, at their mean tempo."""
    clips, genres = [], sorted(path for path in Path(folder).iterdir() if path.is_dir())
    num_per_genre = max(1, num // len(genres))
    for genre in genres:
        files = sorted(path for path in genre.iterdir() if path.suffix in (".wav", ".mp3", ".ogg", ".flac"))
        for path in files[5 :: max(1, len(files) // num_per_genre)][:num_per_genre]:
            sound = load_audio(path, CONFIG, start=max(0.0, audio_duration(path) / 2 - 10), duration=20.0)
            beats = np.asarray(track_beats(sound, CONFIG)[0])
            first, last = beats[len(beats) // 3], beats[len(beats) // 3 + 8]
            clips.append((480.0 / (last - first), sound[round(first * 22050) : round(last * 22050)]))
    return clips



def frames_of(samples, config=CONFIG):
    beats = np.linspace(0.0, len(samples) / config.sample_rate, config.num_beats + 1)
    return log_mel(samples, beat_frame_times(beats, config), config, wrap=True)


def timed(function, *arguments, **options):
    start = time.process_time()
    result = function(*arguments, **options)
    return result, time.process_time() - start


def even_loop(samples, hop=512):
    """Frames about `hop` samples apart around the loop, which librosa's functions expect."""
    count = round(len(samples) / hop)
    return LoopSTFT(np.round(np.arange(count) * len(samples) / count), len(samples), CONFIG.n_fft)


def spectrum_error(samples, original):
    """Mean difference of log magnitudes below 10 kHz over windows of 512 to 4,096 samples, in dB."""
    errors, length = [], min(len(samples), len(original))
    for n_fft in (512, 1024, 2048, 4096):
        pair = [np.abs(librosa.stft(x[:length], n_fft=n_fft, hop_length=n_fft // 4)) * 4 / n_fft for x in (samples, original)]
        pair = [20 * np.log10(np.maximum(x[1 : int(1e4 / CONFIG.sample_rate * n_fft)], 1e-4)) for x in pair]
        errors.append(np.abs(pair[0] - pair[1]).mean())
    return np.mean(errors)


# Bands to frequencies


def librosa_nnls(mel_power):
    options = {"sr": CONFIG.sample_rate, "n_fft": CONFIG.n_fft, "power": 2.0, "htk": True, "norm": None}
    linear = librosa.feature.inverse.mel_to_stft(mel_power.T * SCALE**2, fmin=CONFIG.fmin, fmax=CONFIG.fmax, **options)
    return (linear.T / SCALE) ** 2


def scipy_nnls(mel_power):
    return np.array([scipy.optimize.nnls(mel_filters(CONFIG), frame)[0] for frame in mel_power.astype(float)])


def compare_bands(clips):
    rows = []
    for _, samples in clips:
        truth = np.abs(even_loop(samples).forward(samples)) / SCALE
        mel_power = np.maximum(truth**2 @ mel_filters(CONFIG).T, 1e-7)
        few = np.linspace(0, len(truth) - 1, NNLS_FRAMES).astype(int)
        for name, method, part in (
            ("librosa mel_to_stft (NNLS)", librosa_nnls, few), ("scipy nnls (exact)", scipy_nnls, few),
            ("mel_to_linear", lambda power: mel_to_linear(power, CONFIG), slice(None)),
            ("mel_to_linear, frames of NNLS", lambda power: mel_to_linear(power, CONFIG), few),
        ):  # fmt: skip
            linear, seconds = timed(method, mel_power[part])
            wanted, bands = truth[part], mel_power[part]
            heard = (wanted > 10 ** (CONFIG.floor_db / 20)) & (mel_filters(CONFIG).sum(axis=0) > 0.1)
            again = np.maximum(linear @ mel_filters(CONFIG).T, 1e-7)
            rows.append({
                "method": name,
                "magnitude error (share)": np.linalg.norm(np.sqrt(linear) - wanted) / np.linalg.norm(wanted),
                "magnitude error (dB)": np.abs(10 * np.log10(np.maximum(linear, 1e-8)[heard] / wanted[heard] ** 2)).mean(),
                "band error (dB)": np.abs(10 * np.log10(again / bands)).mean(),
                "ms a frame": 1e3 * seconds / len(wanted),
            })  # fmt: skip
    return rows


# Phases


def librosa_griffinlim(magnitude):
    return librosa.griffinlim(magnitude.T, hop_length=512, n_fft=CONFIG.n_fft)


def compare_phases(clips):
    rows = []
    for _, samples in clips:
        loop, seconds_long = even_loop(samples), len(samples) / CONFIG.sample_rate
        truth = np.abs(loop.forward(samples))
        from_bands = (np.sqrt(mel_to_linear((truth / SCALE) ** 2 @ mel_filters(CONFIG).T, CONFIG)) * SCALE).astype(np.float32)
        for target, magnitude in (("true magnitudes", truth), ("magnitudes from 128 bands", from_bands)):
            made, seconds = timed(librosa_griffinlim, magnitude)
            again = np.abs(librosa.stft(made, hop_length=512, n_fft=CONFIG.n_fft)).T[: len(magnitude)]
            error = np.linalg.norm(again - magnitude) / np.linalg.norm(magnitude)
            rows.append({"target": target, "method": "librosa griffinlim", "spectral convergence": error, "seconds": seconds / seconds_long})
            for name, method in METHODS.items():
                if method.band_rounds:
                    continue  # it has no target of magnitudes
                made, seconds = timed(find_samples, magnitude, loop, method, np.random.default_rng(0))
                error = spectral_convergence(made, magnitude, loop)
                rows.append({"target": target, "method": name, "spectral convergence": error, "seconds": seconds / seconds_long})
    return rows


# The whole way


def by_librosa(level, tempo):
    """librosa's Griffin-Lim (32 rounds) on levels read every 512 samples; its NNLS would take half a minute a clip."""
    moments = np.arange(round(len(level) * 60 / tempo / 16 * 22050 / 512) + 8) * 512 / 22050 * tempo / 60 * 16
    low = moments.astype(int)
    share = (moments - low)[:, None]
    read = (1 - share) * level[low % len(level)] + share * level[(low + 1) % len(level)]
    linear = mel_to_linear(np.where(read <= CONFIG.floor_db, 0.0, 10 ** (read / 10)), CONFIG)
    return librosa_griffinlim(np.sqrt(linear) * SCALE)[: round(len(level) * 60 / tempo / 16 * 22050)]


def compare_whole(clips):
    rows = []
    for tempo, samples in clips:
        level, loop = frames_of(samples), even_loop(samples)
        tempo = 480.0 / (len(samples) / CONFIG.sample_rate)
        truth = np.abs(loop.forward(samples))
        ways = {"mel_to_linear and librosa griffinlim": functools.partial(by_librosa, level, tempo)}
        ways |= {name: functools.partial(to_audio, level, CONFIG, tempo, method=name) for name in METHODS}
        for name, way in ways.items():
            made, seconds = timed(way)
            rows.append({
                "method": name,
                "log-mel error (dB)": np.abs(frames_of(made) - level).mean(),
                "distance from the true magnitudes": spectral_convergence(made[: len(samples)], truth, loop),
                "spectrum error (dB)": spectrum_error(made, samples),
                "seconds": seconds / (len(samples) / CONFIG.sample_rate),
            })  # fmt: skip
    return rows


# The choice of the features


def compare_design(clips):
    changes = [{"n_mels": n} for n in (96, 128, 192, 256)] + [{"n_fft": n} for n in (1024, 4096)]
    changes += [{"frames_per_beat": n, "num_frames": 8 * n} for n in (8, 32)]
    changes += [{"n_mels": 192, "frames_per_beat": 32, "num_frames": 256}, {"n_mels": 256, "frames_per_beat": 32, "num_frames": 256}]
    rows = []
    for _, samples in clips:
        for change in changes:
            config = dataclasses.replace(CONFIG, **change)
            made, seconds = timed(to_audio, frames_of(samples, config), config, 480.0 * config.sample_rate / len(samples))
            rows.append({
                "bands": config.n_mels, "window": config.n_fft, "frames a beat": config.frames_per_beat,
                "numbers a clip": config.num_frames * config.n_mels,
                "log-mel error (dB, 128 bands)": np.abs(frames_of(made) - frames_of(samples)).mean(),
                "spectrum error (dB)": spectrum_error(made, samples),
                "seconds": seconds / (len(samples) / config.sample_rate),
            })  # fmt: skip
    return rows


TABLES = {
    "bands": (compare_bands, ["method"]),
    "phases": (compare_phases, ["target", "method"]),
    "whole": (compare_whole, ["method"]),
    "design": (compare_design, ["bands", "window", "frames a beat", "numbers a clip"]),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="a folder of genres; nothing for the known-factor music")
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    options = parser.parse_args()
    music = "real" if options.data else "known"
    clips = real_clips(options.data, options.clips) if options.data else known_clips(options.clips)
    to_audio(frames_of(clips[0][1]), CONFIG)  # compiles
    librosa_griffinlim(np.ones((50, 1025), np.float32))
    for name in options.tables:
        compare, keys = TABLES[name]
        grouped = pd.DataFrame(compare(clips)).groupby(keys, sort=False)
        table = grouped.mean()
        for column in {"seconds", "ms a frame"} & set(table):
            table[column] = grouped[column].median()
        table = table.reset_index().round(4)
        table.insert(0, "music", music)
        table["clips"], table["command"] = len(clips), (
            f"OMP_NUM_THREADS=1 python tests/benchmarks/inversion.py --tables {name} --clips {options.clips}"
            + (" --data FOLDER" if options.data else "")
        )
        path = RESULTS / f"inversion_{name}.csv"
        if path.exists():
            old = pd.read_csv(path)
            table = pd.concat([old[old["music"] != music], table]).sort_values("music", kind="stable")
        table.to_csv(path, index=False)
        print(table[table["music"] == music].drop(columns=["music", "clips", "command"]).to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
