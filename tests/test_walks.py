"""Clips by their settings, and walks through latent space: ends, lengths, joins no rougher than the windows themselves."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from cvae_music import generation as walks
from cvae_music.audio import analysis as audio
from cvae_music.audio.inversion import to_audio
from cvae_music.config import AudioConfig
from cvae_music.generation import make_clip
from cvae_music.models.autoencoders import Autoencoder
from cvae_music.models.conditional import ConditionalVAE


@dataclasses.dataclass
class Painter:
    """Stands for a model: a latent of eight loudnesses, one for each beat, and a band for each genre."""

    audio_config: AudioConfig
    genres: tuple = ("low", "high")
    num_genres: int = 2
    latent_dim: int = 8
    global_dim: int = 0
    num_slots: int = 8

    def sample_latents(self, genre, seed=0, temperature=1.0):
        """Where each genre lies, plus noise."""
        noise = np.random.default_rng(seed).uniform(
            -0.1, 0.1, (len(genre), self.latent_dim)
        )
        return (np.array([0.3, 0.7])[genre][:, None] + temperature * noise).astype(
            np.float32
        )

    def decode(self, latents, genre):
        weights = np.eye(2)[genre]
        level = np.full((len(latents), *self.audio_config.shape), -1.0, np.float32)
        beats = np.repeat(latents, self.audio_config.frames_per_beat, axis=1)
        level[:, :, 20], level[:, :, 60] = (
            beats * weights[:, :1],
            beats * weights[:, 1:],
        )
        return level


def test_a_clip_repeats_by_its_settings_and_keeps_the_tempo():
    model = Painter(AudioConfig())
    first, again, other = (
        make_clip(model, genre="high", tempo=97.0, seed=seed) for seed in (4, 4, 5)
    )
    np.testing.assert_array_equal(first.samples, again.samples)
    assert not np.allclose(first.latent, other.latent)
    assert (first.genre, first.tempo, first.seed) == ("high", 97.0, 4)
    assert len(first.samples) == round(8 * 60 / 97.0 * 22050)
    assert (
        len(make_clip(model).samples)
        == round(8 * 60 / 110.0 * 22050)
        == len(walks.latent_walk(model, first.latent[None], [1, 0], 8))
    )


def test_a_genre_is_drawn_where_it_lies_and_played():
    """The mix says what plays, and unless told otherwise the latent is drawn where the heaviest genre lies."""
    model = Painter(AudioConfig())
    for settings, genre, mean in (
        ({}, "low", 0.3),
        ({"genre": "high"}, "high", 0.7),
        ({"prior_genre": "high"}, "high", 0.7),
        ({"genre": "low", "prior_genre": "high"}, "low", 0.7),
        ({"genre": {"low": 1.0, "high": 3.0}}, "75% high, 25% low", 0.7),
    ):
        clip = make_clip(model, **settings)
        assert clip.genre == genre and clip.latent.mean() == pytest.approx(
            mean, abs=0.1
        )
        assert (clip.log_mel[:, 60].max() > -30.0) == ("high" in genre)
    still = [
        make_clip(model, genre="high", seed=seed, temperature=0.0).latent
        for seed in (1, 2)
    ]
    assert np.array_equal(*still)
    halfway = make_clip(model, genre="high", morph_to=2, morph=0.5, seed=1).latent
    ends = [walks.draw_latent(model, seed, "high") for seed in (1, 2)]
    np.testing.assert_array_equal(halfway, walks.slerp(*ends, 0.5))


def test_clips_refuse_what_does_not_exist():
    model = Painter(AudioConfig())
    for settings, message in (
        ({"genre": "polka"}, r"\['low', 'high'\]"),
        ({"prior_genre": "polka"}, r"\['low', 'high'\]"),
        ({"seed": -1}, "seed=-1; expected a whole number"),
        ({"seed": "one"}, "seed='one'"),
        ({"seed": 0.5}, "seed=0.5"),
        ({"morph_to": -2, "morph": 0.5}, "morph_to=-2"),
        ({"morph": 0.5}, "morph_to=None"),
        ({"tempo": "slow"}, "tempo='slow'"),
        ({"tempo": 0}, "tempo=0"),
        ({"sliders": {"level": 1.0}}, "fit_controls"),
    ):
        with pytest.raises(ValueError, match=message):
            make_clip(model, **settings)
    without_label = Painter(AudioConfig(), genres=(), num_genres=0)
    with pytest.raises(ValueError, match="'high' for a model without genres"):
        make_clip(without_label, genre="high")


def test_mixtures_whose_weights_do_not_sum_to_1_are_told():
    """They would be played softer, or louder."""
    model = Painter(AudioConfig())
    latents = np.ones((1, 8))
    for weights in ([[0.1, 0.1]], [[1.0, 1.0]], [[50.0, 50.0]], [[0.0, 0.0]]):
        with pytest.raises(ValueError, match="sum to 1 for each clip. Divide"):
            walks.decode_mixture(model, latents, weights)
    with pytest.raises(ValueError, match="sum to 1"):
        walks.latent_walk(model, np.ones((2, 8)), [0.5, 0.2], 2, 120)
    exact = walks.decode_mixture(model, latents, [[0.5, 0.5]])
    rounded = walks.decode_mixture(model, latents, [[0.5003, 0.5]])
    np.testing.assert_allclose(rounded, exact, atol=0.01)


@pytest.mark.parametrize(
    "settings",
    [{"latent": np.full(8, np.nan)}, {"style_from": np.full(8, np.inf)}],
    ids=str,
)
def test_a_latent_that_is_not_finite_is_told_with_where_it_may_come_from(settings):
    """`to_audio` would speak of a division by zero."""
    name = next(iter(settings))
    with pytest.raises(
        ValueError, match=rf"Got {name}=\[.*expected \(8,\), finite num"
    ):
        make_clip(Painter(AudioConfig()), **settings)


def test_a_slip_fails_where_it_was_made():
    model = Painter(AudioConfig())
    with pytest.raises(TypeError, match=r"make_clip\(\) got an unexpected .* 'gender'"):
        make_clip(model, gender="high")
    with pytest.raises(ValueError, match=r"make_morph got \['tempo'\] in second"):
        walks.make_morph(model, None, {"seed": 1}, {"seed": 2, "tempo": 120})


def test_an_autoencoder_has_nothing_to_draw_from_and_plays_what_it_encoded(tiny_config):
    model = Autoencoder(tiny_config, global_dim=2, local_dim=1, width=48, depth=1)
    with pytest.raises(ValueError, match="Autoencoder has no prior to draw from"):
        make_clip(model)
    latent = model.encode(np.zeros((1, *tiny_config.shape)))[0][0]
    clip = make_clip(model, latent=latent)
    assert clip.genre is None and clip.log_mel.shape == tiny_config.shape
    with pytest.raises(ValueError, match="seed=-1"):
        make_clip(model, latent=latent, seed=-1)


def test_style_is_the_mean_over_beats_and_what_differs_between_beats_stays():
    model = SimpleNamespace(latent_dim=5, global_dim=1, num_slots=2)
    style, latent = np.array([[9, 1, 10, 3, 20], [7, 5, 50, 6, 70]], np.float32)
    joined = walks.join_style(model, style, latent)
    np.testing.assert_allclose(joined, [9, 1.5, 5, 2.5, 25], rtol=1e-6)
    np.testing.assert_allclose(walks.join_style(model, style, style), style)
    with pytest.raises(
        ValueError, match=r"style_from=.*, shape \(4,\); expected \(5,\)"
    ):
        walks.join_style(model, style[:4], latent)
    whole = SimpleNamespace(latent_dim=5, global_dim=5, num_slots=2)
    np.testing.assert_allclose(walks.join_style(whole, style, latent), style)


def test_style_comes_from_a_latent_or_from_its_seed():
    model = Painter(AudioConfig())
    pattern = np.linspace(0.2, 0.9, 8).astype(np.float32)
    of_seed = make_clip(model, genre="high", latent=pattern, style_from=4)
    style = walks.draw_latent(model, 4, "high")
    of_latent = make_clip(model, genre="high", latent=pattern, style_from=style)
    np.testing.assert_array_equal(of_seed.samples, of_latent.samples)
    expected = pattern - pattern.mean() + style.mean()
    np.testing.assert_allclose(of_seed.latent, expected, atol=1e-6)
    ends = {"seed": 1, "style_from": 4}, {"seed": 2}
    assert walks.make_morph(model, None, *ends, num_beats=2).any()
    for style_from, message in (
        (-1, "style_from=-1"),
        (2.7, "style_from=2.7; expected a whole number"),
        ("3", "style_from='3'"),
        (np.nan, "style_from=nan"),
        (np.zeros(3), r"expected \(8,\)"),
    ):
        with pytest.raises(ValueError, match=message):
            make_clip(model, style_from=style_from)


def test_timbre_follows_the_style_and_chords_stay_with_the_rest():
    """What `join_style` says of the shipped model, on latents of one genre."""
    model = ConditionalVAE.from_preset("known_cvae")
    config = model.audio_config
    styles, latents = model.sample_latents([2] * 48, seed=1).reshape(2, 24, -1)
    joined = [
        walks.join_style(model, *pair) for pair in zip(styles, latents, strict=True)
    ]
    power = 10 ** (
        config.unscale(
            model.decode(np.concatenate([joined, styles, latents]), [2] * 72)
        )
        / 10
    ).reshape(3, 24, 8, 16, config.n_mels)
    spectrum = np.log10(power.mean(axis=(2, 3)))
    by_beat = np.log10(power.mean(axis=3))
    changes = by_beat - by_beat.mean(axis=2, keepdims=True)

    def follows(values, giver):
        values = values - values.mean(axis=1, keepdims=True)
        one, other = values[0].ravel(), values[giver].ravel()
        return one @ other / np.linalg.norm(one) / np.linalg.norm(other)

    assert follows(spectrum, 1) > 0.7 > 0.3 > follows(spectrum, 2)
    assert follows(changes, 2) > 0.4 > 0.25 > follows(changes, 1)


def test_slerp_keeps_the_distance_from_the_origin():
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 96))
    np.testing.assert_allclose(walks.slerp(first, second, 0.0), first, rtol=1e-5)
    np.testing.assert_allclose(walks.slerp(first, second, 1.0), second, rtol=1e-5)
    middle = np.linalg.norm(walks.slerp(first, second, 0.5))
    assert middle == pytest.approx(
        (np.linalg.norm(first) + np.linalg.norm(second)) / 2, rel=1e-5
    )
    assert middle > 1.2 * np.linalg.norm((first + second) / 2)
    np.testing.assert_allclose(walks.slerp(first, first, 0.3), first, rtol=1e-5)
    np.testing.assert_allclose(
        walks.slerp([1, 0], [0, 1], [[0.5]]), [[0.5**0.5] * 2], rtol=1e-6
    )
    with pytest.raises(ValueError, match="opposite"):
        walks.slerp(first, -first, 0.5)


def test_a_walk_plays_each_beat_of_the_window_in_its_place():
    model = Painter(AudioConfig())
    loud = np.linspace(0.2, 0.9, 8)
    level = walks.latent_walk_log_mel(model, loud[None], [1.0, 0.0], 20)
    expected = model.audio_config.unscale(np.tile(loud, 3)[:20])
    np.testing.assert_allclose(level[::16, 20], expected, atol=1e-3)
    assert level.shape == (320, 128) and np.all(level[:, 60] < -30)


def test_a_walk_takes_a_guidance(tiny_config):
    model = ConditionalVAE(tiny_config, ["low", "high"], width=48, depth=1)
    genre = np.float32([1.0, 0.0])
    stops = model.sample_latents([0, 1])
    plain = walks.latent_walk_log_mel(model, stops, genre, 4)
    guided = walks.latent_walk_log_mel(model, stops, genre, 4, guidance=2.0)
    assert np.abs(guided - plain).max() > 0.1  # dB
    model.guidance = 2.0
    of_model = walks.latent_walk_log_mel(model, stops, genre, 4)
    np.testing.assert_array_equal(guided, of_model)
    ends = {"genre": "low"}, {"genre": "high"}
    morphs = [
        walks.make_morph(model, None, *ends, num_beats=2, guidance=amount)
        for amount in (0.0, 2.0)
    ]
    assert not np.array_equal(*morphs)


def test_a_walk_passes_its_stops_and_changes_genre():
    model = Painter(AudioConfig())
    stops = np.stack([np.full(8, 0.8), np.full(8, 0.4), np.full(8, 0.8)])
    level = walks.latent_walk_log_mel(model, stops, [[1, 0], [0, 1], [1, 0]], 16)
    scaled = model.audio_config.scale(level)
    np.testing.assert_allclose(scaled[0, [20, 60]], [0.8, 0.0], atol=1e-3)
    np.testing.assert_allclose(scaled[8 * 16, [20, 60]], [0.0, 0.4], atol=1e-3)
    assert np.abs(np.diff(scaled, axis=0)).max() < 0.05, (
        "the way between stops has steps"
    )


def test_walks_refuse_what_does_not_fit():
    model = Painter(AudioConfig())
    with pytest.raises(ValueError, match=r"expected \(stops, 8\)"):
        walks.latent_walk(model, np.zeros(8), [1, 0], 16, 120)
    with pytest.raises(ValueError, match="num_beats=2.5"):
        walks.latent_walk(model, np.ones((2, 8)), [1, 0], 2.5, 120)
    with pytest.raises(ValueError, match="grid in seconds"):
        walks.latent_walk(
            Painter(AudioConfig(grid="seconds")), np.ones((2, 8)), [1, 0], 16, 120
        )


def jumps(samples, num_beats, config):
    """Change of the level and of the spectrum (dB) from just before each half beat to just after it."""
    half_beats = np.arange(2 * num_beats) * len(samples) / (2 * num_beats)
    times = (half_beats[:, None] + np.array([-512, 512])).ravel() / config.sample_rate
    frames = audio.log_mel(samples, times, config, wrap=True).reshape(
        -1, 2, config.n_mels
    )
    loudness = 10 * np.log10(np.sum(10 ** (frames / 10), axis=2))
    return np.abs(np.diff(loudness)).ravel(), np.abs(np.diff(frames, axis=1)).mean(
        axis=(1, 2)
    )


def test_joins_of_a_walk_are_no_rougher_than_a_window():
    """At each join the change is compared with the change at the same beat of a plain clip of eight beats."""
    model = ConditionalVAE.from_preset("known_cvae")
    config, num_beats, tempo = model.audio_config, 24, 118.0
    inside, joined = [], []
    for genre in range(0, model.num_genres, 2):
        stops = model.sample_latents([genre, genre], seed=genre)
        weights = np.eye(model.num_genres)[genre]
        samples = walks.latent_walk(model, stops, weights, num_beats, tempo)
        assert len(samples) == round(num_beats * 60 / tempo * config.sample_rate)
        plain = [
            to_audio(level, config, tempo)
            for level in config.unscale(model.decode(stops, np.stack([weights] * 2)))
        ]
        inside.append(np.mean([jumps(clip, 8, config) for clip in plain], axis=0))
        joined.append(jumps(samples, num_beats, config))
    inside, joined = (
        np.array(inside),
        np.array(joined),
    )  # (genres, level or spectrum, half beats)
    places = np.arange(4, 2 * num_beats, 4)  # every join but the ends
    ratio = joined[:, :, places].mean(axis=(0, 2)) / inside[:, :, places % 16].mean(
        axis=(0, 2)
    )
    wraps = np.arange(16, 2 * num_beats, 16)  # where a window begins again
    at_wraps = joined[:, :, wraps].mean(axis=(0, 2)) / inside[:, :, :1].mean(
        axis=(0, 2)
    )
    print("joins over windows (level, spectrum):", ratio, "at bar lines:", at_wraps)
    assert np.all(ratio < 1.2) and np.all(at_wraps < 1.3)
