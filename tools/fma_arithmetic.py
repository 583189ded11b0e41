"""What FMA costs in shards, core-hours and traffic: `python tools/fma_arithmetic.py`.

The command times one core of this machine for a few minutes and prints the tables of
`examples/multi_worker/README.md` for it; with `--record` it also keeps the rates in
`lib/cvae_lab/results/rates.json`.
"""

import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "lib"))
RATES = ROOT / "lib" / "cvae_lab" / "results" / "rates.json"
README = ROOT / "examples" / "multi_worker" / "README.md"

GIB = 2**30
# Tracks, bytes, seconds a track: Defferrard et al. (2017), arXiv:1612.01840, which gives
# 343 days for the untrimmed set.
FMA = {
    "fma_small": (8_000, 7.2 * GIB, 30.0),
    "fma_medium": (25_000, 22 * GIB, 30.0),
    "fma_large": (106_574, 93 * GIB, 30.0),
    "fma_full": (106_574, 879 * GIB, 343 * 86_400 / 106_574),
}
TRAINING_SHARE = 0.8
SOURCES_PER_SHARD = 32
CORES = (2, 16, 64, 256)
NETWORKS = {"100 MB/s": 1e8, "1 GB/s": 1e9}  # from one store that all workers read
SECONDS_TO_MEASURE = 20.0


def measure_rates():
    """Measures what one core of this machine does, in processor time.

    Returns:
        Dict: `machine`; `tracks`, for tracks of 30 s and of fma_full's mean length, a
        dict of `seconds` of one core, `read` (share of the file's bytes that is read),
        `train_windows` and `eval_windows` (clips a track); `streamed`, clips a second
        from shards; `trained`, clips a second of the standard model; `clip_bytes`.
    """
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ[name] = "1"
    from cvae_lab.budget.probe import StepConfig, time_steps
    from cvae_lab.budget.sizes import SIZES
    from cvae_music.config import AudioConfig
    from cvae_music.data import batches
    from cvae_music.data.features import build_features
    from cvae_music.data.sources import folder_collection

    config = AudioConfig()
    rates = {"machine": platform.processor() or platform.machine(), "tracks": {}}
    batches.RAM_LIMIT = 0  # read from the shards, as of a set larger than memory
    with tempfile.TemporaryDirectory() as folder:
        for tracks, size, seconds in (FMA["fma_large"], FMA["fma_full"]):
            music = Path(folder) / str(round(seconds))
            write_tracks(music, seconds, 8 * size / tracks / seconds)
            collection = folder_collection(music)
            rates["tracks"][music.name] = time_tracks(collection, config)
        features = build_features(
            collection, config, folder, num_workers=1, progress=False
        )
        dataset = batches.make_dataset(features, "train", 8, augment=True)
        started = time.process_time()
        count = 0
        while time.process_time() < started + SECONDS_TO_MEASURE:
            count += sum(len(genre) for _, genre in dataset)
        rates["streamed"] = count / (time.process_time() - started)
    size = SIZES["standard"]
    steps = time_steps(
        size, tuple("abcd"), StepConfig(), num_steps=20, clock=time.process_time
    )
    rates["trained"] = size.batch_size / float(np.median(steps["step_seconds"]))
    rates["clip_bytes"] = 2 * config.num_frames * config.n_mels
    return rates


def write_tracks(folder, seconds, bits_a_second):
    """Writes six composed stereo mp3 files of this length and nearly this bit rate."""
    import soundfile

    from known_music import compose, draw_factors

    # libsndfile's scale: 0 is 320 kbit/s, 1 is 32 kbit/s.
    level = float(np.interp(bits_a_second, [32_000, 320_000], [1.0, 0.0]))
    for number, row in draw_factors(6, seed=1).iterrows():
        track = np.resize(compose(row, 44100, 64), round(seconds * 44100))
        path = folder / "ab"[number % 2] / f"{number}.mp3"
        path.parent.mkdir(parents=True, exist_ok=True)
        stereo = np.stack([track, np.roll(track, 441)], axis=1)
        soundfile.write(
            path,
            stereo,
            44100,
            format="MP3",
            bitrate_mode="CONSTANT",
            compression_level=level,
        )


def time_tracks(collection, config):
    """Times the extraction of each track, and measures the share of bytes it reads."""
    from cvae_lab.budget.probe import probe_files

    sizes = [Path(path).stat().st_size for path in collection.table["path"]]
    before = bytes_read()
    found = probe_files(
        collection, config, num_sources=len(collection), clock=time.process_time
    )
    # The probe reads the first file once more, to be warm.
    share = (bytes_read() - before) / (sum(sizes) + np.mean(sizes))
    names = ("seconds", "train_windows", "eval_windows")
    means = {name: float(found[name].mean()) for name in names}
    return means | {"read": min(1.0, float(share))}


def bytes_read():
    """Returns the bytes that this process has read from files so far (Linux)."""
    return int(Path("/proc/self/io").read_text(encoding="utf-8").split()[1])


def plan(name, rates, cores=2, bytes_a_second=1e8):
    """Computes what preparing a set of FMA costs, and an epoch of training on it.

    Args:
        name: Key of `FMA`.
        rates: What `measure_rates` returned.
        cores: Cores of all workers together.
        bytes_a_second: What they read and write together, from one store.

    Returns:
        Dict of counts, bytes and hours; `hours` is how long extraction takes, and
        `bottleneck`, `"cores"` or `"network"`, what it waits for.
    """
    tracks, size, seconds = FMA[name]
    track = rates["tracks"][str(round(seconds))]
    train_clips = tracks * TRAINING_SHARE * track["train_windows"]
    clips = train_clips + tracks * (1.0 - TRAINING_SHARE) * track["eval_windows"]
    feature_bytes = clips * rates["clip_bytes"]
    read_bytes = size * track["read"]
    core_hours = tracks * track["seconds"] / 3600.0
    read_hours = (read_bytes + feature_bytes) / bytes_a_second / 3600.0
    step_seconds = 1.0 / rates["trained"] + 1.0 / rates["streamed"]
    return {
        "tracks": tracks,
        "clips": clips,
        "shards": -(-tracks // SOURCES_PER_SHARD),
        "feature_bytes": feature_bytes,
        "read_bytes": read_bytes,
        "extract_core_hours": core_hours,
        "hours": max(core_hours / cores, read_hours),
        "bottleneck": "cores" if core_hours / cores > read_hours else "network",
        "epoch_core_hours": train_clips * step_seconds / 3600.0,
    }


def tables(rates):
    """Formats the two tables of the README, as Markdown."""
    lines = [
        "| | tracks | clips | features | shards | core-hours to extract | read "
        "| core-hours of an epoch |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in FMA:
        cost = plan(name, rates)
        lines.append(
            f"| {name} | {cost['tracks']:,} | {cost['clips']:,.0f} "
            f"| {cost['feature_bytes'] / GIB:,.1f} GiB | {cost['shards']:,} "
            f"| {cost['extract_core_hours']:,.1f} | {cost['read_bytes'] / GIB:,.1f} GiB "
            f"| {cost['epoch_core_hours']:,.1f} |"
        )
    columns = " | ".join(f"{name} for all workers" for name in NETWORKS)
    lines += ["", f"| fma_full, hours | {columns} |", "|---|---|---|"]
    for cores in CORES:
        costs = [plan("fma_full", rates, cores, speed) for speed in NETWORKS.values()]
        cells = [f"{cost['hours']:,.1f} ({cost['bottleneck']})" for cost in costs]
        lines.append(f"| {cores} cores | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    measured = measure_rates()
    print(json.dumps(measured, indent=1), tables(measured), sep="\n\n")
    if "--record" in sys.argv[1:]:
        RATES.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
