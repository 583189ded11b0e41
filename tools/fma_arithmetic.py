"""What FMA costs in shards, core-hours and traffic, from rates that were measured: `python -m cvae_scale.arithmetic`.

The command times one core of this machine for a few minutes and prints the tables of this package's README for it; with
`--record` it also keeps the rates in `results/rates.json` and writes the README. A machine of another kind: run it there.
"""

import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from cvae_music.serialization import write_text

RATES = Path(__file__).parent / "results" / "rates.json"
README = Path(__file__).parent / "README.md"
MARKS = "<!-- made by python -m cvae_scale.arithmetic --record -->", "<!-- end -->"

GIB = 2**30
# Tracks, bytes, seconds a track. Defferrard et al. (2017), arXiv:1612.01840; 343 days for the untrimmed one.
FMA = {
    "fma_small": (8_000, 7.2 * GIB, 30.0),
    "fma_medium": (25_000, 22 * GIB, 30.0),
    "fma_large": (106_574, 93 * GIB, 30.0),
    "fma_full": (106_574, 879 * GIB, 343 * 86_400 / 106_574),
}
TRAINING_SHARE = 0.8
SOURCES_PER_SHARD = 32
CORES = (2, 16, 64, 256)
NETWORKS = {
    "100 MB/s": 1e8,
    "1 GB/s": 1e9,
}  # 1 and 10 Gbit/s: to one disk or store that all workers read
SECONDS_TO_MEASURE = 20.0


def measure_rates():
    """What one core of this machine does, in processor time, so that a busy machine gives the same rates as a quiet one.

    Returns:
        Dict: `machine`; for tracks of 30 seconds and of fma_full's mean length, `tracks`, a dict from seconds to `seconds`
        of one core, `read`, the share of the file's bytes that is read, `overlapping` and `apart`, clips in training
        and elsewhere; `streamed`, clips a second from shards on the local disk; `trained`, clips a second of the model
        that ships; `clip_bytes`.
    """
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ[name] = "1"
    import threadpoolctl

    from cvae_lab.budget.probe import StepConfig, time_steps
    from cvae_lab.budget.sizes import SIZES
    from cvae_music.config import AudioConfig
    from cvae_music.data.shards import extract_shards, stream_batches
    from cvae_music.data.sources import folder_collection

    config, rates = AudioConfig(), {"machine": _machine(), "tracks": {}}
    with tempfile.TemporaryDirectory() as folder, threadpoolctl.threadpool_limits(1):
        for tracks, size, seconds in (FMA["fma_large"], FMA["fma_full"]):
            music = _write_tracks(
                Path(folder) / str(seconds), seconds, 8 * size / tracks / seconds
            )
            rates["tracks"][str(round(seconds))] = _time_tracks(
                folder_collection(music), config
            )
        shards = extract_shards(
            folder_collection(music),
            config,
            f"{folder}/shards",
            num_workers=1,
            progress=False,
        )
        stream, started, count = (
            stream_batches(shards, "train", 8, augment=True),
            time.process_time(),
            0,
        )
        while time.process_time() < started + SECONDS_TO_MEASURE:
            count += sum(len(genre) for _, genre in stream)
        rates["streamed"] = count / (time.process_time() - started)
        steps = time_steps(
            SIZES["standard"],
            ("a", "b", "c", "d"),
            StepConfig(),
            num_steps=20,
            clock=time.process_time,
        )
    rates["trained"] = SIZES["standard"].batch_size / float(
        np.median(steps["step_seconds"])
    )
    rates["clip_bytes"] = 2 * config.num_frames * config.n_mels
    return rates


def _machine():
    """The kind of processor, as its maker says."""
    try:
        about = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        return next(
            line.partition(":")[2].strip()
            for line in about.splitlines()
            if line.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _write_tracks(folder, seconds, bits_a_second):
    """Six composed mp3 files in stereo, of this length and nearly this rate; returns the folder."""
    import soundfile

    from known_music import compose, draw_factors

    for number, row in draw_factors(6, seed=1).iterrows():
        loop = compose(row, 44100, 64)
        track = np.resize(loop, round(seconds * 44100))
        path = folder / "ab"[number % 2] / f"{number}.mp3"
        path.parent.mkdir(parents=True, exist_ok=True)
        level = float(
            np.interp(bits_a_second, [32_000, 320_000], [1.0, 0.0])
        )  # libsndfile's scale, 320 kbit/s at 0
        options = {
            "format": "MP3",
            "bitrate_mode": "CONSTANT",
            "compression_level": level,
        }
        soundfile.write(
            path, np.stack([track, np.roll(track, 441)], axis=1), 44100, **options
        )
    return folder


def _time_tracks(collection, config):
    from cvae_lab.budget.probe import probe_files

    before, sizes = (
        _bytes_read(),
        [Path(path).stat().st_size for path in collection.table["path"]],
    )
    found = probe_files(
        collection, config, num_sources=len(collection), clock=time.process_time
    )
    # The probe reads the first file once more, to be warm.
    read = (
        (_bytes_read() - before) / (sum(sizes) + np.mean(sizes))
        if before is not None
        else 1.0
    )
    return {
        "seconds": float(found["seconds"].mean()),
        "read": float(min(1.0, read)),
    } | {name: float(found[name].mean()) for name in ("overlapping", "apart")}


def _bytes_read():
    """Bytes that this process has read from files so far; None where the system does not say."""
    try:
        return int(Path("/proc/self/io").read_text(encoding="utf-8").split()[1])
    except OSError:
        return None


def plan(name, rates, cores=2, bytes_a_second=1e8):
    """What the preparation of a set of FMA costs, and an epoch of training on it.

    Args:
        name: `"fma_small"`, `"fma_medium"`, `"fma_large"` or `"fma_full"`.
        rates: What `measure_rates` returned.
        cores: Cores of all workers together.
        bytes_a_second: What they read together, from one store.

    Returns:
        Dict: `tracks`, `clips`, `shards`, `shard_bytes`, `feature_bytes`, `read_bytes`; `extract_core_hours`,
        `extract_hours` and `read_hours`, of which the larger is how long it takes; `bottleneck`, `"cores"` or `"network"`;
        `epoch_core_hours` of training, and `epoch_read_hours` to stream the shards.
    """
    tracks, size, seconds = FMA[name]
    track = rates["tracks"][str(round(seconds))]
    clips = tracks * (
        TRAINING_SHARE * track["overlapping"] + (1.0 - TRAINING_SHARE) * track["apart"]
    )
    shards, features = -(-tracks // SOURCES_PER_SHARD), clips * rates["clip_bytes"]
    trained = tracks * TRAINING_SHARE * track["overlapping"]
    cost = {
        "tracks": tracks,
        "clips": clips,
        "shards": shards,
        "shard_bytes": features / shards,
        "feature_bytes": features,
        "read_bytes": size * track["read"],
        "extract_core_hours": tracks * track["seconds"] / 3600.0,
        "epoch_core_hours": trained
        * (1.0 / rates["trained"] + 1.0 / rates["streamed"])
        / 3600.0,
    }
    cost["extract_hours"] = cost["extract_core_hours"] / cores
    # What is read, and the features that are written back.
    cost["read_hours"] = (cost["read_bytes"] + features) / bytes_a_second / 3600.0
    cost["bottleneck"] = (
        "cores" if cost["extract_hours"] > cost["read_hours"] else "network"
    )
    return cost | {
        "epoch_read_hours": trained * rates["clip_bytes"] / bytes_a_second / 3600.0
    }


def tables(rates):
    """The two tables of the README, as Markdown."""
    long, short = rates["tracks"][str(round(FMA["fma_full"][2]))], rates["tracks"]["30"]
    lines = [
        f"Rates of one core ({rates['machine']}): a track of 30 s takes {short['seconds']:.2f} s, one of "
        f"{FMA['fma_full'][2]:.0f} s, of which the middle minute is used, {long['seconds']:.2f} s, and {long['read']:.0%} of "
        f"its bytes are read; {rates['streamed']:,.0f} clips a second are streamed, {rates['trained']:,.1f} are trained on.",
        "",
        "| | tracks | clips | features | shards | core-hours to extract | read | core-hours of an epoch |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in FMA:
        cost = plan(name, rates)
        lines.append(
            f"| {name} | {cost['tracks']:,} | {cost['clips']:,.0f} | {cost['feature_bytes'] / GIB:,.1f} GiB "
            f"| {cost['shards']:,} of {cost['shard_bytes'] / 2**20:.0f} MiB | {cost['extract_core_hours']:,.1f} "
            f"| {cost['read_bytes'] / GIB:,.1f} GiB | {cost['epoch_core_hours']:,.1f} |"
        )
    networks = list(NETWORKS.items())
    lines += [
        "",
        "| fma_full, hours | "
        + " | ".join(f"{name} for all workers" for name in NETWORKS)
        + " |",
    ]
    lines.append("|---" * (1 + len(networks)) + "|")
    for cores in CORES:
        costs = [plan("fma_full", rates, cores, speed) for _, speed in networks]
        cells = [
            f"{max(c['extract_hours'], c['read_hours']):,.1f} ({c['bottleneck']})"
            for c in costs
        ]
        lines.append(f"| {cores} cores | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def readme_with(text, shown):
    """The README with these tables between its marks."""
    (before, rest), end = text.split(MARKS[0]), MARKS[1]
    return f"{before}{MARKS[0]}\n{shown}\n{end}{rest.partition(end)[2]}"


def main():
    rates = measure_rates()
    print(tables(rates))
    if "--record" in sys.argv[1:]:
        write_text(RATES, json.dumps(rates, indent=1) + "\n")
        write_text(
            README, readme_with(README.read_text(encoding="utf-8"), tables(rates))
        )


if __name__ == "__main__":
    main()
