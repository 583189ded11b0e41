"""Which model a notebook gets: the shipped one, an earlier notebook's, or a new one."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cvae_lab.notebook import weights
from cvae_lab.notebook.session import Session
from cvae_lab.presets import train_models
from cvae_lab.studies.sweeps import read_rows
from cvae_music.data.features import FeatureSet
from cvae_music.models.autoencoders import VAE
from cvae_music.saving import load_model, presets


@pytest.fixture
def trainings(monkeypatch, tiny_config):
    """Replaces the training by a small untrained model; lists what was asked for."""
    asked = []

    def fit(kind, features, *, num_steps, seed, verbose, **training):
        asked.append((kind, num_steps, seed, *filter(None, training.values())))
        return VAE(
            audio_config=tiny_config,
            global_dim=3,
            local_dim=2,
            width=40,
            depth=1,
            seed=seed,
        ), None

    monkeypatch.setattr(weights, "fit_model", fit)
    return asked


@pytest.fixture
def folk(tmp_path, tiny_config):
    table = pd.DataFrame({"genre": ["folk", "rock"] * 4, "split": ["train"] * 8})
    clips = np.zeros((8, *tiny_config.shape), np.float16)
    features = FeatureSet(
        tiny_config, ("folk", "rock"), table, clips, pd.DataFrame(), Path("folk-123")
    )
    return features, Session("local", "my/folk", 0, tmp_path, tmp_path)


def test_a_later_notebook_finds_the_model_of_an_earlier_one(folk, trainings):
    features, session = folk
    first = weights.open_model("vae", features, session, num_steps=7)
    again = weights.open_model("vae", features, session, num_steps=7)
    assert trainings == [("vae", 7, 0)]
    clips = (
        np.random.default_rng(0)
        .uniform(-1, 1, (2, *features.config.shape))
        .astype(np.float32)
    )
    assert np.array_equal(first.encode(clips)[0], again.encode(clips)[0])


def test_a_fine_tuning_begins_from_what_ships_and_has_a_third_of_the_steps(
    folk, trainings
):
    features, session = folk
    for choice in ("finetune", "finetune", "train", "pretrained"):
        weights.open_model("vae", features, session, choice, num_steps=9)
    assert trainings == [("vae", 3, 0, "known_vae"), ("vae", 9, 0)]
    names = {path.name for path in (session.output_dir / "models").iterdir()}
    key = f"vae-9-0-{features.key()}.npz"
    assert names == {key, f"finetuned-{key}"}
    weights.open_model("cvae", features, session, "finetune", num_steps=9)
    assert trainings[-1] == ("cvae", 3, 0, "real_cvae")


@pytest.mark.parametrize("kind", ["vae", "cvae"])
def test_a_preset_is_trained_on_with_the_genres_of_the_features(
    folk, kind, tmp_path, monkeypatch
):
    features, _ = folk
    asked = {}
    monkeypatch.setattr(
        "cvae_music.training.train", lambda *args, **options: asked.update(options)
    )
    small = {"global_dim": 3, "local_dim": 2, "width": 40, "depth": 1}
    names = features.table["genre"].map({"folk": "polka", "rock": "salsa"})
    table = features.table.assign(genre=names)
    other = dataclasses.replace(features, genres=("polka", "salsa"), table=table)
    first = weights.new_model(kind, other, **small)
    first.save_to_preset(tmp_path / "first.npz")
    model, _ = weights.fit_model(
        kind, features, seed=4, preset=tmp_path / "first.npz", num_steps=2
    )
    assert asked == {"seed": 4}
    assert model.genres == (("folk", "rock") if kind == "cvae" else ())
    before, after = (one.encoder.get_weights()[0] for one in (first, model))
    assert np.array_equal(before.astype(np.float16), after)


def test_other_steps_seed_or_data_are_other_models(folk, trainings):
    features, session = folk
    other_data = dataclasses.replace(features, log_mel=features.log_mel - 10.0)
    for data, seed, steps in (
        (features, 0, 7),
        (features, 0, 8),
        (features, 1, 7),
        (other_data, 0, 7),
    ):
        weights.open_model(
            "vae", data, dataclasses.replace(session, seed=seed), num_steps=steps
        )
    assert len(trainings) == 4


def test_a_training_cut_short_is_not_kept(folk, trainings, monkeypatch):
    features, session = folk
    monkeypatch.setenv("KERAS_MAX_EPOCHS", "1")
    monkeypatch.setattr(
        weights, "train_judges", lambda *_, **__: {"cnn": "hardly trained"}
    )
    for _ in range(2):
        weights.open_model("vae", features, session, num_steps=7)
        assert weights.open_judges(features, session) == {"cnn": "hardly trained"}
    assert len(trainings) == 2
    assert not list(session.output_dir.rglob("*.npz"))


def test_what_ships_is_loaded_for_the_embedded_music_alone(folk):
    _, session = folk
    known = dataclasses.replace(session, data="known")
    assert weights.uses_shipped_weights(known, "pretrained")
    assert weights.uses_shipped_weights(known, "finetune")
    assert not weights.uses_shipped_weights(known, "train")
    assert not weights.uses_shipped_weights(session, "pretrained")
    with pytest.raises(
        ValueError,
        match="weights='Train'; expected 'pretrained', 'finetune' or 'train'",
    ):
        weights.uses_shipped_weights(known, "Train")


@pytest.mark.parametrize("kind", ["autoencoder", "vae", "cvae", "cvaegan", "deaf"])
def test_a_new_model_follows_its_seed(folk, kind):
    features, _ = folk
    small = {"global_dim": 3, "local_dim": 2, "width": 40, "depth": 1}
    first, again, other = (
        weights.new_model(kind, features, seed, **small) for seed in (1, 1, 2)
    )
    values = [model.encoder.get_weights()[0] for model in (first, again, other)]
    assert np.array_equal(values[0], values[1])
    assert not np.allclose(values[0], values[2])
    assert first.audio_config == features.config and first.seed == 1
    assert first.genres == (() if kind in ("autoencoder", "vae") else features.genres)


def test_an_unknown_kind_names_the_known(folk):
    features, session = folk
    for call in (
        weights.new_model,
        lambda kind, features: weights.open_model(kind, features, session),
    ):
        with pytest.raises(ValueError, match="kind='gan'; expected one of .*cvae"):
            call("gan", features)


@pytest.fixture
def train_rows(folk, trainings, session_folders, monkeypatch):
    """Runs the script of the presets on given features without any real work."""
    scores = pd.Series({"kl": 2.0})
    monkeypatch.setattr(train_models, "evaluate_model", lambda *_: scores)
    monkeypatch.setattr(train_models, "fit_model", weights.fit_model)
    options = ["--data", "my/folk", "--kinds", "vae", "--num-steps", "7", "--seeds"]

    def run(features, *seeds):
        folder = session_folders / "output/results"
        monkeypatch.setattr(
            train_models, "open_data", lambda *_: (features, {}, folder)
        )
        train_models.main([*options, *seeds])
        return pd.read_csv(folder / "foundation_folk.csv")

    return run


def test_presets_are_trained_once_each_and_the_first_weights_kept(
    folk, trainings, train_rows, session_folders
):
    train_rows(folk[0], "1", "0")
    table = train_rows(folk[0], "0", "1", "2")
    assert [row[:3] for row in trainings] == [("vae", 7, k) for k in (1, 0, 2)]
    assert list(table["seed"]) == [0, 1, 2] and (table["kl"] == 2.0).all()
    command = "python -m cvae_lab.presets.train_models --kinds vae --seeds 1"
    assert table["command"][1] == f"{command} --num-steps 7 --data folk"
    (path,) = (session_folders / "output" / "models").glob("folk-*_vae.npz")
    assert load_model(path).seed == 0


@pytest.mark.parametrize(("kind", "keeps_best"), [("vae", True), ("cvaegan", False)])
def test_the_second_phase_keeps_its_last_weights(
    kind, keeps_best, folk, trainings, monkeypatch
):
    fit, asked = weights.fit_model, []

    def note(kind, features, **training):
        asked.append("callbacks" in training)
        return fit("vae", features, **training)

    monkeypatch.setattr(train_models, "fit_model", note)
    monkeypatch.setattr(
        train_models,
        "continue_training",
        lambda model, features, kind, **training: note(kind, features, **training),
    )
    monkeypatch.setattr(train_models.saving, "load_model", lambda path: None)
    monkeypatch.setattr(train_models, "evaluate_model", lambda *_: pd.Series({"kl": 1}))
    train_models.train_row(kind, 0, folk[0], {}, "my/folk", 7, None, 0.0)
    assert asked == [keeps_best]


def test_a_preset_that_copies_is_refused_and_its_model_kept(
    folk, trainings, monkeypatch, tmp_path
):
    def refuse(*_, **__):
        raise ValueError("new clips are near copies.")

    monkeypatch.setattr(train_models, "check_near_copies", refuse)
    monkeypatch.setattr(train_models.saving, "WEIGHTS", tmp_path / "weights")
    monkeypatch.setattr(train_models, "output_folder", lambda data: tmp_path / "run")
    (tmp_path / "run" / "models").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"near copies.*refused_own_vae\.npz"):
        train_models.train_row("vae", 0, folk[0], {}, "my/folk", 7, "own", 0.0)
    assert not (tmp_path / "weights" / "own_vae.npz").exists()
    assert load_model(tmp_path / "run" / "models" / "refused_own_vae.npz").seed == 0


def test_presets_of_another_folder_of_the_same_name_are_trained_anew(
    folk, trainings, train_rows
):
    other = dataclasses.replace(folk[0], log_mel=folk[0].log_mel - 10.0)
    train_rows(folk[0], "0")
    table = train_rows(other, "0")
    assert len(trainings) == len(table) == table["music"].nunique() == 2


@pytest.mark.parametrize("name", list(presets()))
def test_the_error_of_a_preset_is_that_of_the_table(name):
    music = "known" if name.startswith("known_") else "open_music"
    rows = read_rows(f"foundation_{music}")
    rows = rows[(rows["kind"] == name.partition("_")[2]) & (rows["seed"] == 0)]
    measured = rows["reconstruction_rms_db"].item()
    assert presets()[name]["rms_db"] == pytest.approx(measured, abs=0.005)
