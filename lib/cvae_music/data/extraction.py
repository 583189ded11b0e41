"""From one source of music to its clips: find the beats, cut windows, take the log-mel level."""

import dataclasses

import numpy as np

from cvae_music.audio.analysis import FALLBACK_TEMPO, beat_frame_times, log_mel, seconds_frame_times, track_beats
from cvae_music.audio.files import AudioError, audio_duration, load_audio

SILENCE_MARGIN_DB = 10.0  # a window whose loudest band stays within this of the floor holds no music
FASTEST_TEMPO = 240.0
FRAMES_AT_ONCE = 512


@dataclasses.dataclass(frozen=True)
class ExtractionSettings:
    """How files are cut into clips; part of the key of the cache.

    Args:
        stride_beats: Step between the windows of a training file, in beats. Steps shorter than a
            clip give overlapping crops, which is free augmentation. Validation and test windows
            never overlap, so that no second of music counts twice in a score.
        pitch_shifts: Semitones; each makes one more copy of every training window of a file.
        max_seconds: How much of a file is read, from its middle.
    """

    stride_beats: int = 2
    pitch_shifts: tuple = (0.0,)
    max_seconds: float = 60.0

    def __post_init__(self):
        if not isinstance(self.stride_beats, int) or self.stride_beats < 1:
            raise ValueError(f"Got stride_beats={self.stride_beats!r}; expected a whole number of at least 1.")
        object.__setattr__(self, "pitch_shifts", tuple(float(shift) for shift in self.pitch_shifts))
        if 0.0 not in self.pitch_shifts or max(map(abs, self.pitch_shifts)) > 12:
            raise ValueError(
                f"Got pitch_shifts={self.pitch_shifts}; expected semitones from -12 to 12, with 0 for the original."
            )
        if not self.max_seconds > 0:
            raise ValueError(f"Got max_seconds={self.max_seconds!r}; expected seconds above 0.")


def extract_source(source, config, settings):
    """All clips of one source.

    Args:
        source: Dict, a row of `Collection.table`.
        config: `AudioConfig`.
        settings: `ExtractionSettings`.

    Returns:
        `(rows, clips, skipped)`: a dict for each clip; float16 array, shape `(len(rows), num_frames,
        n_mels)`, dB; and tuples `(source_id, reason, detail)` of what was left out.
    """
    if not source["path"]:
        return _extract_composed(source, config)
    try:
        return _extract_file(source, config, settings)
    except AudioError as error:
        skipped = (error.reason, str(error).removeprefix(f"{error.path}: {error.reason}. "))
    except Exception as error:  # a strange file must cost one line in the report, never the whole run
        skipped = ("analysis failed", f"{type(error).__name__}: {error}")
    return [], np.zeros((0, *config.shape), np.float16), [(source["source_id"], *skipped)]


def _extract_composed(source, config):
    samples, start, seconds = composed_clip(source, config)
    if config.grid == "beats":
        times = beat_frame_times(np.linspace(0.0, seconds, config.num_beats + 1), config)
    else:
        times = seconds_frame_times(start, config)
    clip = log_mel(samples, times, config, wrap=True)
    place = {"clip_id": source["source_id"], "start": start, "end": start + seconds}
    row = source | place | {"grid": "known" if config.grid == "beats" else "seconds", "pitch_shift": 0.0}
    return [row], clip[None].astype(np.float16), []


def composed_clip(source, config):
    """Composes a source again: `(samples of the loop, start of the clip, length of the clip in seconds)`.

    On the beat grid the clip is the loop. On the grid in seconds it begins anywhere in the loop, as
    a cut from a record would.
    """
    from known_music import music  # inside: features of files must not depend on how music is composed

    if config.grid == "beats":
        samples = music.compose(source, config.sample_rate, config.num_beats)
        return samples, 0.0, config.seconds(source["tempo"])
    samples = music.compose(source, config.sample_rate)
    position = np.random.default_rng(int(source["seed"])).random()
    return samples, round(position * len(samples) / config.sample_rate, 3), config.seconds()


def _extract_file(source, config, settings):
    samples, offset = _read_middle(source["path"], config, settings.max_seconds)
    times, edges, grid = _frame_grid(samples, config)
    stride = config.num_frames
    if source["split"] == "train":
        stride = min(stride, settings.stride_beats * config.frames_per_beat)
    firsts = np.arange(0, len(times) - config.num_frames + 1, stride)
    if len(firsts) == 0:
        raise AudioError(source["path"], "too short", f"Expected {config.num_beats} beats.")
    rows, clips = [], []
    silent = 0
    for shift in settings.pitch_shifts if source["split"] == "train" else (0.0,):
        level = _long_log_mel(samples, times, config, shift)
        for number, first in enumerate(firsts):
            clip = level[first : first + config.num_frames]
            if clip.max() < config.floor_db + SILENCE_MARGIN_DB:
                silent += shift == 0.0
                continue
            start, end = edges[first], edges[first + config.num_frames]
            tempo = 60.0 * config.num_beats / (end - start) if config.grid == "beats" else FALLBACK_TEMPO
            name = f"{source['source_id']}#{number:02d}" + (f"{shift:+g}" if shift else "")
            place = {"clip_id": name, "start": round(offset + start, 6), "end": round(offset + end, 6)}
            rows.append(source | place | {"tempo": round(tempo, 6), "grid": grid, "pitch_shift": shift})
            clips.append(clip.astype(np.float16))
    skipped = []
    if silent:
        reason = "silent" if silent == len(firsts) else "silent windows"
        skipped = [(source["source_id"], reason, f"{silent} of {len(firsts)} windows")]
    return rows, np.stack(clips) if clips else np.zeros((0, *config.shape), np.float16), skipped


def _read_middle(path, config, max_seconds):
    """`(samples, second at which they start)`; refuses what cannot fill a clip or is cut off."""
    duration = audio_duration(path)
    shortest = config.seconds(FASTEST_TEMPO)
    if duration < shortest:
        raise AudioError(path, "too short", f"It lasts {duration:.2f} s; a clip needs at least {shortest:.2f} s.")
    wanted = min(duration, max_seconds)
    offset = (duration - wanted) / 2
    samples = load_audio(path, config, offset, wanted)
    if len(samples) < 0.9 * wanted * config.sample_rate:
        read = len(samples) / config.sample_rate
        raise AudioError(
            path, "truncated", f"Its header says {duration:.1f} s; only {read:.1f} s of {wanted:.1f} came."
        )
    # A sine at this amplitude would just count as sound; below it no beat is worth tracking.
    if np.abs(samples).max() < 10 ** ((config.floor_db + SILENCE_MARGIN_DB) / 20):
        raise AudioError(path, "silent", "No sample is louder than the floor of the features.")
    return samples, offset


def _frame_grid(samples, config):
    """Frame times of a whole file, the edge times of its frames (one more), and the kind of grid."""
    if config.grid == "seconds":
        step = config.hop_length / config.sample_rate
        num_frames = int(len(samples) / config.sample_rate / step)
        edges = seconds_frame_times(0.0, dataclasses.replace(config, num_frames=num_frames + 1))
        return edges[:-1], edges, "seconds"
    beat_times, is_tracked = track_beats(samples, config)
    num_beats = len(beat_times) - 1
    if num_beats < config.num_beats:
        return np.zeros(0), np.zeros(1), "fallback"
    longer = dataclasses.replace(config, num_frames=num_beats * config.frames_per_beat)
    times = beat_frame_times(beat_times, longer)
    return times, np.append(times, beat_times[-1]), "tracked" if is_tracked else "fallback"


def _long_log_mel(samples, times, config, pitch_shift):
    """`log_mel` of many frames with bounded memory."""
    pieces = [times[first : first + FRAMES_AT_ONCE] for first in range(0, len(times), FRAMES_AT_ONCE)]
    return np.concatenate([log_mel(samples, piece, config, pitch_shift=pitch_shift) for piece in pieces])
