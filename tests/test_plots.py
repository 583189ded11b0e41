"""Figures draw on the axes they get, with the limits and labels the style asks for."""

import io
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cvae_music import plots


@pytest.fixture
def ax():
    fig, ax = plt.subplots()
    yield ax
    plt.close(fig)


def test_log_mel_limits_and_axes(ax, tiny_config):
    image = plots.plot_log_mel(
        np.full(tiny_config.shape, -30.0), tiny_config, ax=ax, tempo=120, title="A clip"
    )
    assert image.get_clim() == (tiny_config.floor_db, tiny_config.ceiling_db)
    assert ax.get_xlim() == (0, tiny_config.num_beats)
    assert ax.get_xlabel() == "time (beats of 0.50 s)" and "Hz" in ax.get_ylabel()
    assert ax.get_title() == "A clip"


def test_two_tempos_differ_on_an_axis_in_seconds(ax, tiny_config):
    for tempo, seconds in ((80, 3.0), (120, 2.0)):
        plots.plot_log_mel(
            np.full(tiny_config.shape, -9.0), tiny_config, ax, tempo, seconds=True
        )
        assert ax.get_xlim() == (0, seconds) and ax.get_xlabel() == "time (s)"


def test_ticks_stand_at_their_bands(tiny_config):
    librosa = pytest.importorskip("librosa")
    centres = librosa.mel_frequencies(
        tiny_config.n_mels + 2, fmin=tiny_config.fmin, fmax=tiny_config.fmax, htk=True
    )
    bands = plots.hertz_to_band(centres[1:-1], tiny_config)
    np.testing.assert_allclose(bands, np.arange(tiny_config.n_mels), atol=1e-6)


@pytest.mark.parametrize("shape", [(32,), (32, 17), (1, 32, 16)])
def test_log_mel_refuses_other_shapes(ax, tiny_config, shape):
    with pytest.raises(ValueError, match=r"expected \(frames, 16\)"):
        plots.plot_log_mel(np.zeros(shape), tiny_config, ax=ax)


def test_history_draws_validation_and_a_normal_run_and_names_them_in_words(ax):
    plots.plot_history(
        {"kl": [3, 2], "val_kl": [4, 3]}, ax, names=("kl",), reference={"kl": [3, 2, 1]}
    )
    labels = [line.get_label() for line in ax.get_lines()]
    words = "KL divergence, "
    assert labels == [
        words + "training, a normal run",
        words + "training",
        words + "validation",
    ]
    assert [list(line.get_xdata()) for line in ax.get_lines()] == [
        [1, 2, 3],
        [1, 2],
        [1, 2],
    ]
    with pytest.raises(ValueError, match="accuracy"):
        plots.plot_history({"loss": [1]}, ax, names=("accuracy",))


def test_history_draws_each_of_many_names_in_a_look_of_its_own(ax):
    names = [f"metric {k}" for k in range(10)]
    plots.plot_history(dict.fromkeys(names, [1, 2]), ax, names)
    looks = {(line.get_color(), line.get_marker()) for line in ax.get_lines()}
    assert len(looks) == 10


def test_history_stands_at_the_epochs_it_is_of(ax):
    """After a resume, and where validation was done in every other epoch."""
    curves = {"loss": [5, 4, 3, 2], "val_loss": [6, 5]}
    resumed = SimpleNamespace(history=curves, epoch=[2, 3, 4, 5])
    for history, expected in (
        (resumed, [[3, 4, 5, 6], [4, 6]]),
        (curves, [[1, 2, 3, 4], [2, 4]]),
    ):
        ax.clear()
        plots.plot_history(history, ax)
        assert [list(line.get_xdata()) for line in ax.get_lines()] == expected


def test_a_log_read_by_pandas_is_a_history(ax):
    """As `CSVLogger` writes it: epochs from 0, here of a resumed training."""
    log = {"epoch": [3, 4], "loss": [3.0, 2.0], "val_loss": [4.0, 2.5]}
    plots.plot_history(pd.DataFrame(log), ax, "val_loss")
    assert [line.get_label() for line in ax.get_lines()] == [
        "loss, training",
        "loss, validation",
    ]
    for line in ax.get_lines():
        np.testing.assert_array_equal(line.get_xdata(), [4, 5])
    np.testing.assert_array_equal(ax.get_lines()[1].get_ydata(), [4.0, 2.5])


@pytest.mark.parametrize("name, shown", [(3, "3"), ("caf\udce9", "caf?")])
def test_names_that_are_no_text_are_shown(ax, name, shown):
    """Of numbers, and of files whose names are no UTF-8."""
    plots.plot_latent_map(np.zeros((1, 2)), np.array([0]), [name], ax, title=name)
    ax.figure.canvas.draw()
    assert ax.get_title() == ax.get_legend().get_texts()[0].get_text() == shown


@pytest.mark.parametrize("name", ["Ba$$in", "A$AP$", "$x_2$", "_hidden", "$_", r"^\{$"])
def test_names_are_shown_as_they_are(ax, name, tiny_config):
    """Dollars are no mathematics, and no name is left out of a legend."""
    plots.plot_latent_map(np.zeros((2, 2)), np.array([0, 1]), [name, "b"], ax)
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    level = np.full(tiny_config.shape, -40.0)
    plots.plot_log_mel(level, tiny_config, ax, title=name)
    for text in (legend[0], ax.get_title()):
        assert text.strip().replace(r"\$", "$") == name
    plots.plot_latent_map(np.zeros((1, 2)), np.array([0]), ["a"], ax, title=name)
    assert ax.get_title().strip().replace(r"\$", "$") == name
    ax.clear()
    plots.plot_history({name: [2, 1]}, ax, name)  # one, without a list
    assert len(ax.get_legend().get_texts()) == 1
    assert plots.to_png(ax.figure)


def test_log_mel_refuses_a_scaled_clip(ax, tiny_config):
    with pytest.raises(ValueError, match="expected dB. Use AudioConfig.unscale"):
        plots.plot_log_mel(np.zeros(tiny_config.shape), tiny_config, ax)


def test_latent_map_tells_genres_by_marker_too(ax):
    points, genre = np.zeros((6, 2)), np.arange(6) % 3
    plots.plot_latent_map(points, genre, ["a", "b", "c"], ax)
    shapes = {len(drawn.get_paths()[0].vertices) for drawn in ax.collections}
    assert len(ax.collections) == 3 and len(shapes) > 1
    with pytest.raises(ValueError, match=r"\(clips, 2\)"):
        plots.plot_latent_map(np.zeros((6, 3)), genre, ["a", "b", "c"], ax)


def test_show_figure_saves_shows_and_closes(session_folders, monkeypatch):
    shown = []
    monkeypatch.setattr(
        "IPython.display.display", lambda *args, **kwargs: shown.append((args, kwargs))
    )
    fig, _ = plt.subplots()
    plots.show_figure(fig, name="01_test", alt="Empty axes.")
    saved = session_folders / "output" / "figures" / "01_test.png"
    assert Image.open(io.BytesIO(saved.read_bytes())).size[0] > 100
    assert shown[0][0][0]["text/plain"] == "Empty axes."
    assert shown[0][1]["metadata"] == {"image/png": {"alt": "Empty axes."}}
    assert fig.number not in plt.get_fignums()


def test_show_figure_wants_alt_text():
    fig, _ = plt.subplots()
    with pytest.raises(ValueError, match="alt"):
        plots.show_figure(fig, alt=" ")
    plt.close(fig)


def test_show_picture_takes_a_file_and_says_what_it_shows(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(
        "IPython.display.display", lambda *args, **kwargs: shown.append((args, kwargs))
    )
    (tmp_path / "one.png").write_bytes(b"png")
    plots.show_picture(tmp_path / "one.png", alt="A picture.")
    assert shown[0][0][0] == {"image/png": "cG5n", "text/plain": "A picture."}
    assert shown[0][1]["metadata"] == {"image/png": {"alt": "A picture."}}


def test_small_png_keeps_the_colours():
    fig, ax = plt.subplots(figsize=(4, 3))
    image = ax.imshow(np.random.default_rng(0).random((64, 64)), cmap="magma")
    fig.colorbar(image)
    full = io.BytesIO()
    fig.savefig(full, format="png", dpi=110)
    small = plots.to_png(fig)
    plt.close(fig)
    before, after = (
        np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), int)
        for png in (full.getvalue(), small)
    )
    assert len(small) < 0.6 * len(full.getvalue())
    assert np.abs(before - after).max() <= 24 and np.abs(before - after).mean() < 3
