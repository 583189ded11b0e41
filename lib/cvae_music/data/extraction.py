"""From one source of music to its clips: find the beats, cut windows, take the log-mel level.

Each process of an extraction loads this module and what it imports, so nothing heavy is among it.
"""

import json

import numpy as np

from cvae_music.audio.analysis import log_mel
from cvae_music.audio.files import AudioError, audio_duration, open_sound
from cvae_music.data.windows import (
    LOOP_BEATS,
    SILENCE_MARGIN_DB,
    frame_edges,
    load_window,
    mean_tempo,
    read_sound,
)
from cvae_music.serialization import write_file

# Windows of a training file overlap, which is free augmentation; those of the other splits never do, so that no second
# of music counts twice in a score.
STRIDE_BEATS = 2
MAX_SECONDS = 60.0  # how much of a file is read, from its middle
FASTEST_TEMPO = 240.0


def make_shard(path, sources, config):
    """Extracts and saves some sources; returns their number."""
    if not path.exists():  # else made by a worker that was lost before it could say so
        shard = extract_shard(sources, config)
        write_file(path, lambda file: save_shard(file, *shard))
    return len(sources)


def extract_shard(sources, config):
    """All clips of some sources: as of `extract_source`."""
    # The C library keeps what is freed once so much was freed at a time; else every source waits for new memory, a fifth
    # of its time.
    np.empty(2**25 - 2**16, np.uint8)
    rows, clips, skipped = zip(
        *(extract_source(source, config) for source in sources), strict=True
    )
    return sum(rows, []), np.concatenate(clips), sum(skipped, [])


def save_shard(file, rows, log_mel, skipped):
    """Writes what `extract_shard` found to an open file."""
    np.savez(
        file, about=json.dumps({"rows": rows, "skipped": skipped}), log_mel=log_mel
    )


def extract_source(source, config):
    """All clips of one source.

    Args:
        source: Dict, a row of `Collection.table`.
        config: `AudioConfig`.

    Returns:
        `(rows, clips, skipped)`: a dict for each clip; float16 array, shape `(len(rows), num_frames,
        n_mels)`, dB; and tuples `(source_id, reason, detail)` of what was left out.
    """
    if not source["path"]:
        return _extract_composed(source, config)
    try:
        return _extract_file(source, config)
    except AudioError as error:
        skipped = (
            error.reason,
            str(error).removeprefix(f"{error.path}: {error.reason}. "),
        )
    except (
        Exception
    ) as error:  # a strange file must cost one line in the report, never the whole run
        skipped = ("analysis failed", f"{type(error).__name__}: {error}")
    return (
        [],
        np.zeros((0, *config.shape), np.float16),
        [(source["source_id"], *skipped)],
    )


def _extract_composed(source, config):
    start, grid = 0.0, "known"
    if (
        config.grid == "seconds"
    ):  # begins anywhere in the loop, as a cut from a record would
        position = np.random.default_rng(int(source["seed"])).random()
        start, grid = (
            round(position * LOOP_BEATS * 60.0 / source["tempo"], 3),
            "seconds",
        )
    place = {
        "clip_id": source["source_id"],
        "start": start,
        "end": start + config.seconds(source["tempo"]),
    }
    row = source | place | {"grid": grid}
    return [row], load_window(row, config).log_mel[None].astype(np.float16), []


def _extract_file(source, config):
    samples, offset, lost = _read_middle(source["path"], config)
    edges, grid = frame_edges(samples, config)
    length, stride = config.num_frames, config.num_frames
    if source["split"] == "train":
        stride = min(stride, STRIDE_BEATS * config.frames_per_beat)
    firsts = range(0, len(edges) - length, stride)
    if not firsts:
        raise AudioError(
            source["path"], "too short", f"Expected {config.num_beats} beats."
        )
    level = log_mel(samples, edges[:-1], config)
    loudest, rows, heard = level.max(axis=1), [], []
    for number, first in enumerate(firsts):
        if loudest[first : first + length].max() >= config.floor_db + SILENCE_MARGIN_DB:
            place = {
                "start": round(offset + edges[first], 6),
                "end": round(offset + edges[first + length], 6),
            }
            place |= {
                "tempo": round(mean_tempo(edges[first:], config), 6),
                "grid": grid,
            }
            rows.append(
                source | {"clip_id": f"{source['source_id']}#{number:02d}"} | place
            )
            heard.append(first)
    silent = len(firsts) - len(rows)
    if silent:
        lost.append(
            (
                "silent windows" if rows else "silent",
                f"{silent} of {len(firsts)} windows",
            )
        )
    clips = level.astype(np.float16)[np.array(heard, int)[:, None] + np.arange(length)]
    return rows, clips, [(source["source_id"], *line) for line in lost]


def _read_middle(path, config):
    """`(samples, second at which they start, lines for the report)`; refuses what cannot fill a clip."""
    with open_sound(path) as file:
        duration = claimed = file.frames / file.samplerate
    if claimed > MAX_SECONDS:  # else all of it is read, and shows how long it is
        duration, claimed = audio_duration(path)
    wanted, shortest = min(duration, MAX_SECONDS), config.seconds(FASTEST_TEMPO)
    offset = (duration - wanted) / 2
    samples = read_sound(path, config, offset, MAX_SECONDS)
    read = len(samples) / config.sample_rate
    if read < shortest:
        raise AudioError(
            path,
            "too short",
            f"It lasts {read:.2f} s; a clip needs at least {shortest:.2f} s.",
        )
    if read < 0.9 * wanted or duration < 0.9 * claimed < np.inf:
        return (
            samples,
            offset,
            [
                (
                    "truncated",
                    f"its header says {claimed:.1f} s; {read:.1f} s came, and were used",
                )
            ],
        )
    return samples, offset, []
