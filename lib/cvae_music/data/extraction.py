"""Clips of one source of music: find the beats, cut windows, measure log-mel levels.

Each process of an extraction loads this module, so it does not import TensorFlow.
"""

from pathlib import Path

import numpy as np

from cvae_music.audio.analysis import log_mel
from cvae_music.audio.files import (
    AudioError,
    audio_duration,
    count_joined,
    load_blocks,
    open_sound,
)
from cvae_music.config import AudioConfig
from cvae_music.data.shards import has_shard, write_shard
from cvae_music.data.windows import (
    LOOP_BEATS,
    SILENCE_MARGIN_DB,
    frame_edges,
    load_window,
    mean_tempo,
)

# Windows of a training file overlap, which is free augmentation. Those of the other
# splits never do, so that no second of music counts twice in a score.
STRIDE_BEATS = 2
# Files are read in equal blocks of one to two minutes; a shorter file is one block.
# Beats are tracked in each block anew, so the tempo of a file may change.
BLOCK_SECONDS = 60.0
MAX_WINDOWS = 256  # of one source; five minutes at 100 beats a minute have fewer


def make_shard(
    path: Path, sources: list[dict], config: AudioConfig, max_windows: int
) -> int:
    """Extracts the clips of some sources and writes them as one shard.

    Args:
        path: Path of the shard, without suffix.
        sources: Rows of `Collection.table`, as dicts.
        config: `AudioConfig`.
        max_windows: As for `extract_source`.

    Returns:
        Number of sources, for the progress bar.
    """
    if has_shard(path):  # written by a worker that died before it returned
        return len(sources)
    # glibc returns freed blocks above a size to the system. To free one large array
    # raises this size, so that later arrays reuse memory: a fifth less time.
    np.empty(2**25 - 2**16, np.uint8)
    rows: list[dict] = []
    clips = []
    skipped: list[tuple] = []
    for source in sources:
        found = extract_source(source, config, max_windows)
        rows += found[0]
        clips.append(found[1])
        skipped += found[2]
    write_shard(path, np.concatenate(clips), rows, skipped)
    return len(sources)


def extract_source(
    source: dict, config: AudioConfig, max_windows: int = MAX_WINDOWS
) -> tuple[list[dict], np.ndarray, list[tuple]]:
    """Extracts the clips of one source, spread over all of it.

    Args:
        source: A row of `Collection.table`, as a dict.
        config: `AudioConfig`.
        max_windows: Largest number of clips of a file; composed music gives one.

    Returns:
        `(rows, clips, skipped)`: a dict for each clip; float16 array, shape
        `(len(rows), num_frames, n_mels)`, dB; and tuples `(source_id, reason, detail)`
        of what was left out.
    """
    if not source["path"]:
        return _extract_composed(source, config)
    try:
        return _extract_file(source, config, max_windows)
    except AudioError as error:
        reason = error.reason
        detail = error.detail
    except Exception as error:  # a file with an unknown fault must not end the run
        reason = "analysis failed"
        detail = f"{type(error).__name__}: {error}"
    clips = np.zeros((0, *config.shape), np.float16)
    return [], clips, [(source["source_id"], reason, detail)]


def _extract_composed(
    source: dict, config: AudioConfig
) -> tuple[list[dict], np.ndarray, list[tuple]]:
    """Composes one clip; arguments and result as for `extract_source`."""
    start = 0.0
    grid = "known"
    if config.grid == "seconds":  # begins anywhere in the loop, as a cut from a file
        position = np.random.default_rng(int(source["seed"])).random()
        start = round(position * LOOP_BEATS * 60.0 / source["tempo"], 3)
        grid = "seconds"
    row = source | {
        "clip_id": source["source_id"],
        "start": start,
        "end": start + config.seconds(source["tempo"]),
        "grid": grid,
    }
    return [row], load_window(row, config).log_mel[None].astype(np.float16), []


def _extract_file(
    source: dict, config: AudioConfig, max_windows: int
) -> tuple[list[dict], np.ndarray, list[tuple]]:
    """Extracts the clips of a file; arguments and result as for `extract_source`."""
    path = source["path"]
    duration, claimed = _duration(path)
    num_blocks = max(1, int(duration // BLOCK_SECONDS))
    seconds = duration / num_blocks
    # Of a file with more blocks than windows, some blocks are read, evenly spread.
    blocks = _spread(np.arange(num_blocks), max_windows)
    length = stride = config.num_frames
    if source["split"] == "train":
        stride = min(stride, STRIDE_BEATS * config.frames_per_beat)
    rows: list[dict] = []
    clips = [np.zeros((0, *config.shape), np.float16)]
    num_windows = num_loud = 0
    read = []
    parts = load_blocks(path, config, max(seconds, BLOCK_SECONDS), blocks)
    for number, (offset, samples) in enumerate(parts, 1):
        read.append(len(samples) / config.sample_rate)
        edges, grid = frame_edges(samples, config)
        firsts = np.arange(0, len(edges) - length, stride)
        if not len(firsts):
            continue
        level = log_mel(samples, edges[:-1], config)
        frames = firsts[:, None] + np.arange(length)
        loudest = level.max(axis=1)[frames].max(axis=1)
        loud = np.flatnonzero(loudest >= config.floor_db + SILENCE_MARGIN_DB)
        # A block gets its share of the limit, and what earlier blocks did not use.
        share = max_windows * number // len(blocks)
        kept = _spread(loud, share - len(rows))
        for window in kept:
            first = firsts[window]
            row = source | {
                "clip_id": f"{source['source_id']}#{num_windows + window:02d}",
                "start": round(offset + edges[first], 6),
                "end": round(offset + edges[first + length], 6),
                "tempo": round(mean_tempo(edges[first:], config), 6),
                "grid": grid,
            }
            rows.append(row)
        clips.append(level.astype(np.float16)[frames[kept]])
        num_windows += len(firsts)
        num_loud += len(loud)
    total = sum(read)
    if not num_windows:
        raise AudioError(
            path,
            "too short",
            f"It lasts {total:.2f} s; a clip needs {config.num_beats} beats, "
            f"about {config.seconds():.1f} s. It may be cut off or damaged.",
        )
    lost = []
    if min(read) < 0.9 * seconds or duration < 0.9 * claimed < np.inf:
        lost.append(
            (
                "truncated",
                f"its header says {claimed:.1f} s; {total:.1f} s came, and were used",
            )
        )
    if (num_joined := count_joined(path)) > 1:
        lost.append(
            (
                "joined files",
                f"{num_joined} files stand in it in turn, and the first is used. Split "
                "it for the others",
            )
        )
    if num_loud < num_windows:
        reason = "silent windows" if rows else "silent"
        lost.append((reason, f"{num_windows - num_loud} of {num_windows} windows"))
    if len(rows) < num_loud or len(blocks) < num_blocks:
        lost.append(
            (
                "long file",
                f"{_covered(rows):.0f} of {max(total, duration):.0f} s used, in "
                f"{len(rows)} windows; raise max_windows for more",
            )
        )
    skipped = [(source["source_id"], *line) for line in lost]
    return rows, np.concatenate(clips), skipped


def _duration(path: str) -> tuple[float, float]:
    """Measures the length of a file; returns it and what its header says, in seconds.

    As `audio_duration`, but faster for a short file, whose header is believed.
    """
    with open_sound(path) as file:
        claimed = file.frames / file.samplerate
    if claimed > BLOCK_SECONDS:  # a shorter file is read whole, which shows its length
        return audio_duration(path)
    return claimed, claimed


def _spread(values: np.ndarray, count: int) -> np.ndarray:
    """Chooses at most `count` values, spread evenly from the first to the last."""
    places = np.linspace(0, len(values) - 1, min(len(values), count))
    return values[places.round().astype(int)]


def _covered(rows: list[dict]) -> float:
    """Sums the seconds of a file that its clips cover; where they overlap, once."""
    starts = np.array([row["start"] for row in rows])
    ends = np.array([row["end"] for row in rows])
    return float(np.minimum(ends - starts, np.diff(starts, append=np.inf)).sum())
