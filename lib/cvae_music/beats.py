"""Where the beats are: tracked in real music, a fixed grid where there is no beat."""

import librosa
import numpy as np

FALLBACK_TEMPO = 120.0
MAX_INTERVAL_SPREAD = 0.35


def fixed_beats(duration, tempo=FALLBACK_TEMPO):
    """Beat times of a fixed grid, from 0 to `duration` seconds."""
    return np.arange(0.0, duration + 1e-9, 60.0 / tempo)


def track_beats(samples, config, fallback_tempo=FALLBACK_TEMPO):
    """Beat times of a recording.

    Args:
        samples: Float array, shape `(samples,)`, at `config.sample_rate`.
        config: `AudioConfig`.
        fallback_tempo: Beats a minute of the grid used when no steady beat is found.

    Returns:
        `(beat_times, is_tracked)`: seconds, increasing; `False` when the fallback grid was used,
        because fewer beats than a clip holds were found or their distances vary by more than 35 %.

    Source: Ellis (2007), "Beat tracking by dynamic programming", through librosa.
    """
    duration = len(samples) / config.sample_rate
    envelope = librosa.onset.onset_strength(y=samples, sr=config.sample_rate, hop_length=512)
    if len(envelope) and envelope.max() > 0:
        _, beats = librosa.beat.beat_track(
            onset_envelope=envelope, sr=config.sample_rate, hop_length=512, trim=False, units="time"
        )
        intervals = np.diff(beats)
        if len(beats) > config.num_beats and intervals.std() <= MAX_INTERVAL_SPREAD * intervals.mean():
            return np.asarray(beats, np.float64), True
    return fixed_beats(duration, fallback_tempo), False
