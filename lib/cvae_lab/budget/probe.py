"""What a run will cost, estimated from a few files and training steps."""

from __future__ import annotations

import dataclasses
import gc
import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd

from cvae_lab.budget.machine import (
    available_memory,
    device_name,
    free_disk,
    peak_memory,
)
from cvae_lab.budget.sizes import TrainConfig
from cvae_music.config import AudioConfig
from cvae_music.data.collection import Collection
from cvae_music.data.extraction import extract_source
from cvae_music.serialization import write_text

NUM_SOURCES = 12  # files of a collection that are read
# Steps of each setting that are timed, after the first. A GPU needs a blink for each.
NUM_STEPS = 6
NUM_STEPS_GPU = 40
# Steps without an update: the loss scale is halved until the gradients are finite.
LOSS_SCALE_WARMUP = {"mixed_float16": 12}
MIN_SPEEDUP = 0.05  # share of its time that another setting must save: less is noise
# Seconds a training must take before XLA is tried, which compiles for half a minute.
XLA_MIN_SECONDS = 120.0
# Fewest updates that a model of the series was trained with on real music.
MIN_UPDATES = 640
BYTES_A_LEVEL = 2  # features are kept in half precision
BYTES_OF_A_ROW = 1000  # what the cache says of a clip, in text
# The latent density reads the training clips at once and scales them: one array in half
# precision and three in float32, of twice the bytes.
ARRAYS_AT_ONCE = 7
# Bytes of a parameter while it is trained, and in each backup: weight, two moments of
# its gradient, moving average.
BYTES_TRAINED = 16
BYTES_COMPACT = 2  # of a parameter in a file of half precision

Clock = Callable[[], float]


@dataclasses.dataclass(frozen=True)
class StepConfig:
    """Holds how training steps are computed: batch size, precision, compiler.

    It changes their speed, and the model by rounding and batch size only.

    Args:
        batch_size: Clips in a step.
        precision: Name of a Keras dtype policy, as of `TrainConfig.new_model`.
        jit_compile: `True` for XLA.

    Example:
        >>> from cvae_lab.budget.sizes import SIZES
        >>> StepConfig(batch_size=64).num_steps(SIZES["standard"])
        720
    """

    batch_size: int = 32
    precision: str = "float32"
    jit_compile: bool = False

    def num_steps(self, size: TrainConfig, num_train: float | None = None) -> int:
        """Returns the steps after which a training of a size has seen its clips.

        Args:
            size: `TrainConfig`.
            num_train: Training clips; the steps are then whole passes over them.
        """
        steps = max(1, round(size.num_clips / self.batch_size))
        if num_train is None:
            return steps
        num_train = max(1, int(num_train))
        steps_a_pass = num_train // min(self.batch_size, num_train)
        return steps_a_pass * max(1, round(steps / steps_a_pass))


# --- files ------------------------------------------------------------------------


def spread_sources(collection: Collection, count: int) -> list[dict[str, Any]]:
    """Returns rows of the table, spread evenly from the smallest file to the largest.

    Args:
        collection: `Collection`.
        count: Number of rows at most.
    """
    paths = collection.table["path"]
    sizes = [Path(path).stat().st_size if path else 0 for path in paths]
    order = np.argsort(sizes, kind="stable")
    count = min(count, len(order))
    positions = (np.arange(count) + 0.5) * len(order) / count
    chosen = order[positions.astype(int)]
    return collection.table.iloc[chosen].to_dict("records")


def count_disjoint(clips: Iterable[dict[str, Any]]) -> int:
    """Counts the clips that are left when none may overlap the one before."""
    count = 0
    end = -np.inf
    for clip in sorted(clips, key=lambda clip: clip["start"]):
        if clip["start"] >= end - 1e-3:
            count += 1
            end = clip["end"]
    return count


def probe_files(
    collection: Collection,
    config: AudioConfig,
    *,
    num_sources: int = NUM_SOURCES,
    clock: Clock = time.perf_counter,
) -> pd.DataFrame:
    """Extracts features of a few files and returns their counts and seconds.

    Args:
        collection: `Collection`.
        config: `AudioConfig`.
        num_sources: How many files, spread evenly from the smallest to the largest.
        clock: Function that returns seconds.

    Returns:
        DataFrame, one row a file: `source_id`; `seconds`; `train_windows`, the clips it
        gives in training, which overlap; `eval_windows`, those in the other splits,
        where no second counts twice; `reason`, why it gave none, or "".

    Example:
        >>> import cvae_music as cm
        >>> collection = cm.open_collection("known", num_clips=18)
        >>> files = probe_files(collection, cm.AudioConfig(), num_sources=1)
        >>> files[["train_windows", "eval_windows"]].sum().tolist()
        [1, 1]
    """
    sources = spread_sources(collection, num_sources)
    extract_source(sources[0], config)  # the first one waits for machine code
    rows = []
    for source in sources:
        started = clock()
        clips, _, skipped = extract_source(source | {"split": "train"}, config)
        row = {
            "source_id": source["source_id"],
            "seconds": clock() - started,
            "train_windows": len(clips),
            "eval_windows": count_disjoint(clips),
            "reason": "" if clips else skipped[0][1],
        }
        rows.append(row)
    return pd.DataFrame(rows)


def probe_workers(
    collection: Collection,
    files: pd.DataFrame,
    config: AudioConfig,
) -> pd.DataFrame:
    """Measures whether a process for each core makes the features sooner than one.

    They share the work, and take time to start.

    Args:
        collection: `Collection`.
        files: What `probe_files` returned; it says how fast one process is.
        config: `AudioConfig`.

    Returns:
        DataFrame, one row a number of processes: `workers`, `seconds_to_start`,
        `files_a_second`, `minutes` for the whole collection, and `chosen`.
    """
    rows = [(1, 0.0, len(files) / files["seconds"].sum())]
    count = joblib.cpu_count()
    if count > 1:
        sources = spread_sources(collection, max(len(files), 2 * count))
        with joblib.Parallel(n_jobs=count) as parallel:
            seconds = []
            for _ in ("processes start", "processes are there"):
                started = time.perf_counter()
                parallel(joblib.delayed(_extract)(source, config) for source in sources)
                seconds.append(time.perf_counter() - started)
        starting = max(0.0, seconds[0] - seconds[1])
        rows.append((count, starting, len(sources) / seconds[1]))
    columns = ["workers", "seconds_to_start", "files_a_second"]
    table = pd.DataFrame(rows, columns=columns)
    work = len(collection) / table["files_a_second"]
    table["minutes"] = (table["seconds_to_start"] + work) / 60.0
    table["chosen"] = table.index == table["minutes"].idxmin()
    return table


def _extract(source, config):
    """Makes the features of a source and drops them: no array between processes."""
    extract_source(source, config)


# --- steps ------------------------------------------------------------------------


class _Search:
    """Times settings one after another and remembers the fastest."""

    def __init__(self, *training):
        self.training = training  # size, genres, steps to time
        self.rows: list[dict[str, Any]] = []
        self.chosen = 0  # index of the row of the fastest
        self.best = StepConfig()
        self.minutes = np.inf

    def attempt(self, setting):
        """Whether a setting makes the whole training clearly shorter; then keeps it."""
        row = _time_training(setting, *self.training)
        self.rows.append(row)
        is_faster = row["minutes"] < self.minutes * (1.0 - MIN_SPEEDUP)
        if is_faster:
            self.chosen = len(self.rows) - 1
            self.best = setting
            self.minutes = row["minutes"]
        return is_faster


def probe_steps(
    size: TrainConfig,
    genres: Sequence[str],
    *,
    num_clips: float | None = None,
    path: str | Path | None = None,
) -> tuple[pd.DataFrame, StepConfig]:
    """Times half precision, XLA and larger batches, and picks the shortest training.

    The steps are those of `cvae_music.train` on noise, which takes as long as music. A
    setting counts with the time until its first step is done, so that what compiles for
    a minute must save more than that. XLA is left out where the whole training takes
    less than two minutes: trying it would cost more than it can save.

    Args:
        size: `TrainConfig`.
        genres: Names of the genres.
        num_clips: Training clips, the bound of a batch; None if that is not known.
        path: JSON file to keep the table in. If it holds one of the same device, size,
            genres and versions, that is returned: a training that resumes tomorrow
            must go on as it began.

    Returns:
        `(table, setting)`: a DataFrame with one row a setting that was tried, in order,
        with `steps_a_second` and `minutes` of the whole training, or a `note` of what
        went wrong; and the `StepConfig` that was chosen.

    Raises:
        ValueError: If no setting works, however small the batch.
    """
    import tensorflow as tf

    run = _describe_run(size, genres)
    table = None if path is None else _read_kept(path, run)
    if table is not None:
        row = table[table["chosen"]].iloc[0]
        jit_compile = bool(row["jit_compile"])
        return table, StepConfig(int(row["batch_size"]), row["precision"], jit_compile)

    # Every GPU with tensor cores computes in float16; processors that know a half
    # precision know bfloat16.
    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    half = "mixed_float16" if has_gpu else "mixed_bfloat16"
    search = _Search(size, genres, NUM_STEPS_GPU if has_gpu else NUM_STEPS)
    setting = StepConfig(size.batch_size)
    while not search.attempt(setting):
        if setting.batch_size == 1:
            raise ValueError(
                "probe_steps got a size that not even one clip a step can be trained "
                f"with on {run['device']} ({search.rows[-1]['note']}). "
                "Choose a smaller one of SIZES, or another device."
            )
        setting = dataclasses.replace(setting, batch_size=setting.batch_size // 2)
    search.attempt(dataclasses.replace(search.best, precision=half))
    if 60.0 * search.minutes >= XLA_MIN_SECONDS:
        search.attempt(dataclasses.replace(search.best, jit_compile=True))
    most = np.inf if num_clips is None else num_clips
    is_faster = True
    while is_faster:
        batch_size = 2 * search.best.batch_size
        setting = dataclasses.replace(search.best, batch_size=batch_size)
        if batch_size > most or setting.num_steps(size) < MIN_UPDATES:
            break
        is_faster = search.attempt(setting)

    table = pd.DataFrame(search.rows)
    table["chosen"] = table.index == search.chosen
    table["device"] = run["device"]
    if path is not None:
        rows = json.loads(table.to_json(orient="records"))
        write_text(path, json.dumps({"run": run, "rows": rows}))
    return table, search.best


def _describe_run(size, genres):
    """All that decides how fast a setting is, as JSON gives it back."""
    import keras
    import tensorflow as tf

    run = {
        "device": device_name(),
        "size": dataclasses.asdict(size),
        "genres": list(genres),
        "versions": [tf.__version__, keras.__version__],
    }
    return json.loads(json.dumps(run))


def _read_kept(path, run):
    """The table in a file of `probe_steps`; None if it is not of this run."""
    if not Path(path).exists():
        return None
    kept = json.loads(Path(path).read_text(encoding="utf-8"))
    if kept.get("run") != run:
        return None
    return pd.DataFrame(kept["rows"])


def _time_training(setting, size, genres, num_steps):
    """A row of `probe_steps`: the setting, its times, minutes of the whole training."""
    import tensorflow as tf

    row = dataclasses.asdict(setting) | {"note": ""}
    try:
        times = time_steps(size, genres, setting, num_steps)
    except tf.errors.OpError as error:  # no memory, or no kernel for the precision
        return row | {"minutes": np.inf, "note": type(error).__name__}
    row |= times
    row["steps_a_second"] = 1.0 / np.median(times["step_seconds"])
    seconds = setting.num_steps(size) / row["steps_a_second"]
    row["minutes"] = (times["seconds_to_start"] + seconds) / 60.0
    return row


def time_steps(
    size: TrainConfig,
    genres: Sequence[str],
    setting: StepConfig,
    num_steps: int = NUM_STEPS,
    clock: Clock = time.perf_counter,
) -> dict[str, Any]:
    """Trains a new model on noise and returns the seconds of each step.

    Args:
        size: `TrainConfig`.
        genres: Names of the genres.
        setting: `StepConfig`.
        num_steps: Steps to time, after the first.
        clock: Function that returns seconds.

    Returns:
        Dictionary: `seconds_to_start`, until the first step that counts is done;
        `step_seconds`, of each later one, shape `(num_steps,)`; `parameters`; `memory`
        and `gpu_memory`, the most bytes that this process has held so far, NaN where
        the system does not say.
    """
    import keras
    import tensorflow as tf

    from cvae_music.training import compile_model

    keras.backend.clear_session()
    gc.collect()
    devices = tf.config.list_logical_devices("GPU")
    gpus = [device.name.removeprefix("/device:") for device in devices]
    for gpu in gpus:
        tf.config.experimental.reset_memory_stats(gpu)
    started = clock()
    model = size.new_model(genres, precision=setting.precision)
    compile_model(model, setting.num_steps(size), jit_compile=setting.jit_compile)
    shape = (setting.batch_size, *size.config.shape)
    noise = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    labels = np.arange(setting.batch_size, dtype=np.int32) % len(genres)
    num_lost = LOSS_SCALE_WARMUP.get(setting.precision, 0)
    steps = tf.data.Dataset.from_tensors((noise, labels))
    steps = steps.repeat(num_lost + 1 + num_steps)
    ends: list[float] = []
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: ends.append(clock())
    )
    model.fit(steps, callbacks=[note], verbose=0, shuffle=False)
    peaks = [tf.config.experimental.get_memory_info(gpu)["peak"] for gpu in gpus]
    return {
        "seconds_to_start": ends[num_lost] - started,
        "step_seconds": np.diff(ends[num_lost:]),
        "parameters": model.count_params(),
        "memory": peak_memory(),
        "gpu_memory": sum(peaks) or np.nan,
    }


# --- the whole run ----------------------------------------------------------------


def estimate_cost(
    collection: Collection,
    size: TrainConfig,
    files: pd.DataFrame,
    workers: pd.DataFrame,
    steps: pd.DataFrame,
    cache_dir: str | Path,
) -> pd.DataFrame:
    """Estimates clips, bytes and minutes of a whole run beside what the machine has.

    Counts and bytes are right to a factor of 1.5 where the files are of one make; times
    as far as the machine stays as busy as it was. The training of judges and the
    evaluation are not in it.

    Args:
        collection: `Collection`.
        size: `TrainConfig`.
        files: What `probe_files` returned.
        workers: What `probe_workers` returned.
        steps: The table that `probe_steps` returned.
        cache_dir: Folder of the features, for the space on its disk.

    Returns:
        DataFrame with a row for each thing a run takes (the unit is in its name), and
        columns `estimate`, `low` and `high` (two standard errors of the files that were
        read; the fastest and the slowest step), `there_is`, and `fits`: `"yes"`,
        `"no"`, or `""` where there is no limit.
    """
    step = steps[steps["chosen"]].iloc[0]
    work = workers[workers["chosen"]].iloc[0]
    population = len(collection)
    num_train = int((collection.table["split"] == "train").sum())
    train = _total(files["train_windows"], num_train, population)
    held_out = _total(files["eval_windows"], population - num_train, population)
    clip_bytes = size.config.num_frames * size.config.n_mels * BYTES_A_LEVEL
    features = (train + held_out) * clip_bytes

    # A backup and the one before, the model, the compact model.
    model = step["parameters"] * (2 * BYTES_TRAINED + BYTES_COMPACT)
    rows = (train + held_out) * BYTES_OF_A_ROW
    disk = features + rows + model

    used = steps["memory"].max()
    memory = used + ARRAYS_AT_ONCE * train * clip_bytes
    memory = memory + _held_in_memory(train, held_out, clip_bytes)

    seconds = _total(files["seconds"], population, population)
    prepare = seconds / max(seconds[0], 1e-9) * work["minutes"]
    num_steps = StepConfig(int(step["batch_size"])).num_steps(size, train[0])
    pace = [measure(step["step_seconds"]) for measure in (np.median, np.min, np.max)]
    training = (step["seconds_to_start"] + num_steps * np.array(pace)) / 60.0

    table = pd.DataFrame.from_dict(
        {
            "clips to train on": train,
            "clips held out": held_out,
            "features on disk (MB)": features / 1e6,
            "disk at most (MB)": disk / 1e6,
            "memory at most (MB)": memory / 1e6,
            "minutes to prepare": prepare,
            "minutes to train": training,
        },
        orient="index",
        columns=["estimate", "low", "high"],
    )
    table["there_is"] = np.nan
    table.loc["disk at most (MB)", "there_is"] = free_disk(cache_dir) / 1e6
    table.loc["memory at most (MB)", "there_is"] = (used + available_memory()) / 1e6
    fits = np.where(table["high"] <= table["there_is"], "yes", "no")
    table["fits"] = np.where(table["there_is"].isna(), "", fits)
    return table


def _total(values, count, population):
    """`(estimate, low, high)` of a sum over `count` sources, from some of them."""
    mean = values.mean()
    if len(values) > 1:
        error = values.std(ddof=1) / np.sqrt(len(values))
    else:
        error = mean
    # Nothing is left to guess when all were read.
    error *= np.sqrt(max(0.0, 1.0 - len(values) / population))
    return count * np.maximum(mean + np.array([0.0, -2.0, 2.0]) * error, 0.0)


def _held_in_memory(train, held_out, clip_bytes):
    """Bytes of the splits that are kept in memory: training, and half of the rest."""
    from cvae_music.data.batches import RAM_LIMIT

    splits = np.array([train, held_out / 2]) * clip_bytes
    return np.where(splits <= RAM_LIMIT, splits, 0.0).sum(axis=0)
