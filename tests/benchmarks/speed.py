"""Measures the speed of the library, and its peak memory: each table with all sides of a comparison in one run.

    python tests/benchmarks/speed.py [--tables extraction beats ...] [--repeats 5] [--data FOLDER]

Sides take turns, each in a process of its own; seconds are medians of wall-clock time, in which the start of the process
counts unless the column says otherwise. Peak memory is that of a process and of all that it started, without files that
are only mapped, read every 20 ms.
Tables go to `lib/cvae_lab/results/speed_<table>.csv`, from where `tools/result_tables.py` takes them.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RESULTS = Path(__file__).resolve().parents[2] / "lib" / "cvae_lab" / "results"
WORKERS = 2
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
}
KINDS = {"22 kHz, mono": (22050, 1), "44 kHz, stereo": (44100, 2)}  # of mp3 files
PLAIN = "librosa load + melspectrogram, joblib"
SIDES = {  # of extraction
    "this library, beat grid": ("extract", "beats"),
    "this library, grid in seconds": ("extract", "seconds"),
    PLAIN: ("plain_loop", "mel"),
    "the same + beat_track": ("plain_loop", "beats"),
    "decoding alone, joblib": ("plain_loop", "nothing"),
}
TIMES = (1, 4, 16)


# What runs in a process of its own: it imports what it needs, and returns what JSON can hold.


def extract(folder, grid):
    """Seconds of the features of a folder, made twice: from the start of the process, and once more."""
    from cvae_music.config import AudioConfig
    from cvae_music.data.features import build_features
    from cvae_music.data.sources import folder_collection

    def build():
        with tempfile.TemporaryDirectory() as cache:
            build_features(
                folder_collection(folder),
                AudioConfig(grid=grid),
                cache,
                num_workers=WORKERS,
                progress=False,
            )

    return twice(build)


def plain_loop(folder, more):
    """Seconds of the loop that most people write, twice."""
    import joblib
    import librosa
    import soundfile

    def work(path):
        if more == "nothing":
            return soundfile.read(path)[0].shape
        samples, rate = librosa.load(path, sr=22050)
        if more == "beats":
            librosa.beat.beat_track(y=samples, sr=rate)
        return librosa.feature.melspectrogram(y=samples, sr=rate).shape

    paths = sorted(Path(folder).rglob("*.mp3"))
    return twice(
        lambda: joblib.Parallel(n_jobs=WORKERS)(
            joblib.delayed(work)(path) for path in paths
        )
    )


def twice(work):
    """`[clock when it was done first, seconds of the second time]`."""
    work()
    first, start = time.time(), time.perf_counter()
    work()
    return [first, time.perf_counter() - start]


def first_clip():
    """The clock when the library is loaded, and when a preset has played."""
    import cvae_music as cm

    loaded = time.time()
    model = cm.ConditionalVAE.from_preset("known_cvae")
    cm.make_clip(model, genre=model.genres[0], seed=1)
    return [loaded, time.time()]


def scale_extraction(folder, times):
    """Seconds of as many files, in which the processes are started."""
    from cvae_music.config import AudioConfig
    from cvae_music.data.features import build_features
    from cvae_music.data.sources import folder_collection

    start = time.perf_counter()
    build_features(
        folder_collection(f"{folder}/{times}"),
        AudioConfig(),
        f"{folder}/cache",
        num_workers=WORKERS,
        progress=False,
    )
    return time.perf_counter() - start


def scale_evaluation(folder, times):
    """Seconds of the scoreboard of the shipped model on `times` as many clips."""
    from cvae_lab.judges.classifiers import load_judge
    from cvae_lab.measures.scoreboard import evaluate_model
    from cvae_lab.notebook.weights import WEIGHTS
    from cvae_music.models.conditional import ConditionalVAE

    features, model = (
        repeated(folder, int(times)),
        ConditionalVAE.from_preset("known_cvae"),
    )
    judges = {
        kind: load_judge(WEIGHTS / f"known_judge_{kind}.npz")
        for kind in ("cnn", "descriptors")
    }
    evaluate_model(model, repeated(folder, 1), judges)  # traces
    start = time.perf_counter()
    evaluate_model(model, features, judges, max_clips=len(features))
    return time.perf_counter() - start


def scale_clustering(folder, times):
    """Seconds of encoding, of the raw features and of all scores of the clusters of `times` as many clips."""
    from cvae_lab.measures.clustering import baseline_points, cluster_scores
    from cvae_lab.measures.scores import in_pieces
    from cvae_music.models.conditional import ConditionalVAE

    features, model = (
        repeated(folder, int(times)),
        ConditionalVAE.from_preset("known_cvae"),
    )
    train, test = features.subset("train"), features.subset("test")
    start = time.perf_counter()
    points = baseline_points(train.log_mel, test.log_mel)
    points["latents"] = [
        in_pieces(
            lambda clips: model.encode(features.config.scale(clips))[0], part.log_mel
        )
        for part in (train, test)
    ]
    for some in points.values():
        cluster_scores(some[0], train.genre_index, some[1], test.genre_index)
    return time.perf_counter() - start


def repeated(folder, times):
    """The features of a folder `times` over, with a little noise, on disk."""
    import numpy as np

    from cvae_music.data.features import load_features

    features = load_features(next(Path(folder).glob("known-*")))
    path, index = (
        Path(folder) / f"{times}.npy",
        np.repeat(np.arange(len(features)), times),
    )
    if not path.exists():
        rng = np.random.default_rng(0)
        held = np.lib.format.open_memmap(
            path, "w+", np.float16, (len(index), *features.config.shape)
        )
        for k in range(0, len(index), 128):
            clips = features.log_mel[index[k : k + 128]]
            held[k : k + 128] = np.clip(clips + rng.normal(0, 0.5, clips.shape), -70, 0)
        held.flush()
    table = features.table.iloc[index].reset_index(drop=True)
    return dataclasses.replace(
        features, table=table, log_mel=np.load(path, mmap_mode="r")
    )


def wait_for_batches(folder, place):
    """`[milliseconds of waiting, of a step]`: medians of 60 steps of the shipped kind of model."""
    import tensorflow as tf

    from cvae_music.data import batches
    from cvae_music.models.conditional import ConditionalVAE
    from cvae_music.training import compile_model

    features = repeated(folder, 1)
    batches.RAM_LIMIT = 0 if place == "on disk" else 2**30
    model = ConditionalVAE(features.config, genres=features.genres)
    compile_model(model, 1440)
    step = tf.function(model.train_step, autograph=False)
    found, clips = (
        [],
        iter(batches.make_dataset(features, "train", augment=True).repeat()),
    )
    for _ in range(65):
        start = time.perf_counter()
        batch = next(clips)
        came = time.perf_counter()
        float(step(batch)["loss"])
        found.append((1000 * (came - start), 1000 * (time.perf_counter() - start)))
    return [statistics.median(column) for column in zip(*found[5:], strict=True)]


def latent_to_sound(tempo):
    """Seconds of one thread for one second of sound: medians over genres and seeds, of decoding, of `to_audio`, of both."""
    import tensorflow as tf

    from cvae_music.audio.inversion import to_audio
    from cvae_music.models.conditional import ConditionalVAE

    assert tf.config.threading.get_intra_op_parallelism_threads() <= 1
    model, found, tempo = ConditionalVAE.from_preset("known_cvae"), [], float(tempo)
    for k in range(4 * model.num_genres):
        latent, genre = (
            model.sample_latents([k % model.num_genres], seed=k),
            [k % model.num_genres],
        )
        start = time.process_time()
        level = model.audio_config.unscale(model.decode(latent, genre)[0])
        decoded = time.process_time()
        samples = to_audio(level, model.audio_config, tempo, seed=k)
        found.append(
            [
                (t - start) / (len(samples) / 22050)
                for t in (decoded, time.process_time())
            ]
        )
    return [statistics.median(column) for column in zip(*found[2:], strict=True)]


# Running them.


def run(side, *arguments, **environment):
    """`(what a side returned, clock when its process was started, its peak memory in MiB)`."""
    command, start = (
        [sys.executable, __file__, "--side", side, *map(str, arguments)],
        time.time(),
    )
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "TQDM_DISABLE": "1"}
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | quiet | environment,
    )
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, memory(process.pid))
        time.sleep(0.02)
    printed, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{command} failed:\n{errors}")
    return json.loads(printed.splitlines()[-1]), start, peak


def memory(pid):
    """MiB that a process and all it started hold now as their own."""
    total = 0.0
    with contextlib.suppress(OSError, StopIteration):  # it may end meanwhile
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        total = (
            int(next(line for line in lines if line.startswith("RssAnon")).split()[1])
            / 1024
        )
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            total += sum(map(memory, children.read_text().split()))
    return total


def extraction(options):
    """60 mp3 files of 30 s, on two cores."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, (rate, channels) in KINDS.items():
            write_music(f"{folder}/{kind}", 60, 30.0, "mp3", rate, channels)
        for kind in KINDS:
            found = {side: [] for side in SIDES}
            for _ in range(options.repeats):
                for side, (program, argument) in SIDES.items():
                    (done, again), start, peak = run(
                        program, f"{folder}/{kind}", argument
                    )
                    found[side].append((done - start, again, peak))
            medians = {
                side: [
                    statistics.median(column) for column in zip(*values, strict=True)
                ]
                for side, values in found.items()
            }
            for side, (first, again, peak) in medians.items():
                rows.append(
                    {
                        "files": kind,
                        "side": side,
                        "seconds": first,
                        "times the plain loop": first / medians[PLAIN][0],
                        "seconds, warm": again,
                        "peak memory (MiB)": peak,
                    }
                )
    return rows


def write_music(folder, num_files, seconds, ending, rate=22050, channels=1):
    """Pieces of all genres, begun anywhere in their loops."""
    import numpy as np
    import soundfile

    from known_music import compose, draw_factors

    for k, row in draw_factors(num_files, seed=3).iterrows():
        loop = np.roll(compose(row, rate), -round(0.37 * rate * k))
        sides = [
            np.resize(np.roll(loop, 7 * side), round(seconds * rate))
            for side in range(channels)
        ]
        path = Path(folder, row["genre"], f"{k:05d}.{ending}")
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.stack(sides, axis=1), rate)


def beats(options):
    """Whether beats are those of librosa and those that were composed."""
    import librosa
    import numpy as np
    import threadpoolctl

    from cvae_music.audio.beats import track_beats
    from cvae_music.audio.files import load_audio
    from cvae_music.config import AudioConfig
    from known_music import compose, draw_factors

    def by_librosa(samples):
        envelope = librosa.onset.onset_strength(y=samples, sr=22050)
        return librosa.beat.beat_track(
            onset_envelope=envelope, sr=22050, trim=False, units="time"
        )[1]

    config, music = AudioConfig(), {"known-factor": [], "real": []}
    for k, row in draw_factors(60, seed=5).iterrows():
        music["known-factor"].append(
            (np.resize(np.roll(compose(row), -8000 * k), 30 * 22050), row["tempo"])
        )
    if options.data:
        paths = sorted(
            path
            for path in Path(options.data).rglob("*")
            if path.suffix in (".mp3", ".wav")
        )
        picked = np.unique(np.linspace(0, len(paths) - 1, 120).astype(int))
        music["real"] = [
            (load_audio(paths[k], config, 0.0, 30.0), None) for k in picked
        ]
    trackers, rows = (
        {
            "this library": lambda samples: track_beats(samples, config)[0],
            "librosa": by_librosa,
        },
        [],
    )
    for kind, pieces in music.items():
        pieces = [
            (samples, tempo)
            for samples, tempo in pieces
            if np.abs(samples).max() > 1e-3
        ]
        found = {name: [] for name in trackers if pieces}
        threadpoolctl.threadpool_limits(1)
        for samples, tempo in pieces:
            places = {}
            for name, track in trackers.items():
                start = time.process_time()
                places[name] = track(samples)
                spent = 1000 * (time.process_time() - start)
                octaves = (
                    np.log2(60.0 / np.median(np.diff(places[name])) / tempo)
                    if tempo
                    else np.nan
                )
                distance = np.abs(places[name][:, None] - places["this library"][None])
                near = (
                    max(distance.min(axis=0).max(), distance.min(axis=1).max())
                    <= 1.01 * 512 / 22050
                )
                found[name].append(
                    [
                        near,
                        abs(octaves) < np.log2(1.04),
                        abs(octaves - np.round(octaves)) < np.log2(1.04),
                        spent,
                    ]
                )
        for name, values in found.items():
            near, right, octave = (
                np.mean(column) for column in list(zip(*values, strict=True))[:3]
            )
            known = (
                {"tempo within 4 %": right, "or its double or half": octave}
                if kind == "known-factor"
                else {}
            )
            spent = statistics.median(value[3] for value in values)
            rows.append(
                {
                    "music": kind,
                    "tracker": name,
                    "recordings": len(values),
                    "every beat within a frame": near,
                    **known,
                    "ms for 30 s": spent,
                }
            )
    return rows


def scaling(options):
    """1, 4 and 16 times the clips: 60 files of 10 s in two processes; 60 test clips of 600, on one thread."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        known_features(folder, 600)
        for times in TIMES:
            write_music(f"{folder}/{times}", 60 * times, 10.0, "wav")
        for what in ("extraction", "evaluation", "clustering"):
            for times in TIMES:
                seconds, _, peak = run(f"scale_{what}", folder, times, **ONE_THREAD)
                rows.append(
                    {
                        "what": what,
                        "times": times,
                        "seconds": seconds,
                        "peak memory (MiB)": peak,
                    }
                )
                first = rows[-1 - TIMES.index(times)]
                rows[-1]["seconds over proportion"] = seconds / times / first["seconds"]
                rows[-1]["memory over once"] = peak / first["peak memory (MiB)"]
    return rows


def known_features(folder, num_clips):
    from cvae_music.config import AudioConfig
    from cvae_music.data.features import build_features
    from cvae_music.data.sources import known_factor_collection

    build_features(
        known_factor_collection(num_clips), AudioConfig(), folder, progress=False
    )


def pipeline(options):
    """Waiting for batches in a training of the shipped kind of model."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        known_features(folder, 600)
        for place in ("in memory", "on disk"):
            (waiting, step), _, peak = run("wait_for_batches", folder, place)
            rows.append(
                {
                    "clips": place,
                    "waiting (ms)": waiting,
                    "step (ms)": step,
                    "share of the step": waiting / step,
                    "peak memory (MiB)": peak,
                }
            )
    return rows


def sound(options):
    """From a latent to eight beats of sound, on one thread."""
    rows = []
    for tempo in (90, 110, 140):
        (decoding, both), _, peak = run("latent_to_sound", tempo, **ONE_THREAD)
        rows.append(
            {
                "beats a minute": tempo,
                "ms for a clip": 1000 * both * 480 / tempo,
                "of these decoding": 1000 * decoding * 480 / tempo,
                "times real time": 1.0 / both,
                "peak memory (MiB)": peak,
            }
        )
    return rows


def start(options):
    """From the start of a process."""
    found = []
    for _ in range(options.repeats):
        (loaded, played), begun, peak = run("first_clip")
        found.append((loaded - begun, played - begun, peak))
    loaded, played, peak = (
        statistics.median(column) for column in zip(*found, strict=True)
    )
    return [
        {"until": "`import cvae_music`", "seconds": loaded},
        {
            "until": "the first clip of a preset",
            "seconds": played,
            "peak memory (MiB)": peak,
        },
    ]


def step(options):
    """A training step beside the same in PyTorch: see `step.py`."""
    from step import step_table

    return step_table()


# Name of a table -> function of the options that returns its rows.
TABLES = {
    "extraction": extraction,
    "beats": beats,
    "scaling": scaling,
    "pipeline": pipeline,
    "sound": sound,
    "start": start,
    "step": step,
}


def main():
    import pandas as pd

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument(
        "--repeats",
        type=int,
        default=5,
        help="turns of each side in the tables extraction and start",
    )
    parser.add_argument("--data", help="a folder of real music for the table beats")
    options = parser.parse_args()
    for name in options.tables:
        table = pd.DataFrame(TABLES[name](options)).round(3)
        table.to_csv(RESULTS / f"speed_{name}.csv", index=False)
        print(f"{name}\n{table.to_string(index=False)}\n", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--side"]:
        print(json.dumps(globals()[sys.argv[2]](*sys.argv[3:])))
    else:
        main()
