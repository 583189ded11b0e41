"""What the beta sweep and the comparison measure, on a decoder worked by hand; their cells as data."""

import dataclasses
import json
import types

import numpy as np
import pandas as pd
import pytest

from cvae_lab.baselines.pca import PCABaseline
from cvae_lab.studies import comparison as study
from cvae_lab.studies.sweeps import cell_key
from cvae_music.data.features import FeatureSet


class LevelAndTilt:
    """The first latent is the level, the second a tilt of the spectrum, the third nothing; the label is a hum."""

    num_genres, global_dim, latent_dim = 2, 3, 4

    def __init__(self, config):
        self.audio_config = config
        ramp = np.linspace(-1.0, 1.0, config.n_mels)
        self.pictures = np.stack(
            [np.full(config.n_mels, 3.0), 4.0 * ramp, ramp**2 - np.mean(ramp**2)]
        )

    def decode(self, latents, genre):
        rows = (
            np.stack([latents[:, 0], latents[:, 1], 9.0 * np.asarray(genre)], axis=1)
            @ self.pictures
        )
        return self.audio_config.scale(
            -35.0 + np.repeat(rows[:, None], self.audio_config.num_frames, axis=1)
        )

    def encode(self, clips):
        found = (self.audio_config.unscale(clips).mean(axis=1) + 35.0) @ np.linalg.pinv(
            self.pictures
        )
        mean = np.zeros((len(clips), 4), np.float32)
        mean[:, :2] = found[:, :2]
        return mean, np.tile(
            np.log(np.array([0.01, 0.01, 1.0, 1.0], np.float32)), (len(clips), 1)
        )

    def sample_latents(self, genre, seed=0):
        latents = np.zeros((len(genre), 4), np.float32)
        latents[:, :2] = np.random.default_rng(seed).uniform(-1.7, 1.7, (len(genre), 2))
        return latents


@pytest.fixture(scope="module")
def model(tiny_config):
    return LevelAndTilt(tiny_config)


@pytest.fixture(scope="module")
def features(tiny_config, model):
    rng, num = np.random.default_rng(0), 400
    latents = np.zeros((num, 4), np.float32)
    latents[:, :2] = rng.uniform(-1.7, 1.7, (num, 2))
    genre = rng.integers(0, 2, num)
    table = {
        "genre": np.array(["a", "b"])[genre],
        "split": np.repeat(["train", "test"], [300, 100]),
        "group": np.arange(num),
    }
    table |= {
        "level_db": latents[:, 0],
        "brightness": latents[:, 1],
        "density": rng.random(num),
    }
    table |= {
        "mode": (latents[:, 0] > 0).astype(int),
        "register": rng.integers(0, 2, num),
    }
    clips = tiny_config.unscale(model.decode(latents, genre)).astype(np.float16)
    return FeatureSet(
        tiny_config, ("a", "b"), pd.DataFrame(table), clips, pd.DataFrame(), None
    )


@pytest.fixture(scope="module")
def judges():
    return {
        "descriptors": types.SimpleNamespace(
            embedding=lambda clips: np.asarray(clips).mean(axis=1)
        )
    }


def test_rate_and_distortion_by_hand(model, features):
    row = study.measure_beta(model, features)
    mean = model.encode(features.arrays("test")[0])[0]
    expected = 0.5 * (mean[:, :2] ** 2 + 0.01 - 1.0 - np.log(0.01)).mean(axis=0)
    assert row["rate"] == pytest.approx(expected.sum(), rel=1e-3) == row["rate_whole"]
    assert json.loads(row["kl_sorted"]) == pytest.approx(
        [*sorted(expected, reverse=True), 0.0, 0.0], abs=2e-3
    )
    # Noise of 0.1 on the level moves every band by 0.3 dB; on the tilt by 0.4 dB times the ramp.
    tilt = 0.4 * np.sqrt(np.mean(np.linspace(-1, 1, features.config.n_mels) ** 2))
    assert row["distortion_db"] == pytest.approx(np.hypot(0.3, tilt), rel=0.15)
    assert abs(row["genre_probe_accuracy"] - 0.5) < 0.2 and row["sap"] > 0.2


def test_music_without_factors_has_no_disentanglement(model, features):
    table = features.table[["genre", "split", "group"]]
    real = FeatureSet(
        features.config, features.genres, table, features.log_mel, features.report, None
    )
    assert "mig" not in study.measure_beta(model, real)


def test_comparison_of_a_model_that_obeys_and_of_raw_features(model, features, judges):
    row = study.measure_comparison(model, features, judges)
    raw = study.measure_raw(features, judges)
    assert row["cas"] > 0.95 and raw["cas"] > 0.95
    # The latents know nothing of the label; the raw features hold it.
    assert (
        abs(row["kmeans_ari"]) < 0.1
        and row["kmeans_ari_low"] <= row["kmeans_ari"] <= row["kmeans_ari_high"]
    )
    assert raw["log-mel statistics: knn_accuracy"] > row["knn_accuracy"] + 0.2


def test_principal_components_rebuild_what_two_directions_hold(features):
    model = PCABaseline(3).fit(features)
    clips, genre = features.arrays("test")
    mean, log_var = model.encode(clips)
    assert (
        model.decode(mean) == pytest.approx(clips, abs=2e-3)
        and np.exp(log_var).max() < 1e-8
    )
    asked = np.repeat([0, 1], 300)
    drawn = model.sample_latents(asked, seed=0)
    for index in (0, 1):
        known = model.encode(
            features.arrays("train")[0][features.arrays("train")[1] == index]
        )[0]
        assert drawn[asked == index].mean(axis=0) == pytest.approx(
            known.mean(axis=0), abs=0.3 * float(known.std())
        )
        assert drawn[asked == index].std(axis=0) == pytest.approx(
            known.std(axis=0), rel=0.25, abs=0.02
        )


def test_a_genre_of_one_clip_can_be_sampled(features):
    few = features.table["genre"].ne("b") | ~features.table["genre"].eq(
        "b"
    ).cumsum().gt(1)
    rows = np.flatnonzero(few & features.table["split"].eq("train"))
    table = features.table.iloc[rows].reset_index(drop=True)
    one = dataclasses.replace(features, table=table, log_mel=features.log_mel[rows])
    assert list(one.counts().loc["b"])[0] == 1
    drawn = PCABaseline(3).fit(one).sample_latents([0, 1, 1])
    assert np.isfinite(drawn).all()


def test_cells_are_plain_and_differ():
    cells = [*study.beta_cells(), *study.comparison_cells()]
    assert len({cell_key(cell) for cell in cells}) == len(cells)
    betas = sorted(
        {cell["value"] for cell in study.beta_cells() if cell["schedule"] == "constant"}
    )
    assert len(betas) >= 6 and betas[-1] / betas[0] >= 100
    assert {cell["seed"] for cell in cells} == {0, 1, 2}
