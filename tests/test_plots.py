"""Figures draw on the axes they get, with the limits and labels the style asks for."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from cvae_music import plots


@pytest.fixture
def ax():
    fig, ax = plt.subplots()
    yield ax
    plt.close(fig)


def test_log_mel_limits_and_axes(ax, tiny_config):
    image = plots.plot_log_mel(np.full(tiny_config.shape, -30.0), tiny_config, ax=ax, tempo=120, title="A clip")
    assert image.get_clim() == (tiny_config.floor_db, tiny_config.ceiling_db)
    assert ax.get_xlim() == (0, tiny_config.num_beats)
    assert ax.get_xlabel() == "time (beats of 0.50 s)" and "Hz" in ax.get_ylabel()
    assert ax.get_title() == "A clip"


def test_ticks_stand_at_their_bands(tiny_config):
    librosa = pytest.importorskip("librosa")
    centres = librosa.mel_frequencies(tiny_config.n_mels + 2, fmin=tiny_config.fmin, fmax=tiny_config.fmax, htk=True)
    bands = plots.hertz_to_band(centres[1:-1], tiny_config)
    np.testing.assert_allclose(bands, np.arange(tiny_config.n_mels), atol=1e-6)


@pytest.mark.parametrize("shape", [(32,), (32, 17), (1, 32, 16)])
def test_log_mel_refuses_other_shapes(ax, tiny_config, shape):
    with pytest.raises(ValueError, match=r"expected \(frames, 16\)"):
        plots.plot_log_mel(np.zeros(shape), tiny_config, ax=ax)


def test_history_draws_validation_and_reference(ax):
    plots.plot_history({"loss": [3, 2], "val_loss": [4, 3]}, ax, reference={"loss": [3, 2, 1]})
    labels = [line.get_label() for line in ax.get_lines()]
    assert labels == ["loss (reference)", "loss", "val_loss"]
    with pytest.raises(ValueError, match="accuracy"):
        plots.plot_history({"loss": [1]}, ax, names=("accuracy",))


def test_latent_map_tells_genres_by_marker_too(ax):
    points, genre = np.zeros((6, 2)), np.arange(6) % 3
    plots.plot_latent_map(points, genre, ["a", "b", "c"], ax)
    shapes = {len(drawn.get_paths()[0].vertices) for drawn in ax.collections}
    assert len(ax.collections) == 3 and len(shapes) > 1
    with pytest.raises(ValueError, match=r"\(clips, 2\)"):
        plots.plot_latent_map(np.zeros((6, 3)), genre, ["a", "b", "c"], ax)


def test_kl_bars_fall_and_inactive_ones_are_hatched(ax):
    plots.plot_kl_per_dimension([0.0, 3.0, 1.0], ax, active=[False, True, True])
    assert [bar.get_height() for bar in ax.patches] == [3.0, 1.0, 0.0]
    assert [bool(bar.get_hatch()) for bar in ax.patches] == [False, False, True]


def test_confusion_shows_shares_of_each_row(ax):
    plots.plot_confusion([[3, 1], [0, 0]], ["a", "b"], ax)
    assert [text.get_text() for text in ax.texts] == ["0.75", "0.25", "0.00", "0.00"]


def test_show_figure_saves_shows_and_closes(session_folders, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda *args, **kwargs: shown.append((args, kwargs)))
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


def test_small_png_keeps_the_colours():
    fig, ax = plt.subplots(figsize=(4, 3))
    image = ax.imshow(np.random.default_rng(0).random((64, 64)), cmap="magma")
    fig.colorbar(image)
    full = io.BytesIO()
    fig.savefig(full, format="png", dpi=110)
    small = plots.to_png(fig)
    plt.close(fig)
    before, after = (np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), int) for png in (full.getvalue(), small))
    assert len(small) < 0.6 * len(full.getvalue())
    assert np.abs(before - after).max() <= 24 and np.abs(before - after).mean() < 3
