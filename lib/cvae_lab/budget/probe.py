"""What a run will cost, told before it starts: from a few files and a few training steps on this machine."""

import dataclasses
import gc
import os
import shutil
import sys
import time
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from cvae_music.data.extraction import extract_source
from cvae_music.serialization import write_text

NUM_SOURCES = 12  # of a collection that are read
NUM_STEPS, NUM_STEPS_GPU = (
    6,
    40,
)  # of each setting that are timed, the first aside: a GPU makes them in a blink
LOSS_SCALE_WARMUP = {
    "mixed_float16": 12
}  # nothing is learned in them: they halve the scale of the loss until gradients are finite
MIN_SPEEDUP = 0.05  # of its time that another setting must save: less is noise
XLA_MIN_SECONDS = 120.0  # seconds that a training must take before XLA is tried, which compiles for half a minute or more
MIN_UPDATES = (
    640  # fewest updates that a model of the series was trained with on real music
)
BYTES_A_LEVEL = 2  # features are kept in half precision
BYTES_OF_A_ROW = 1000  # what a part says of a clip, in text
PARTS_AND_WHOLE = 2  # while the parts are joined, the disk holds the features twice
ARRAYS_AT_ONCE = 4  # the latent density reads the training clips in single precision: twice the bytes, with one copy
# Bytes of a parameter: in memory and in each backup with its gradient's two moments and its average; in half precision.
BYTES_TRAINED, BYTES_COMPACT = 16, 2


@dataclasses.dataclass(frozen=True)
class StepConfig:
    """How the steps of a training are computed: it changes their speed, and the model only by rounding and batch.

    Args:
        batch_size: Clips in a step.
        precision: As of `Size.new_model`.
        jit_compile: `True` for XLA.
    """

    batch_size: int = 32
    precision: str = "float32"
    jit_compile: bool = False

    def num_steps(self, size, num_train=None):
        """Steps after which a training of this size has heard its clips, in whole passes over `num_train` clips."""
        steps = max(1, round(size.num_clips / self.batch_size))
        if num_train is None:
            return steps
        in_a_pass = max(
            1, int(num_train) // min(self.batch_size, max(1, int(num_train)))
        )
        return in_a_pass * max(1, round(steps / in_a_pass))


# --- files ----------------------------------------------------------------------------------------------------------


def spread_sources(collection, count):
    """Rows of the table, as dictionaries: files from the smallest to the largest, evenly spread, `count` at most."""
    sizes = [
        Path(path).stat().st_size if path else 0 for path in collection.table["path"]
    ]
    order = np.argsort(sizes, kind="stable")
    places = (
        (np.arange(min(count, len(order))) + 0.5) * len(order) / min(count, len(order))
    )
    return collection.table.iloc[order[places.astype(int)]].to_dict("records")


def probe_files(
    collection, config, *, num_sources=NUM_SOURCES, clock=time.perf_counter
):
    """Makes the features of a few files, and keeps their numbers only.

    Args:
        collection: `Collection`.
        config: `AudioConfig`.
        num_sources: How many files; they are spread evenly from the smallest to the largest.
        clock: Function that returns seconds.

    Returns:
        DataFrame, one row a file: `source_id`; `seconds`; `overlapping`, the clips it gives in training; `apart`,
        those in the other splits, where no second counts twice; `reason`, why it gave none, or "".
    """
    sources, rows = spread_sources(collection, num_sources), []
    extract_source(sources[0], config)  # the first one waits for machine code
    for source in sources:
        started = clock()
        clips, _, skipped = extract_source(source | {"split": "train"}, config)
        row = {
            "source_id": source["source_id"],
            "seconds": clock() - started,
            "overlapping": len(clips),
        }
        rows.append(
            row
            | {"apart": count_disjoint(clips), "reason": "" if clips else skipped[0][1]}
        )
    return pd.DataFrame(rows)


def count_disjoint(clips):
    """How many clips are left when each must begin where the one before has ended."""
    count, end = 0, -np.inf
    for clip in sorted(clips, key=lambda clip: clip["start"]):
        if clip["start"] >= end - 1e-3:
            count, end = count + 1, clip["end"]
    return count


def probe_workers(collection, files, config, *, counts=None, clock=time.perf_counter):
    """Whether more processes make the features sooner: they share the work, and take time to start.

    Args:
        collection: `Collection`.
        files: What `probe_files` returned; it says how fast one process is.
        config: `AudioConfig`.
        counts: Numbers of processes to try beside one; None for the number of cores.
        clock: Function that returns seconds.

    Returns:
        DataFrame, one row a number of processes: `workers`, `seconds_to_start`, `files_a_second`, `minutes` for the
        whole collection, and `chosen`.
    """
    rows = [(1, 0.0, len(files) / files["seconds"].sum())]
    for count in counts or {joblib.cpu_count()} - {1}:
        sources = spread_sources(collection, max(len(files), 2 * count))
        with joblib.Parallel(n_jobs=count) as parallel:
            taken = []
            for _ in range(
                2
            ):  # the first time they start, the second time they are there
                started = clock()
                parallel(
                    joblib.delayed(_extract_and_forget)(source, config)
                    for source in sources
                )
                taken.append(clock() - started)
        rows.append((count, max(0.0, taken[0] - taken[1]), len(sources) / taken[1]))
    table = pd.DataFrame(
        rows, columns=["workers", "seconds_to_start", "files_a_second"]
    )
    table["minutes"] = (
        table["seconds_to_start"] + len(collection) / table["files_a_second"]
    ) / 60.0
    return table.assign(chosen=table.index == table["minutes"].idxmin())


def _extract_and_forget(source, config):
    extract_source(source, config)  # what it made would only travel between processes


# --- steps ----------------------------------------------------------------------------------------------------------


def probe_steps(
    size, genres, *, num_clips=None, path=None, num_steps=None, clock=time.perf_counter
):
    """Tries half precision, XLA and larger batches one after another, and keeps what makes the whole training shorter.

    The steps are those of `cvae_music.train` on noise, which takes as long as music. A setting counts with the time
    that it needs until its first step is done, so that what compiles for a minute must save more than that. XLA is left
    out where the whole training takes less than two minutes: trying it would cost more than it can save.

    Args:
        size: `TrainConfig`.
        genres: Names of the genres.
        num_clips: Training clips there are, the bound of a batch; None if that is not known.
        path: JSON file to keep the table in. Where it holds one of this device, that is what is returned: a training
            that goes on tomorrow must go on as it began.
        num_steps: Steps to time for each setting, after the first; None for what suits the device.
        clock: Function that returns seconds.

    Returns:
        `(table, setting)`: a DataFrame with one row a setting that was tried, in order, with `steps_a_second` and
        `minutes` of the whole training, or a `note` of what went wrong; and the `StepConfig` that was chosen.

    Raises:
        ValueError: If no setting works, however small the batch.
    """
    import tensorflow as tf

    device, kept = (
        device_name(),
        None if path is None or not Path(path).exists() else pd.read_json(path),
    )
    if kept is not None and (kept["device"] == device).all():
        best = kept[kept["chosen"]].iloc[0]
        return kept, StepConfig(
            int(best["batch_size"]), best["precision"], bool(best["jit_compile"])
        )
    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    # Every GPU with tensor cores computes in float16; processors that know a half precision know bfloat16.
    half = "mixed_float16" if has_gpu else "mixed_bfloat16"
    best, rows = StepConfig(size.batch_size), []

    def minutes(setting):
        row = dataclasses.asdict(setting) | {"note": ""}
        try:
            found = time_steps(
                size,
                genres,
                setting,
                num_steps or (NUM_STEPS_GPU if has_gpu else NUM_STEPS),
                clock,
            )
            found["steps_a_second"] = 1.0 / np.median(found["step_seconds"])
            whole = (
                found["seconds_to_start"]
                + setting.num_steps(size) / found["steps_a_second"]
            )
            row |= found | {"minutes": whole / 60.0}
        except (
            tf.errors.OpError
        ) as error:  # out of memory, or without a kernel for this precision
            row |= {"minutes": np.inf, "note": type(error).__name__}
        rows.append(row)
        return row["minutes"]

    shortest = minutes(best)
    while np.isinf(shortest) and best.batch_size > 1:  # it does not fit
        best = dataclasses.replace(best, batch_size=best.batch_size // 2)
        shortest = minutes(best)
    if np.isinf(shortest):
        raise ValueError(
            f"probe_steps got a size that not even one clip a step can be trained with on {device} ({rows[-1]['note']}). "
            "Choose a smaller one of SIZES, or another device."
        )
    larger = [{"batch_size": best.batch_size * 2**power} for power in range(1, 8)]
    for change in ({"precision": half}, {"jit_compile": True}, *larger):
        other = dataclasses.replace(best, **change)
        if other.jit_compile > best.jit_compile and 60.0 * shortest < XLA_MIN_SECONDS:
            continue
        is_larger = other.batch_size > best.batch_size
        if is_larger and (
            other.num_steps(size) < MIN_UPDATES
            or other.batch_size > (num_clips or np.inf)
        ):
            break
        found = minutes(other)
        if found < shortest * (1.0 - MIN_SPEEDUP):
            best, shortest = other, found
        elif is_larger:
            break
    chosen = [
        all(row[name] == value for name, value in dataclasses.asdict(best).items())
        for row in rows
    ]
    table = pd.DataFrame(rows).assign(chosen=chosen, device=device)
    if path is not None:
        write_text(path, table.to_json())
    return table, best


def device_name():
    """What the steps are computed on, as a word or two."""
    import tensorflow as tf

    gpus = [
        tf.config.experimental.get_device_details(gpu)
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    return (
        ", ".join(gpu.get("device_name", "GPU") for gpu in gpus)
        or f"CPU with {joblib.cpu_count()} cores"
    )


def time_steps(size, genres, setting, num_steps=NUM_STEPS, clock=time.perf_counter):
    """Trains a new model on noise for some steps.

    Returns:
        Dictionary: `seconds_to_start`, until the first step that counts is done; `step_seconds`, of each later one;
        `parameters`; `memory` and `gpu_memory`, the most bytes that this process has held so far, NaN where nobody
        tells.
    """
    import keras
    import tensorflow as tf

    from cvae_music.training import compile_model

    keras.backend.clear_session()
    gc.collect()
    gpus = tf.config.list_logical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.reset_memory_stats(gpu.name.removeprefix("/device:"))
    ends, started = [], clock()
    model = size.new_model(genres, precision=setting.precision)
    compile_model(model, setting.num_steps(size), jit_compile=setting.jit_compile)
    noise = (
        np.random.default_rng(0)
        .uniform(-1, 1, (setting.batch_size, *size.config.shape))
        .astype(np.float32)
    )
    labels = np.arange(setting.batch_size, dtype=np.int32) % len(genres)
    num_lost = LOSS_SCALE_WARMUP.get(setting.precision, 0)
    steps = tf.data.Dataset.from_tensors((noise, labels)).repeat(
        num_lost + 1 + num_steps
    )
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: ends.append(clock())
    )
    model.fit(steps, callbacks=[note], verbose=0, shuffle=False)
    infos = [
        tf.config.experimental.get_memory_info(gpu.name.removeprefix("/device:"))
        for gpu in gpus
    ]
    return {
        "seconds_to_start": ends[num_lost] - started,
        "step_seconds": np.diff(ends[num_lost:]),
        "parameters": model.count_params(),
        "memory": peak_memory(),
        "gpu_memory": sum(info["peak"] for info in infos) or np.nan,
    }


# --- the whole run --------------------------------------------------------------------------------------------------


def estimate_cost(collection, size, files, workers, steps, cache_dir):
    """What the whole run takes, beside what this machine has.

    Counts and bytes are right to a factor of 1.5 where the files are of one make; times as far as the machine stays as
    busy as it was. The judges' training and the evaluation are not in it.

    Args:
        collection: `Collection`.
        size: `TrainConfig`.
        files: What `probe_files` returned.
        workers: What `probe_workers` returned.
        steps: The table that `probe_steps` returned.
        cache_dir: Folder of the features, for the space on its disk.

    Returns:
        DataFrame with a row for each thing a run takes (clips, bytes, minutes; the unit is in its name), and columns
        `estimate`, `low` and `high` (two standard errors of the files that were read; the fastest and the slowest
        step), `there_is`, and `fits`: `"yes"`, `"no"`, or `""` where there is no limit.
    """
    row, work = (table[table["chosen"]].iloc[0] for table in (steps, workers))
    num_train = int((collection.table["split"] == "train").sum())
    train, held = (
        _total(files[name], count, len(collection))
        for name, count in (
            ("overlapping", num_train),
            ("apart", len(collection) - num_train),
        )
    )
    clip_bytes = size.config.num_frames * size.config.n_mels * BYTES_A_LEVEL
    kept = (train + held) * clip_bytes
    files_of_model = row["parameters"] * (
        2 * BYTES_TRAINED + BYTES_COMPACT
    )  # a backup, the model, the compact one
    in_memory = (
        steps["memory"].max()
        + (
            ARRAYS_AT_ONCE * train
            + _held_in_memory(train, held, clip_bytes) / clip_bytes
        )
        * clip_bytes
    )
    seconds = _total(files["seconds"], len(collection), len(collection))
    one_by_one = seconds / max(seconds[0], 1e-9) * work["minutes"]
    num_steps = StepConfig(int(row["batch_size"])).num_steps(size, train[0])
    paces = np.array(
        [measure(row["step_seconds"]) for measure in (np.median, np.min, np.max)]
    )
    parts = {
        "clips to train on": (train, np.nan),
        "clips held out": (held, np.nan),
        "features on disk (MB)": (kept / 1e6, np.nan),
        "disk at most (MB)": (
            (PARTS_AND_WHOLE * kept + (train + held) * BYTES_OF_A_ROW + files_of_model)
            / 1e6,
            free_disk(cache_dir) / 1e6,
        ),
        "memory at most (MB)": (
            in_memory / 1e6,
            (steps["memory"].max() + available_memory()) / 1e6,
        ),
        "minutes to prepare": (one_by_one, np.nan),
        "minutes to train": (
            (row["seconds_to_start"] + num_steps * paces) / 60.0,
            np.nan,
        ),
    }
    table = pd.DataFrame.from_dict(
        {name: [*values, limit] for name, (values, limit) in parts.items()},
        orient="index",
        columns=["estimate", "low", "high", "there_is"],
    )
    fits = np.where(table["high"] <= table["there_is"], "yes", "no")
    return table.assign(fits=np.where(table["there_is"].isna(), "", fits))


def _total(values, count, population):
    """`(estimate, low, high)` of the sum over `count` sources, from the values of a few of `population`."""
    error = (
        values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else values.mean()
    )
    error *= np.sqrt(
        max(0.0, 1.0 - len(values) / population)
    )  # nothing is left to guess when all were read
    return count * np.maximum(values.mean() + np.array([0.0, -2.0, 2.0]) * error, 0.0)


def _held_in_memory(train, held, clip_bytes):
    """Bytes of the splits that are small enough to be kept in memory while training: training, and half of the rest."""
    from cvae_music.data.batches import RAM_LIMIT

    parts = np.array([train, held / 2]) * clip_bytes
    return np.where(parts <= RAM_LIMIT, parts, 0.0).sum(axis=0)


def free_disk(folder):
    """Bytes that are free on the disk of a folder, which need not exist yet."""
    folder = Path(folder).expanduser().resolve()
    return shutil.disk_usage(
        next(place for place in (folder, *folder.parents) if place.exists())
    ).free


def peak_memory():
    """Most bytes of memory that this process has held; NaN where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    unit = (
        1 if sys.platform == "darwin" else 1024
    )  # macOS counts bytes, Linux kilobytes
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def available_memory():
    """Bytes of memory that programs can still have; NaN where the system does not say."""
    try:
        lines = dict(
            line.split(":") for line in Path("/proc/meminfo").read_text().splitlines()
        )
        return int(lines["MemAvailable"].split()[0]) * 1024.0
    except (OSError, KeyError):
        pages = getattr(os, "sysconf_names", {}).get("SC_PHYS_PAGES")
        return (
            float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
            if pages
            else float("nan")
        )
