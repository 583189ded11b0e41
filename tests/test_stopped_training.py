"""A training that is stopped, whose backup is damaged or whose disk is full: what is lost, and what is said."""

import dataclasses
import datetime
import shutil
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from helpers import warned
from keras import layers

import cvae_music as cm
from cvae_music import saving, training
from cvae_music.callbacks import Backup
from cvae_music.training import compile_model, train

SIZE = {"global_dim": 3, "local_dim": 2, "width": 40, "depth": 1}
GENRES = ("loud", "soft")


pytestmark = pytest.mark.usefixtures("run_eagerly")


@pytest.fixture(scope="module")
def features(two_levels):
    return two_levels


def make(config, cls=cm.Autoencoder):
    """A model whose networks have few weights: a step without a graph is slow for each."""
    keras.utils.set_random_seed(0)
    if cls is cm.ConditionalVAE:
        return cls(config, genres=GENRES, **SIZE)
    clip = keras.Input(config.shape)
    code = layers.Dense(2 * cls.outputs_per_latent)(layers.Flatten()(clip))
    latent = keras.Input((2,))
    rebuilt = layers.Dense(config.num_frames * config.n_mels)(latent)
    decoder = keras.Model(latent, layers.Reshape(config.shape)(rebuilt))
    return cls(config, encoder=keras.Model(clip, code), decoder=decoder)


def run(features, num_steps=3, cls=cm.Autoencoder, **settings):
    """`(model, history)` of a training of one step an epoch."""
    model = make(features.config, cls)
    return model, train(model, features, num_steps, verbose=0, **settings)


def at_epoch(number, action):
    """A callback that does something when an epoch begins, counted from 0."""
    begin = lambda epoch, logs: action() if epoch == number else None  # noqa: E731
    return keras.callbacks.LambdaCallback(on_epoch_begin=begin)


def press_stop():
    raise KeyboardInterrupt


# --- damaged backups -------------------------------------------------------------------------------------------------


@pytest.fixture
def backup(tmp_path, tiny_config):
    """A backup with the states of two epochs, and its model."""
    model = make(tiny_config)
    compile_model(model, 4)
    made = Backup(tmp_path, {"seed": 0})
    made.set_model(model)
    for epoch in range(2):
        made.on_epoch_end(epoch, {"loss": 2.0 - epoch})
    return made


DAMAGE = {
    "half": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "zeros at its end": lambda content: content[:-9000] + bytes(9000),
    "a block of zeros": lambda content: content[:9000] + bytes(512) + content[9512:],
    "one byte": lambda content: content[:-99] + b"?" + content[-98:],
    "another file": lambda content: b"<html>",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_state_is_told_and_the_one_before_is_used(backup, damage, capsys):
    first, second = backup.states()
    second.write_bytes(damage(second.read_bytes()))
    again = Backup(backup.folder, {"seed": 0})
    assert again.restore(backup.model) == 1
    assert f"{str(second)!r} cannot be read" in capsys.readouterr().out
    first.write_bytes(damage(first.read_bytes()))
    with pytest.raises(ValueError, match="No state in .*Remove .*000001.weights.h5"):
        Backup(backup.folder, {"seed": 0}).restore(backup.model)


def test_a_folder_in_the_place_of_a_state_is_passed_over(backup):
    (backup.folder / "000009.weights.h5").mkdir()
    assert Backup(backup.folder, {"seed": 0}).restore(backup.model) == 2


@pytest.mark.parametrize("content", [b"", b'{"seed": ', b"[1]", b"null", b'"\xe9"'])
def test_a_damaged_note_is_named(backup, content):
    backup.note.write_bytes(content)
    with pytest.raises(ValueError, match="made_with.json', which says .*cannot be rea"):
        Backup(backup.folder, {"seed": 0})
    backup.note.unlink()
    with pytest.raises(ValueError, match="made_with.json', which says .*cannot be rea"):
        Backup(backup.folder, {"seed": 0})


@pytest.mark.parametrize("name", [".DS_Store", "._000001.weights.h5", "Thumbs.db"])
def test_what_systems_leave_in_an_empty_folder_is_no_training(features, tmp_path, name):
    (tmp_path / name).write_text("x")
    run(features, 1, backup_dir=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_backup_folder_may_be_in_the_home_folder(features, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    seen = []
    look = at_epoch(1, lambda: seen.extend(tmp_path.glob("run/0*.h5")))
    run(features, 2, backup_dir="~/run", callbacks=look)
    assert [path.name for path in seen] == ["000001.weights.h5"]
    assert list(tmp_path.iterdir()) == []


def test_what_others_keep_under_our_names_is_left_alone(features, backup, tmp_path):
    """A file counted as ours are, and a note that is none of a training."""
    mine = backup.folder / "000009.weights.h5"
    mine.write_text("of a checkpoint")
    again = Backup(backup.folder, {"seed": 0})
    assert again.restore(backup.model) == 2
    again.remove()
    assert list(backup.folder.iterdir()) == [mine]
    note = tmp_path / "other" / "made_with.json"
    note.parent.mkdir()
    note.write_text('{"camera": "mine"}')
    with pytest.raises(ValueError, match="made_with.json', which says .*cannot be rea"):
        run(features, 1, backup_dir=note.parent)
    assert note.read_text() == '{"camera": "mine"}'


# --- whose files and folders they are --------------------------------------------------------------------------------


def test_a_folder_that_was_there_stays_also_behind_a_link(
    features, tmp_path, monkeypatch
):
    """A link, the working folder, a mount: each is somebody's, and some cannot be removed."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (tmp_path / "link").symlink_to(mine)
    monkeypatch.chdir(mine)
    for folder in (tmp_path / "link", mine, "."):
        run(features, 1, backup_dir=folder)
        assert list(mine.iterdir()) == []
    run(features, 1, backup_dir="new")
    assert list(mine.iterdir()) == []


def test_what_others_are_writing_beside_a_backup_is_left_alone(features, tmp_path):
    """Temporary files of the cache of an extraction, and of a killed training."""
    ending = f"{'0123456789abcdef' * 2}.tmp"
    theirs = tmp_path / f"features.npy.{ending}"
    for path in (theirs, tmp_path / f"000001.weights.h5.{ending}"):
        path.write_text("half of it")
    run(features, 1, backup_dir=tmp_path)
    assert list(tmp_path.iterdir()) == [theirs]


def test_a_backup_that_cannot_be_removed_costs_a_line(
    features, tmp_path, monkeypatch, capsys
):
    """As on Windows while another program reads it; then the whole folder is gone."""
    plain = Path.unlink

    def unlink(path, missing_ok=False):
        if path.name.endswith(".weights.h5"):
            raise PermissionError(13, "used by another process", str(path))
        plain(path, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", unlink)
        _, history = run(features, 4, backup_dir=tmp_path / "run")
    assert history.epoch == [0, 1, 2, 3]
    assert "its backup is left ([Errno 13] used by" in capsys.readouterr().out
    _, history = run(features, 4, backup_dir=tmp_path / "run")  # it is complete
    assert history.epoch == [0, 1, 2, 3] and not (tmp_path / "run").exists()
    gone = lambda *_: shutil.rmtree(tmp_path / "run")  # noqa: E731
    monkeypatch.setattr(training, "fit_posthoc_layers", gone)
    _, history = run(features, 1, backup_dir=tmp_path / "run")
    assert len(history.history["loss"]) == 1
    assert "its backup is left ([Errno 2] No such" in capsys.readouterr().out


# --- full disks ------------------------------------------------------------------------------------------------------


def test_a_full_disk_costs_the_backup_and_not_the_training(
    features, tmp_path, monkeypatch, capsys
):
    plain = saving.write_file

    def write_file(path, write):
        if path.name == "000002.weights.h5":
            raise OSError(28, "No space left on device")
        plain(path, write)

    monkeypatch.setattr(saving, "write_file", write_file)
    states = []
    look = at_epoch(2, lambda: states.extend(tmp_path.iterdir()))
    _, history = run(features, 3, backup_dir=tmp_path / "run", callbacks=look)
    assert len(history.history["loss"]) == 3
    assert "Epoch 2 has no backup ([Errno 28] No space" in capsys.readouterr().out
    assert not (tmp_path / "run").exists()


def test_a_disk_that_takes_half_a_state_is_survived(backup, capsys):
    """HDF5 would end the process here; no other program is asked for space."""
    resource = pytest.importorskip("resource")
    before = [state.read_bytes() for state in backup.states()]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before[1]) // 2, limits[1]))
    try:
        backup.on_epoch_end(2, {"loss": 0.0})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "Epoch 3 has no backup" in capsys.readouterr().out
    assert [state.read_bytes() for state in backup.states()] == before
    assert len(list(backup.folder.iterdir())) == 3
    assert Backup(backup.folder, {"seed": 0}).restore(backup.model) == 2


# --- the curve after a resume ----------------------------------------------------------------------------------------


def test_the_curve_after_a_resume_is_the_whole_curve(features, tmp_path):
    _, whole = run(features, 4)
    with pytest.raises(KeyboardInterrupt):
        stopping = at_epoch(2, press_stop)
        run(features, 4, backup_dir=tmp_path / "run", callbacks=stopping)
    begun = []
    note = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: begun.append(epoch)
    )
    _, history = run(features, 4, backup_dir=tmp_path / "run", callbacks=note)
    assert begun == [2, 3] and history.epoch == [0, 1, 2, 3]
    for name in ("loss", "val_loss"):
        found = history.history[name]
        np.testing.assert_allclose(found, whole.history[name], rtol=1e-3)


def test_a_stop_after_the_last_epoch_costs_no_epoch_and_no_curve(
    features, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(training, "fit_posthoc_layers", lambda *_: press_stop())
        with pytest.raises(KeyboardInterrupt):
            run(features, 2, cm.VAE, backup_dir=tmp_path / "run")
    model, history = run(features, 2, cm.VAE, backup_dir=tmp_path / "run")
    expected, whole = run(features, 2, cm.VAE)
    assert history.epoch == [0, 1] and set(history.history) == set(whole.history)
    for found, value in zip(model.weights, expected.weights, strict=True):
        np.testing.assert_allclose(found, value, atol=1e-3)


def test_the_best_weights_of_a_stopped_training_are_kept(
    features, tmp_path, monkeypatch
):
    """Stopped early, then in the density: no epoch runs again, and the best are back."""
    states = []

    class Worse(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["val_loss"] = float(epoch)
            states.append(self.model.decoder.get_weights())

    def again():
        stop = keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)
        folder = tmp_path / "run"
        return run(features, 9, cm.VAE, backup_dir=folder, callbacks=[Worse(), stop])

    with monkeypatch.context() as patch:
        patch.setattr(training, "fit_posthoc_layers", lambda *_: press_stop())
        with pytest.raises(KeyboardInterrupt):
            again()
    model, history = again()
    assert history.epoch == [0, 1, 2] and len(history.history["val_loss"]) == 3
    assert len(states) == 3 and not (tmp_path / "run").exists()
    for weight, first in zip(model.decoder.get_weights(), states[0], strict=True):
        np.testing.assert_array_equal(weight, first)


def test_a_log_of_epochs_goes_on_after_a_resume(features, tmp_path):
    for stopped in (True, False):
        log = [keras.callbacks.CSVLogger(tmp_path / "log.csv")]
        if stopped:
            with pytest.raises(KeyboardInterrupt):
                stopping = [*log, at_epoch(2, press_stop)]
                run(features, 3, backup_dir=tmp_path / "run", callbacks=stopping)
        else:
            run(features, 3, backup_dir=tmp_path / "run", callbacks=log)
    assert pd.read_csv(tmp_path / "log.csv")["epoch"].tolist() == [0, 1, 2]


class Score(keras.callbacks.Callback):
    """A metric of one's own, as a callback computes it at the end of an epoch."""

    scores = (3.0, 1.0, 2.0, 0.5)

    def on_epoch_end(self, epoch, logs=None):
        logs["score"] = np.float32(self.scores[epoch])


def test_a_better_checkpoint_of_before_a_resume_is_kept(features, tmp_path, capsys):
    """Stopped in the third epoch; the fourth has the lowest score, the first the highest."""

    def checkpoint(mode):
        settings = {"save_best_only": True, "save_weights_only": True, "mode": mode}
        path = tmp_path / f"{mode}.weights.h5"
        return keras.callbacks.ModelCheckpoint(path, "score", **settings)

    def again(*more):
        stop = keras.callbacks.EarlyStopping("score", mode="min", patience=9)
        given = [Score(), checkpoint("min"), checkpoint("max"), stop, *more]
        settings = {"backup_dir": tmp_path / "run", "callbacks": given}
        return run(features, 4, **settings)[1].history["score"]

    with pytest.raises(KeyboardInterrupt):
        again(at_epoch(2, press_stop))
    lowest = (tmp_path / "min.weights.h5").read_bytes()
    highest = (tmp_path / "max.weights.h5").read_bytes()
    assert "EarlyStopping" not in capsys.readouterr().out
    assert again()[2:] == [2.0, 0.5]
    assert (tmp_path / "max.weights.h5").read_bytes() == highest
    assert (tmp_path / "min.weights.h5").read_bytes() != lowest
    told = capsys.readouterr().out
    assert told.count("EarlyStopping knows no epoch before this resume.") == 1


def test_a_checkpoint_that_did_not_survive_is_written_anew(features, tmp_path):
    path = tmp_path / "best.weights.h5"

    def again(*more):
        best = {"save_best_only": True, "save_weights_only": True, "mode": "max"}
        store = keras.callbacks.ModelCheckpoint(path, "score", **best)
        settings = {
            "backup_dir": tmp_path / "run",
            "callbacks": [Score(), store, *more],
        }
        return run(features, 4, **settings)

    with pytest.raises(KeyboardInterrupt):
        again(at_epoch(2, press_stop))
    path.unlink()  # as what lay beside the notebook, when only the Drive comes back
    again()
    assert path.exists()


@pytest.mark.parametrize("folder", ["plain", "run [1]"])
def test_a_better_checkpoint_of_any_name_is_kept(features, tmp_path, folder):
    """The first epoch has the lowest score: no file of a later one is written."""
    path = tmp_path / folder / "{epoch}.weights.h5"
    path.parent.mkdir()

    class Rising(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["score"] = float(epoch)

    for stopping in ([at_epoch(2, press_stop)], []):
        best = {"mode": "min", "save_best_only": True, "save_weights_only": True}
        store = keras.callbacks.ModelCheckpoint(path, "score", **best)
        given = [Rising(), store, *stopping]
        try:
            run(features, 4, backup_dir=tmp_path / "run", callbacks=given)
        except KeyboardInterrupt:
            assert stopping
        assert [file.name for file in path.parent.iterdir()] == ["1.weights.h5"]


def test_a_metric_that_is_no_number_costs_the_backup_and_not_the_training(
    features, tmp_path, capsys
):
    now = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: logs.update(at=datetime.datetime.now())
    )
    _, history = run(features, 2, backup_dir=tmp_path / "run", callbacks=now)
    assert history.epoch == [0, 1] and not (tmp_path / "run").exists()
    assert "Epoch 2 has no backup (float() argument" in capsys.readouterr().out


def test_a_metric_of_a_callback_is_in_the_curve_of_before(features, tmp_path):
    for stopped in (2, 3, None):
        stopping = [] if stopped is None else [at_epoch(stopped, press_stop)]
        settings = {"backup_dir": tmp_path / "run", "callbacks": [Score(), *stopping]}
        try:
            history = run(features, 4, **settings)[1].history
        except KeyboardInterrupt:
            continue
    # What a callback adds comes with the next state: of the last epoch it is lost.
    np.testing.assert_array_equal(history["score"], [3.0, np.nan, np.nan, 0.5])
    assert len(history["val_loss"]) == 4 and np.isfinite(history["val_loss"]).all()


def test_a_metric_that_an_earlier_part_had_not_is_unknown_there(features, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        stopping = at_epoch(1, press_stop)
        run(features, 2, backup_dir=tmp_path / "run", callbacks=stopping)
    noting = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: logs.update(number=epoch)
    )
    _, history = run(features, 2, backup_dir=tmp_path / "run", callbacks=[noting])
    np.testing.assert_array_equal(np.isnan(history.history["number"]), [1, 0])


# --- unfinished models -----------------------------------------------------------------------------------------------


def test_a_model_that_was_stopped_has_the_averages_and_says_it_is_unfinished(
    features, tmp_path
):
    model = make(features.config, cm.ConditionalVAE)
    averages = []

    def stop():
        averages.extend(map(np.array, model.optimizer._model_variables_moving_average))
        press_stop()

    with pytest.raises(KeyboardInterrupt):
        train(model, features, 3, verbose=0, callbacks=at_epoch(2, stop))
    for weight, average in zip(model.trainable_variables, averages, strict=True):
        np.testing.assert_array_equal(weight, average)
    path = tmp_path / "stopped.keras"
    for action in (
        lambda: cm.make_clip(model),
        lambda: cm.make_clip(model, latent=np.zeros(model.latent_dim)),
        lambda: cm.make_morph(model, None, {}, {"seed": 1}, num_beats=4),
        lambda: model.save(path),
        lambda: model.save_to_preset(tmp_path / "stopped.npz"),
        lambda: cm.make_clip(cm.load_model(path)),
        lambda: cm.make_clip(cm.load_model(tmp_path / "stopped.npz")),
    ):
        assert warned(action)
    cm.fit_posthoc_layers(model, features)
    assert not warned(lambda: (cm.make_clip(model), model.save(path)))


def test_a_checkpoint_says_that_it_is_unfinished_and_can_be_finished(
    features, tmp_path
):
    path = tmp_path / "best.keras"
    store = keras.callbacks.ModelCheckpoint(path, monitor="loss", save_best_only=True)
    model, _ = run(features, 2, cm.VAE, callbacks=store)
    assert not warned(lambda: cm.make_clip(model))
    best = cm.load_model(path)
    (found,) = warned(lambda: cm.make_clip(best))
    assert "Call fit_posthoc_layers(model, features)" in found
    encoded = best.encode(features.arrays("train")[0][:1]).mode()[0]
    assert not warned(lambda: cm.make_clip(best, latent=encoded))  # needs no density
    cm.fit_posthoc_layers(best, features)
    assert not warned(lambda: cm.make_clip(best))


def test_a_finished_model_that_is_trained_on_is_unfinished_again(features, tmp_path):
    """Its density is that of latents that no longer exist."""
    model, _ = run(features, 1, cm.VAE)
    path = tmp_path / "best.keras"
    store = keras.callbacks.ModelCheckpoint(path)
    train(model, features, 1, verbose=0, callbacks=store)
    assert warned(lambda: cm.make_clip(cm.load_model(path)))
    with pytest.raises(KeyboardInterrupt):
        train(model, features, 2, verbose=0, callbacks=at_epoch(1, press_stop))
    assert warned(lambda: cm.make_clip(model))
    cm.fit_posthoc_layers(model, features)
    assert not warned(lambda: cm.make_clip(model))
    model.fit(*features.arrays("train"), verbose=0)
    assert warned(lambda: cm.make_clip(model))


def test_a_refused_call_leaves_a_finished_model_finished(features):
    """No step was taken: the density is still that of its latents."""
    model, _ = run(features, 1, cm.ConditionalVAE)
    clips, genre = features.arrays("train")
    finished = [np.array(weight) for weight in model.weights]
    levels = features.config.unscale(clips)
    dataset = tf.data.Dataset.from_tensor_slices((levels, genre)).batch(8)
    for call, message in (
        (lambda: model.fit(levels, genre), "Use AudioConfig.scale"),
        (lambda: model.fit(dataset, verbose=0), "Use AudioConfig.scale"),
        (lambda: model.fit(clips, verbose=0), "without genre labels"),
        (lambda: model.train_on_batch(clips), "without genre labels"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    assert not warned(lambda: cm.make_clip(model))
    for weight, value in zip(model.weights, finished, strict=True):
        np.testing.assert_array_equal(weight, value)
    model.train_on_batch(clips[:8], genre[:8])
    assert warned(lambda: cm.make_clip(model))


@pytest.mark.parametrize("seed", [-1, 1.5, "0", None])
def test_a_seed_of_no_training_is_told_before_the_first_step(features, seed):
    """The density, which is fitted after all epochs, would refuse it."""
    model = make(features.config, cm.VAE)
    before = model.get_weights()
    with pytest.raises(ValueError, match=f"Got seed={seed!r}; expected a whole number"):
        train(model, features, 1, seed=seed, verbose=0)
    for weight, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.parametrize("seed", [-1, 1.5, "3", None])
def test_a_seed_of_no_model_is_told(features, seed):
    with pytest.raises(ValueError, match=f"Got seed={seed!r}; expected a whole number"):
        cm.VAE(features.config, seed=seed, **SIZE)
    assert cm.VAE(features.config, seed=np.int64(3), **SIZE).get_config()["seed"] == 3


def test_music_of_other_genres_leaves_a_finished_model_as_it_is(features):
    """The mean shift was fitted to it before the density refused it."""
    model, _ = run(features, 1, cm.ConditionalVAE)
    before = model.get_weights()
    clips = features.arrays("train")
    for other, message in (
        (dataclasses.replace(features, genres=GENRES[::-1]), "expected the same, in"),
        (clips, r"Got tuple as features; expected a FeatureSet"),
    ):
        with pytest.raises(ValueError, match=message):
            cm.fit_posthoc_layers(model, other)
        with pytest.raises(ValueError, match=message):
            train(model, other, 1, verbose=0)
    for weight, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value")
def test_a_model_finished_without_training_clips_is_none(features, tmp_path):
    """Its density and mean shift are NaN."""
    model = make(features.config, cm.ConditionalVAE)
    cm.fit_posthoc_layers(model, features.subset("validation"))
    assert warned(lambda: model.save(tmp_path / "model.keras"))
    cm.fit_posthoc_layers(model, features)
    assert not warned(lambda: model.save(tmp_path / "model.keras"))


def test_a_stop_between_the_fitted_layers_is_told(features, monkeypatch):
    model = make(features.config, cm.ConditionalVAE)
    with monkeypatch.context() as patch:
        patch.setattr(model.mean_shift, "fit", lambda *_: press_stop())
        with pytest.raises(KeyboardInterrupt):
            train(model, features, 1, verbose=0)
    assert warned(lambda: cm.make_clip(model))
    cm.fit_posthoc_layers(model, features)
    assert np.any(np.array(model.mean_shift.means))
    assert not warned(lambda: cm.make_clip(model))


def test_weights_of_a_checkpoint_played_by_another_model_are_told(features, tmp_path):
    path = tmp_path / "{epoch:02d}.weights.h5"
    store = keras.callbacks.ModelCheckpoint(path, save_weights_only=True)
    model, _ = run(features, 2, cm.VAE, callbacks=store)
    assert len(list(tmp_path.iterdir())) == 2
    model.load_weights(tmp_path / "01.weights.h5")
    assert warned(lambda: cm.make_clip(model))


def test_the_best_weights_of_early_stopping_are_finished(features):
    """Every epoch after the first is worse: the training ends with the first."""
    states = []

    class Worse(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["val_loss"] = float(epoch)
            states.append(self.model.decoder.get_weights())

    stop = keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)
    model, history = run(features, 9, cm.VAE, callbacks=[Worse(), stop])
    assert len(history.epoch) == 3
    for weight, first in zip(model.decoder.get_weights(), states[0], strict=True):
        np.testing.assert_array_equal(weight, first)
    assert not warned(lambda: cm.make_clip(model))


# --- callbacks -------------------------------------------------------------------------------------------------------


def test_callbacks_may_be_one_several_or_none(features):
    for wrap in (lambda one: one, lambda one: (None, [one])):
        ends = []
        one = keras.callbacks.LambdaCallback(on_train_end=ends.append)
        run(features, 1, callbacks=wrap(one))
        assert len(ends) == 1
    run(features, 1, callbacks=None)
    for wrong in (keras.callbacks.History, [print], "History"):
        with pytest.raises(ValueError, match="Expected Keras callbacks, made with br"):
            run(features, 1, callbacks=wrong)
