"""Walks through latent space: ends, lengths, and joins that are no rougher than the windows themselves."""

import dataclasses

import numpy as np
import pytest

from cvae_music import generation as walks
from cvae_music.audio import analysis as audio
from cvae_music.config import AudioConfig


@dataclasses.dataclass
class Painter:
    """Stands for a model: a latent of eight loudnesses, one for each beat, and a band for each genre."""

    audio_config: AudioConfig
    num_genres: int = 2
    latent_dim: int = 8

    def decode(self, latents, genre):
        weights = np.eye(2)[genre]
        level = np.full((len(latents), *self.audio_config.shape), -1.0, np.float32)
        beats = np.repeat(latents, self.audio_config.frames_per_beat, axis=1)
        level[:, :, 20], level[:, :, 60] = beats * weights[:, :1], beats * weights[:, 1:]
        return level


def test_slerp_keeps_the_distance_from_the_origin():
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 96))
    np.testing.assert_allclose(walks.slerp(first, second, 0.0), first, rtol=1e-5)
    np.testing.assert_allclose(walks.slerp(first, second, 1.0), second, rtol=1e-5)
    middle = np.linalg.norm(walks.slerp(first, second, 0.5))
    assert middle == pytest.approx((np.linalg.norm(first) + np.linalg.norm(second)) / 2, rel=1e-5)
    assert middle > 1.2 * np.linalg.norm((first + second) / 2)
    np.testing.assert_allclose(walks.slerp(first, first, 0.3), first, rtol=1e-5)
    np.testing.assert_allclose(walks.slerp([1, 0], [0, 1], [[0.5]]), [[0.5**0.5] * 2], rtol=1e-6)
    with pytest.raises(ValueError, match="opposite"):
        walks.slerp(first, -first, 0.5)


def test_a_walk_plays_each_beat_of_the_window_in_its_place():
    model = Painter(AudioConfig())
    loud = np.linspace(0.2, 0.9, 8)
    level = walks.walk_log_mel(model, loud[None], [1.0, 0.0], 20)
    expected = model.audio_config.unscale(np.tile(loud, 3)[:20])
    np.testing.assert_allclose(level[::16, 20], expected, atol=1e-3)
    assert level.shape == (320, 128) and np.all(level[:, 60] < -30)


def test_a_walk_passes_its_stops_and_changes_genre():
    model = Painter(AudioConfig())
    stops = np.stack([np.full(8, 0.8), np.full(8, 0.4), np.full(8, 0.8)])
    level = walks.walk_log_mel(model, stops, [[1, 0], [0, 1], [1, 0]], 16)
    scaled = model.audio_config.scale(level)
    np.testing.assert_allclose(scaled[0, [20, 60]], [0.8, 0.0], atol=1e-3)
    np.testing.assert_allclose(scaled[8 * 16, [20, 60]], [0.0, 0.4], atol=1e-3)
    assert np.abs(np.diff(scaled, axis=0)).max() < 0.05, "the way between stops has steps"


def test_walks_refuse_what_does_not_fit():
    model = Painter(AudioConfig())
    with pytest.raises(ValueError, match=r"expected \(stops, 8\)"):
        walks.walk(model, np.zeros(8), [1, 0], 16, 120)
    with pytest.raises(ValueError, match="num_beats=2.5"):
        walks.walk(model, np.ones((2, 8)), [1, 0], 2.5, 120)
    with pytest.raises(ValueError, match="grid in seconds"):
        walks.walk(Painter(AudioConfig(grid="seconds")), np.ones((2, 8)), [1, 0], 16, 120)


def jumps(samples, num_beats, config):
    """Change of the level and of the spectrum (dB) from just before each half beat to just after it."""
    half_beats = np.arange(2 * num_beats) * len(samples) / (2 * num_beats)
    times = (half_beats[:, None] + np.array([-512, 512])).ravel() / config.sample_rate
    frames = audio.log_mel(samples, times, config, wrap=True).reshape(-1, 2, config.n_mels)
    loudness = 10 * np.log10(np.sum(10 ** (frames / 10), axis=2))
    return np.abs(np.diff(loudness)).ravel(), np.abs(np.diff(frames, axis=1)).mean(axis=(1, 2))


def test_joins_of_a_walk_are_no_rougher_than_a_window():
    """At each join the change is compared with the change at the same beat of a plain clip of eight beats."""
    from cvae_music.audio.inversion import to_audio
    from cvae_music.models.files import load_pretrained

    model = load_pretrained("known_cvae")
    config, num_beats, tempo = model.audio_config, 24, 118.0
    inside, joined = [], []
    for genre in range(0, model.num_genres, 2):
        stops = model.sample_latents([genre, genre], seed=genre)
        weights = np.eye(model.num_genres)[genre]
        samples = walks.walk(model, stops, weights, num_beats, tempo)
        assert len(samples) == round(num_beats * 60 / tempo * config.sample_rate)
        plain = [to_audio(level, config, tempo) for level in config.unscale(model.decode(stops, np.stack([weights] * 2)))]
        inside.append(np.mean([jumps(clip, 8, config) for clip in plain], axis=0))
        joined.append(jumps(samples, num_beats, config))
    inside, joined = np.array(inside), np.array(joined)  # (genres, level or spectrum, half beats)
    places = np.arange(4, 2 * num_beats, 4)  # every join but the ends
    ratio = joined[:, :, places].mean(axis=(0, 2)) / inside[:, :, places % 16].mean(axis=(0, 2))
    wraps = np.arange(16, 2 * num_beats, 16)  # where a window begins again
    at_wraps = joined[:, :, wraps].mean(axis=(0, 2)) / inside[:, :, :1].mean(axis=(0, 2))
    print("joins over windows (level, spectrum):", ratio, "at bar lines:", at_wraps)
    assert np.all(ratio < 1.2) and np.all(at_wraps < 1.3)
