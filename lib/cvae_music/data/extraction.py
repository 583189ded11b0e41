"""Clips of one source of music: find the beats, cut windows, measure log-mel levels.

Each process of an extraction loads this module, so it imports nothing heavy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cvae_music.audio.analysis import log_mel
from cvae_music.audio.files import AudioError, audio_duration, open_sound
from cvae_music.config import AudioConfig
from cvae_music.data.shards import has_shard, write_shard
from cvae_music.data.windows import (
    LOOP_BEATS,
    SILENCE_MARGIN_DB,
    frame_edges,
    load_window,
    mean_tempo,
    read_sound,
)

# Windows of a training file overlap, which is free augmentation. Those of the other
# splits never do, so that no second of music counts twice in a score.
STRIDE_BEATS = 2
MAX_SECONDS = 60.0  # how much of a file is read, from its middle
FASTEST_TEMPO = 240.0

Source = dict[str, Any]
# Rows of the clips, the clips, and what was left out, as of `extract_source`.
Extracted = tuple[list[dict], np.ndarray, list[tuple]]


def make_shard(path: Path, sources: list[Source], config: AudioConfig) -> int:
    """Extracts and writes one shard.

    Args:
        path: Path of the shard, without suffix.
        sources: Rows of `Collection.table`.
        config: `AudioConfig`.

    Returns:
        Number of sources.
    """
    if has_shard(path):  # by a worker that was lost before it could say so
        return len(sources)
    # Raises the size above which glibc returns freed memory to the system, so that
    # later arrays reuse it: a fifth less time.
    np.empty(2**25 - 2**16, np.uint8)
    rows: list[dict] = []
    clips = []
    skipped: list[tuple] = []
    for source in sources:
        found = extract_source(source, config)
        rows += found[0]
        clips.append(found[1])
        skipped += found[2]
    write_shard(path, np.concatenate(clips), rows, skipped)
    return len(sources)


def extract_source(source: Source, config: AudioConfig) -> Extracted:
    """Extracts all clips of one source.

    Args:
        source: A row of `Collection.table`.
        config: `AudioConfig`.

    Returns:
        `(rows, clips, skipped)`: a dict for each clip; float16 array, shape
        `(len(rows), num_frames, n_mels)`, dB; and tuples `(source_id, reason, detail)`
        of what was left out.
    """
    if not source["path"]:
        return _extract_composed(source, config)
    try:
        return _extract_file(source, config)
    except AudioError as error:
        reason = error.reason
        detail = str(error).removeprefix(f"{error.path}: {reason}. ")
    except Exception as error:  # a strange file costs one line, never the whole run
        reason = "analysis failed"
        detail = f"{type(error).__name__}: {error}"
    nothing = np.zeros((0, *config.shape), np.float16)
    return [], nothing, [(source["source_id"], reason, detail)]


def _extract_composed(source: Source, config: AudioConfig) -> Extracted:
    start = 0.0
    grid = "known"
    if config.grid == "seconds":  # begins anywhere in the loop, as a cut from a record
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


def _extract_file(source: Source, config: AudioConfig) -> Extracted:
    samples, offset, lost = _read_middle(source["path"], config)
    edges, grid = frame_edges(samples, config)
    length = stride = config.num_frames
    if source["split"] == "train":
        stride = min(stride, STRIDE_BEATS * config.frames_per_beat)
    firsts = range(0, len(edges) - length, stride)
    if not firsts:
        beats = f"Expected {config.num_beats} beats."
        raise AudioError(source["path"], "too short", beats)
    level = log_mel(samples, edges[:-1], config)
    loudest = level.max(axis=1)
    rows = []
    heard = []
    for number, first in enumerate(firsts):
        if loudest[first : first + length].max() < config.floor_db + SILENCE_MARGIN_DB:
            continue
        heard.append(first)
        row = source | {
            "clip_id": f"{source['source_id']}#{number:02d}",
            "start": round(offset + edges[first], 6),
            "end": round(offset + edges[first + length], 6),
            "tempo": round(mean_tempo(edges[first:], config), 6),
            "grid": grid,
        }
        rows.append(row)
    silent = len(firsts) - len(rows)
    if silent:
        reason = "silent windows" if rows else "silent"
        lost.append((reason, f"{silent} of {len(firsts)} windows"))
    frames = np.array(heard, int)[:, None] + np.arange(length)
    clips = level.astype(np.float16)[frames]
    return rows, clips, [(source["source_id"], *line) for line in lost]


def _read_middle(
    path: str, config: AudioConfig
) -> tuple[np.ndarray, float, list[tuple]]:
    """Reads the middle of a file: samples, the second they start at, report lines."""
    with open_sound(path) as file:
        duration = claimed = file.frames / file.samplerate
    if claimed > MAX_SECONDS:  # else all of it is read, which shows how long it is
        duration, claimed = audio_duration(path)
    wanted = min(duration, MAX_SECONDS)
    offset = (duration - wanted) / 2
    samples = read_sound(path, config, offset, MAX_SECONDS)
    read = len(samples) / config.sample_rate
    shortest = config.seconds(FASTEST_TEMPO)
    if read < shortest:
        detail = f"It lasts {read:.2f} s; a clip needs at least {shortest:.2f} s."
        raise AudioError(path, "too short", detail)
    lost: list[tuple] = []
    if read < 0.9 * wanted or duration < 0.9 * claimed < np.inf:
        detail = f"its header says {claimed:.1f} s; {read:.1f} s came, and were used"
        lost.append(("truncated", detail))
    return samples, offset, lost
