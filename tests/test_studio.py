"""The studio without a browser: each control has its function, each clip its line of code, each mistake its message."""

import dataclasses
import html
import io
import json
import os
import re
import subprocess
import sys
import threading
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
import soundfile
from generated_music import tune, write_tune
from thinness import LIB

from cvae_music import generation
from cvae_music.controls import fingerprint, fit_controls, load_controls
from cvae_music.data import windows
from cvae_music.data.features import FeatureSet
from cvae_music.generation import decode_mixture, encode_clip, make_clip
from cvae_music.models.autoencoders import VAE
from cvae_music.models.conditional import ConditionalVAE
from cvae_music.studio import sounds
from cvae_music.studio.app import Studio
from cvae_music.studio.panel import distinct_names
from cvae_music.studio.settings import SECOND_SEED, clip_arguments

GENRES = ("loud", "soft")


@pytest.fixture(scope="module")
def model(tiny_config):
    keras.utils.set_random_seed(0)
    model = ConditionalVAE(
        audio_config=tiny_config,
        genres=GENRES,
        global_dim=6,
        local_dim=2,
        width=40,
        depth=1,
    )
    # An untrained decoder is all but silent; a larger last layer makes it loud and different from latent to latent.
    last = [layer for layer in model.decoder.layers if layer.weights][-1]
    last.set_weights([20.0 * weights for weights in last.get_weights()])
    return model


@pytest.fixture(scope="module")
def features(tiny_config, tmp_path_factory):
    path = write_tune(tmp_path_factory.mktemp("tunes") / "tune.wav", seconds=3.0)
    clips = (
        np.random.default_rng(0)
        .uniform(-60, -10, (24, *tiny_config.shape))
        .astype(np.float16)
    )
    table = pd.DataFrame(
        {
            "genre": np.array(GENRES)[np.arange(24) % 2],
            "split": "train",
            "path": str(path),
            "start": 0.0,
            "end": 2.0,
            "tempo": 120.0,
            "grid": "known",
            "clip_id": [f"clip{k}" for k in range(24)],
        }
    )
    return FeatureSet(tiny_config, GENRES, table, clips, table[:0], None)


@pytest.fixture(scope="module")
def controls(model, features):
    return fit_controls(model, features)


@pytest.fixture
def studio(model, controls, tmp_path):
    return Studio(model, controls, tmp_path)


def heard(audio):
    return soundfile.read(io.BytesIO(audio.wav))[0]


# What a terminal does with lines that are pasted, each text in a Python that knows nothing; in one process, for time.
PASTED = """
import json, sys
import numpy as np

for number, text in enumerate(json.load(sys.stdin)):
    names = {}
    exec(text, names)
    made = names["samples"] if "samples" in names else names["clip"].samples
    np.save(f"{sys.argv[1]}/{number}.npy", made)
"""


def run_elsewhere(texts, folder):
    """Samples that texts of Python make in another process, started in another folder."""
    folder.mkdir()
    subprocess.run(
        [sys.executable, "-c", PASTED, str(folder)],
        input=json.dumps(texts),
        text=True,
        check=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(LIB)},
    )
    return [np.load(folder / f"{number}.npy") for number in range(len(texts))]


def run_here(text):
    """The clip that a text of Python makes, without anything that this test knows."""
    names = {}
    exec(text, names)
    return names["clip"]


def enter(studio, path):
    """Types a path and presses Enter, or the button where the field holds it already."""
    studio.panel.path.value = ""
    studio.panel.path.value = str(path)
    if not str(path).strip():
        studio.take_path()


def test_the_code_makes_the_clip_again(studio, controls):
    studio.panel.knobs["genre", "soft"].value = 0.5
    studio.panel.knobs["sliders", "brightness"].value = 1.5
    studio.panel.knobs["dimensions", next(iter(controls.dimensions))].value = -2.0
    studio.panel.knobs["tempo"].value = 97.0
    studio.panel.knobs["on_map"].value = True
    studio.panel.knobs["map", 0].value = 0.5
    code = studio.panel.code.value
    assert "brightness" in code and "map_position=(0.5" in code
    assert np.array_equal(run_here(code).samples, studio.clip.samples)
    assert (
        len(studio.clip.samples)
        == len(heard(studio.panel.audio))
        == round(4 * 60 / 97 * 8000)
    )


def play_everything(studio, folder):
    """The code and the samples of a clip of each kind, and of a morph."""
    found = []

    def note():
        found.append((studio.panel.code.value, studio.clip.samples))

    first, second = studio.model.genres[:2]
    note()  # as it opens
    studio.put({("genre", second): 0.5, "tempo": 97.0, ("sliders", "level"): 1.5})
    note()  # a mix
    studio.put({"morph": 0.3, "morph_to": 7, "temperature": 0.8})
    note()
    studio.click_map("0.6,0.4")
    note()
    studio.keep("A")
    studio.put({"on_map": False, "morph": 0.0, "style": SECOND_SEED})
    note()  # the style of one seed, the changes of another
    tunes = [
        write_tune(folder / f"{tempo:g}.wav", 8.0, studio.config.sample_rate, tempo)
        for tempo in (100.0, 120.0)
    ]
    enter(studio, tunes[0])
    studio.swap(second)
    note()  # a clip of one's own
    enter(studio, tunes[1])
    studio.panel.start.value = 1.0
    studio.panel.knobs["style"].label = tunes[0].name
    note()  # with the style of another
    studio.keep("B")
    studio.panel.beats.value = 8
    studio.put({"guidance": 0.5})
    studio.morph()
    assert "guidance=0.5" in studio.panel.journey_code.value
    found.append((studio.panel.journey_code.value, studio.morphed))
    listed = [code for _, code in studio.panel.past.options]
    assert {code for code, _ in found[:-1]} <= set(listed)  # each line of the history
    return found


def test_all_code_runs_as_pasted_in_another_process(studio, tmp_path):
    """Of a model that ships, and of one that the studio had to save."""
    preset = Studio.from_preset("known_cvae", tmp_path)
    found = play_everything(studio, tmp_path / "own")
    preset.put({"style": SECOND_SEED, "guidance": 1.0})
    found.append((preset.panel.code.value, preset.clip.samples))
    texts, sounds = zip(*found, strict=True)
    assert len(set(texts)) == len(texts) == 9
    assert "cm.VAE.from_preset('known_cvae')" in texts[-1]
    assert f"cm.load_model('{tmp_path.as_posix()}/models/" in texts[0]
    for text, made, heard in zip(
        texts, run_elsewhere(texts, tmp_path / "elsewhere"), sounds, strict=True
    ):
        assert np.array_equal(made, heard), text


def test_controls_of_ones_own_for_a_model_that_ships_are_saved(tmp_path):
    preset = Studio.from_preset("known_cvae", tmp_path)
    steps = preset.controls.attribute_directions
    own = dataclasses.replace(
        preset.controls, attribute_directions=steps | {"level": -steps["level"]}
    )
    studio = Studio(preset.model, own, tmp_path)
    studio.panel.knobs["sliders", "level"].value = 1.0
    assert "shipped_controls" not in studio.panel.code.value
    made = run_here(studio.panel.code.value)
    assert np.array_equal(made.samples, studio.clip.samples)


def test_seeds_differ_and_repeat(studio):
    first = studio.panel.audio.wav
    studio.panel.knobs["seed"].value = 1
    second = studio.panel.audio.wav
    assert second != first
    studio.panel.knobs["seed"].value = 0
    assert studio.panel.audio.wav == first


def test_genre_swap_keeps_the_latent(studio):
    before = studio.clip
    studio.swap("soft")
    assert (
        np.array_equal(studio.clip.latent, before.latent)
        and studio.clip.genre == "soft"
    )
    assert not np.array_equal(studio.clip.log_mel, before.log_mel)


def test_the_genres_that_play_are_marked(studio):
    def marked():
        swaps = studio.panel.swaps.items()
        marks = {
            name: (swap.button_style, swap.style.font_weight) for name, swap in swaps
        }
        assert set(marks.values()) <= {("primary", "bold"), ("", "normal")}
        return [name for name, (style, _) in marks.items() if style]

    assert marked() == ["loud"]
    studio.swap("soft")
    assert marked() == ["soft"]
    studio.panel.knobs["genre", "loud"].value = 0.5
    assert marked() == ["loud", "soft"]
    # A widget has no such property: the script of the studio tells screen readers.
    assert "cvaeStudio" in studio.panel.audio.value
    assert "aria-pressed" in studio.panel.box.children[0].children[-1].value


def test_genres_become_weights_and_words(model):
    weights = generation.genre_weights(model, {"loud": 1.0, "soft": 3.0})
    assert list(weights) == [0.25, 0.75]
    assert generation.mix_label(model, weights) == "75% soft, 25% loud"


@pytest.mark.parametrize(
    "genre", [{"loud": 0.0}, {"noise": 1.0}, {"loud": -1.0, "soft": 2.0}]
)
def test_weights_that_are_none_are_refused(model, genre):
    with pytest.raises(ValueError, match="expected (weights|a number)"):
        generation.genre_weights(model, genre)


def test_a_move_on_the_map_keeps_what_the_map_does_not_show(model, controls):
    latent = generation.draw_latent(model, seed=3)
    moved = controls.move_to(latent, (1.0, -2.0))
    assert moved @ controls.axes.T == pytest.approx([1.0, -2.0], abs=1e-2)
    off_map = np.eye(len(latent)) - controls.axes.T @ controls.axes
    assert off_map @ moved == pytest.approx(off_map @ latent, abs=1e-2)
    assert controls.nearest(controls.points[5]) == 5


def test_a_dimension_moves_alone(model, controls):
    latent = generation.draw_latent(model, seed=3)
    dimension = next(iter(controls.dimensions))
    change = controls.apply(latent, dimensions={dimension: 2.0}) - latent
    assert np.flatnonzero(change).tolist() == [dimension]


def test_a_slider_follows_the_genres_by_their_weights(model, controls):
    latent = generation.draw_latent(model, seed=3)
    loud, soft = controls.attribute_directions["level"]
    assert loud.shape == latent.shape and not np.allclose(loud, soft, atol=1e-3)
    for weights, step in (
        ([0.0, 1.0], soft),
        ([0.25, 0.75], 0.25 * loud + 0.75 * soft),
        (None, (loud + soft) / 2),
    ):
        change = controls.apply(latent, {"level": 2.0}, weights=weights) - latent
        np.testing.assert_allclose(change, 2.0 * step, atol=1e-5)
    mixed, _ = generation.resolve_latent(
        model,
        controls,
        latent=latent,
        genre={"soft": 3.0, "loud": 1.0},
        sliders={"level": 1.0},
    )
    step = 0.25 * loud + 0.75 * soft
    np.testing.assert_allclose(mixed - latent, step, atol=1e-5)


@pytest.mark.parametrize(
    "unknown", [{"sliders": {"warmth": 1.0}}, {"dimensions": {999: 1.0}}]
)
def test_unknown_controls_are_refused(model, controls, unknown):
    with pytest.raises(ValueError, match="expected"):
        controls.apply(generation.draw_latent(model), **unknown)
    with pytest.raises(ValueError, match="fit_controls"):
        make_clip(model, **unknown)


def test_a_mixture_adds_the_powers_of_whole_genres(model):
    latents = model.sample_latents([0, 1], seed=3)
    loud = model.audio_config.unscale(model.decode(latents, [0, 0]))
    soft = model.audio_config.unscale(model.decode(latents, [1, 1]))
    whole = decode_mixture(model, latents, np.eye(2))
    np.testing.assert_array_equal(whole, np.stack([loud[0], soft[1]]))
    mixed = decode_mixture(model, latents, np.array([[0.25, 0.75], [1.0, 0.0]]))
    power = 0.25 * 10 ** (0.1 * loud[0]) + 0.75 * 10 ** (0.1 * soft[0])
    np.testing.assert_allclose(mixed[0], 10 * np.log10(power), atol=1e-3)
    np.testing.assert_allclose(mixed[1], loud[1], atol=1e-3)
    for weights in ([[1.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]], [[2.0, -1.0], [0.0, 1.0]]):
        with pytest.raises(ValueError, match=r"expected \(2, 2\)"):
            decode_mixture(model, latents, np.array(weights))


def test_controls_come_back_from_their_file(model, controls, tmp_path):
    controls.save(tmp_path / "controls.npz")
    again = load_controls(tmp_path / "controls.npz")
    assert (
        again.fingerprint == fingerprint(model)
        and again.dimensions == controls.dimensions
    )
    settings = {"sliders": {"density": 2.0}, "map_position": (1.0, 0.0), "seed": 2}
    assert np.array_equal(
        make_clip(model, again, **settings).samples,
        make_clip(model, controls, **settings).samples,
    )


def test_every_slider_has_a_label_and_a_numeric_twin(studio):
    named = distinct_names(studio.controls.dimensions)
    assert len(studio.panel.rows) == 2 + 1 + 1 + 4 + len(named) + 1 + 1 + 2
    for row in studio.panel.rows.values():
        slider, field = row.children
        assert slider.description and field.description.startswith(slider.description)
        field.value = slider.min
        assert slider.value == slider.min


def test_pictures_say_what_they_show(studio):
    studio.swap("soft")
    assert (
        'alt="Log-mel spectrogram of soft, seed 0, 110 bpm, drawn as loud."'
        in studio.panel.audio.value
    )
    assert 'alt="Map of the latents: cursor at' in studio.panel.map_picture.value
    assert "data:image/png;base64,iVBOR" in studio.panel.map_picture.value


def test_sounds_are_players_that_know_whether_to_go_on(studio):
    panel = studio.panel
    assert "cvae-group" in panel.box._dom_classes  # heard at the same place of the bar
    assert "cvae-group" in panel.journey._dom_classes  # but not that of another length
    for player in (panel.compared, panel.nearest, panel.journey):
        assert player.value == ""  # nothing to press yet
    shown = panel.audio.value
    assert (
        shown.count('<figure class="cvae"') == shown.count("<audio controls loop") == 1
    )
    assert "autoplay" not in shown and "cvaePlayers" in shown
    assert re.search(r'data-inset="[\d.]+% [\d.]+% [\d.]+% [\d.]+%"', shown)
    panel.silent.value = True
    assert panel.audio.value == shown  # what plays is not cut off
    panel.knobs["seed"].value = 1
    assert "data-silent" in panel.audio.value
    panel.silent.value = False
    panel.knobs["seed"].value = 2
    assert "data-silent" not in panel.audio.value


def test_the_stage_stands_first_and_the_rest_is_folded(studio):
    stage, rest = studio.panel.box.children
    first = [studio.panel.audio, studio.panel.knobs["seed"], studio.panel.rows["tempo"]]
    assert set(first) <= set(stage.children)
    assert stage.children[0] is studio.panel.audio
    titles = [fold.get_title(0) for fold in rest.children]
    assert titles[0] == "Mix of genres" and len(set(titles)) == len(titles) == 9
    assert all(fold.selected_index is None for fold in rest.children)
    inside = {w for fold in rest.children for w in fold.children[0].children}
    assert studio.panel.knobs["style"] in inside and not inside & set(stage.children)


def test_sliders_of_dimensions_differ_and_say_what_they_do(studio):
    names = {
        17: "17: softer, purer",
        5: "5: louder, purer",
        26: "26: softer",
        23: "23: fine detail",
    }
    assert distinct_names(names) == {17: "softer, purer", 5: "louder, purer"}
    labels = [row.children[0].description for row in studio.panel.rows.values()]
    assert len(set(labels)) == len(labels)


def test_a_click_on_the_map_plays_there(studio):
    panel = studio.panel
    assert "cvae-clicked" in panel.clicked._dom_classes
    assert "cvae-studio" in panel.box._dom_classes
    assert 'class="cvae-map"' in panel.map_picture.value
    x, y = 0.5, -0.25
    height = studio.map.picture.figure.bbox.height
    width = studio.map.picture.figure.bbox.width
    across, up = studio.map.ax.transData.transform((x, y))
    panel.clicked.value = f"{across / width},{1 - up / height}"
    assert studio.made["map_position"] == pytest.approx((x, y), abs=0.02)
    assert panel.knobs["on_map"].value and "Ready" in panel.status.value


def test_all_weights_zero_is_a_message_not_a_fault(studio):
    before = studio.panel.audio.wav
    studio.panel.knobs["genre", "loud"].value = 0.0
    assert (
        'role="alert"' in studio.panel.status.value
        and "raise at least one" in studio.panel.status.value
    )
    assert studio.panel.audio.wav == before
    studio.panel.knobs["genre", "soft"].value = 1.0
    assert "Ready" in studio.panel.status.value


@pytest.mark.parametrize("newer", [False, True])
def test_uploads_of_both_widget_versions(studio, newer, tmp_path):
    content = write_tune(tmp_path / "mine.wav", seconds=4.0, tempo=100.0).read_bytes()
    value = {"mine.wav": {"metadata": {"name": "mine.wav"}, "content": content}}
    if newer:
        value = ({"name": "mine.wav", "content": memoryview(content)},)
    upload = SimpleNamespace(
        value=value, set_trait=lambda name, value: setattr(upload, name, value)
    )
    studio.panel.upload = upload
    studio.take_upload()
    assert len(studio.panel.upload.value) == 0  # the same file can be chosen again
    assert (
        studio.panel.knobs["source"].label == "mine.wav"
        and "encode_clip" in studio.panel.code.value
    )
    assert studio.own["latent"].clip.tempo == pytest.approx(100.0, rel=0.05)
    assert np.array_equal(
        studio.clip.latent, encode_clip(studio.model, tmp_path / "uploads" / "mine.wav")
    )
    studio.swap("soft")
    assert (
        studio.panel.knobs["source"].label == "mine.wav" and studio.clip.genre == "soft"
    )
    for comparison in studio.panel.comparison.options:
        studio.panel.comparison.value = comparison
        studio.compare()
        assert (
            "mine.wav" in studio.panel.compared.about
            and len(heard(studio.panel.compared)) > 8000
        )


def test_bad_files_give_a_message(studio, tmp_path):
    (tmp_path / "notes.wav").write_text("no sound")
    (tmp_path / "empty.wav").write_bytes(b"")
    soundfile.write(tmp_path / "silent.wav", np.zeros(40000), 8000)
    write_tune(tmp_path / "short.wav", seconds=0.6)
    bad = {
        "notes.wav": "unreadable",
        "empty.wav": "empty",
        "silent.wav": "silent",
        "short.wav": "a longer file",
    }
    bad |= {".": "add the name of one in it", "none.wav": "no such file. Expected"}
    for name, reason in bad.items():
        enter(studio, str(tmp_path / name))
        assert (
            reason in studio.panel.status.value
            and 'role="alert"' in studio.panel.status.value
        )
        assert (
            studio.panel.about_own.value == studio.panel.status.value
        )  # beside the button, too
    enter(studio, " ")
    assert "No path" in studio.panel.status.value
    assert studio.panel.knobs["source"].label == "a seed"
    studio.panel.knobs["seed"].value = 5
    assert "Ready" in studio.panel.status.value and studio.panel.about_own.value == ""
    with pytest.raises(ValueError, match="holds 0 bytes"):
        sounds.keep_upload({"a.wav": {"content": b""}}, tmp_path)
    with pytest.raises(
        ValueError, match="at most 40 MB. Cut it shorter, or give its path"
    ):
        sounds.keep_upload(
            {"a.wav": {"content": bytes(sounds.MAX_UPLOAD_BYTES + 1)}}, tmp_path
        )


def test_uploads_of_one_name_are_kept_apart(tmp_path):
    files = [
        sounds.keep_upload({"a.wav": {"content": content}}, tmp_path)
        for content in (b"one", b"two", b"one")
    ]
    assert [path.name for path in files] == ["a.wav", "a_2.wav", "a.wav"]
    assert [path.read_bytes() for path in files] == [b"one", b"two", b"one"]


def test_own_clips_come_back_with_their_file_and_start(studio, model, tmp_path):
    first = write_tune(tmp_path / "first.wav", seconds=6.0, tempo=100.0)
    second = tmp_path / "zweites Stück, 44 kHz.mp3"
    sides = np.repeat(tune(6.0, 44100, 120.0, 330.0)[:, None], 2, axis=1) * [1.0, 0.5]
    soundfile.write(second, sides, 44100)
    enter(studio, f"'{first}'")  # quoted, as a file manager copies it
    made, latent = studio.clip.samples, studio.clip.latent
    studio.panel.start.value = 1.0
    assert ", 1.0)" in studio.panel.code.value and not np.array_equal(
        studio.clip.latent, latent
    )
    enter(studio, second)
    assert (
        "zweites" in studio.panel.past.options[0][0]
        and "zweites" in studio.panel.code.value
    )
    assert (
        studio.own["latent"].clip.tempo == pytest.approx(120.0, rel=0.05)
        and studio.panel.knobs["seed"].disabled
    )
    studio.panel.past.index = 2
    studio.recall()
    assert np.array_equal(studio.clip.samples, made) and studio.panel.start.value == 0.0
    assert f"Its code reads {first}" in studio.panel.about_own.value
    assert np.array_equal(run_here(studio.panel.code.value).samples, made)
    studio.surprise()
    assert studio.panel.knobs["source"].label == "a seed"
    studio.panel.knobs["source"].index = 1
    assert (
        studio.clip.latent == pytest.approx(encode_clip(model, first))
        and studio.panel.knobs["seed"].disabled
    )
    studio.panel.knobs["source"].index = 0
    assert studio.panel.knobs["source"].label == "a seed"
    assert (
        not studio.panel.knobs["seed"].disabled
        and "encode_clip" not in studio.panel.code.value
    )


def test_style_of_one_clip_with_the_changes_of_another(studio, model, tmp_path):
    style, source = studio.panel.knobs["style"], studio.panel.knobs["source"]

    def expected(giver, latent):
        return pytest.approx(generation.join_style(model, giver, latent), abs=1e-4)

    studio.panel.knobs["morph_to"].value = 7
    style.label = "the second seed"
    seeds = [generation.draw_latent(model, seed) for seed in (7, 0)]
    assert studio.clip.latent == expected(*seeds)
    assert "style_from=7" in studio.panel.code.value
    assert "style of seed 7" in studio.panel.audio.value
    paths = [tmp_path / name for name in ("one.wav", "two.wav", "other/one.wav")]
    paths[2].parent.mkdir()
    for number, path in enumerate(paths):
        write_tune(path, seconds=3.0, tempo=100.0 + 20.0 * number)
        enter(studio, path)
    assert source.label == f"{paths[2]}, from 0 s"  # a namesake of the first
    source.label = "two.wav"
    style.label = "one.wav"
    latents = [encode_clip(model, path) for path in paths[:2]]
    assert studio.clip.latent == expected(*latents)
    assert "two.wav, 110 bpm" not in studio.panel.audio.value  # at its own tempo
    assert "style of one.wav" in studio.panel.audio.value
    made = studio.clip.samples
    assert np.array_equal(run_here(studio.panel.code.value).samples, made)
    enter(studio, paths[0])  # read again, it is still the style
    assert studio.own["style_from"] is studio.own["latent"]
    studio.panel.past.index = 1
    studio.recall()
    assert np.array_equal(studio.clip.samples, made)
    studio.surprise()
    assert "style_from" not in studio.made and style.label == "the same"


def test_history_brings_a_clip_back(studio):
    first = studio.clip
    studio.panel.knobs["tempo"].value = 150.0
    studio.surprise()
    assert studio.clip.seed != first.seed
    studio.panel.past.index = 2
    studio.recall()
    assert np.array_equal(studio.clip.samples, first.samples)
    assert [label.split(":")[0] for label, _ in studio.panel.past.options] == [
        "1",
        "3",
        "2",
    ]
    studio.panel.knobs["sliders", "level"].value = 1.0
    studio.panel.knobs["morph_to"].value = 7
    studio.panel.knobs["morph"].value = 0.25
    assert (
        studio.panel.past.options[0][0]
        == "5: loud, seed 0, 110 bpm, level +1, 25% towards seed 7"
    )


def test_a_fault_is_said_and_the_studio_goes_on(studio, monkeypatch):
    def break_down(*_, **__):
        raise RuntimeError("no memory <left>")

    with monkeypatch.context() as patch:
        patch.setattr(generation, "make_clip", break_down)
        studio.panel.knobs["seed"].value = 3
    said = studio.panel.status.value
    assert 'role="alert"' in said and "RuntimeError: no memory &lt;left&gt;" in said
    studio.panel.knobs["seed"].value = 4
    assert "Ready" in studio.panel.status.value and studio.clip.seed == 4


def test_the_cursor_stays_where_it_is_put(studio):
    studio.panel.knobs["map", 1].value = 0.35
    assert (
        studio.panel.knobs["on_map"].value
        and studio.panel.knobs["map", 1].value == 0.35
    )
    assert "0.35)" in studio.panel.code.value
    studio.play_nearest()
    assert (
        np.abs(heard(studio.panel.nearest)).max() > 0.01
        and "clip" in studio.panel.nearest.about
    )
    studio.panel.knobs["on_map"].value = False
    assert (
        "map_position=" not in studio.panel.code.value
        and studio.panel.knobs["map", 1].value != 0.35
    )


def test_a_model_without_a_label_has_no_genre_controls(tiny_config, features):
    model = VAE(audio_config=tiny_config, global_dim=6, local_dim=2, width=40, depth=1)
    studio = Studio(model, fit_controls(model, features))
    studio.panel.knobs["seed"].value = 2
    studio.surprise()
    assert "Ready: clip" in studio.panel.status.value and not [
        key for key in studio.panel.knobs if key[0] == "genre"
    ]
    studio.panel.comparison.value = studio.panel.comparison.options[2]
    studio.compare()
    assert "Ready" in studio.panel.status.value


def test_saving_writes_both_files_and_links_them(studio, tmp_path):
    studio.save()
    assert {path.suffix for path in tmp_path.glob("loud_seed0.*")} == {".wav", ".mp3"}
    assert studio.panel.links.value.count("download=") == 2
    studio.panel.knobs["sliders", "level"].value = -1.0
    studio.save()
    assert (
        len(list(tmp_path.glob("loud_seed0*.wav"))) == 2
        and "loud_seed0_2.mp3" in studio.panel.links.value
    )


def test_compare_with_the_nearest_real_clip(studio):
    studio.compare()
    assert (
        "clip" in studio.panel.compared.about
        and np.abs(heard(studio.panel.compared)).max() > 0.01
    )


def test_a_real_clip_is_rebuilt_as_what_it_is(studio, monkeypatch):
    asked = []
    decode = studio.model.decode

    def listening(latent, label, **settings):
        asked.append(np.array(label))
        return decode(latent, label, **settings)

    monkeypatch.setattr(studio.model, "decode", listening)
    studio.panel.comparison.value = studio.panel.comparison.options[2]
    for genre in GENRES:
        studio.swap(genre)
        asked.clear()
        studio.compare()
        real = studio.panel.compared.about.split(": ")[1].split(",")[0]
        assert np.argmax(asked[-1]) == GENRES.index(real)


def test_without_a_kernel_the_last_clip_stays(studio):
    page = studio._repr_mimebundle_()["text/html"]
    assert "<audio" in page and "<img alt=" in page
    assert html.escape(studio.panel.code.value) in page


def test_morph_over_time_and_by_hand(studio, tmp_path):
    studio.morph()
    assert "one as A and one as B" in studio.panel.status.value
    studio.save("morph")
    assert "no morph to save" in studio.panel.status.value
    studio.panel.knobs["sliders", "bass"].value = 1.0
    studio.keep("A")
    studio.swap("soft")
    studio.keep("B")
    studio.panel.beats.value = 8
    studio.morph()
    assert len(heard(studio.panel.journey)) == round(8 * 60 / 110 * 8000)
    assert "loud to soft" in studio.panel.journey.about
    studio.save("morph")
    assert {path.suffix for path in tmp_path.glob("morph.*")} == {".wav", ".mp3"}
    assert studio.panel.journey_links.value.count("download=") == 2
    studio.reset()
    before, studio.panel.knobs["morph"].value = studio.clip.latent, 1.0
    assert "morph_to=1" in studio.panel.code.value
    assert studio.clip.latent == pytest.approx(
        generation.draw_latent(studio.model, 1), abs=1e-4
    )
    assert not np.allclose(before, studio.clip.latent)


def in_two_threads(studio, monkeypatch, first, second):
    """`second` begins while `first` makes its clip, and is given time to overtake it."""
    inside, done, make = threading.Event(), threading.Event(), generation.make_clip

    def slow(*arguments, **settings):
        clip = make(*arguments, **settings)
        if not inside.is_set():
            inside.set()
            done.wait(0.5)
        return clip

    def meanwhile():
        inside.wait(60)
        second()
        done.set()

    monkeypatch.setattr(generation, "make_clip", slow)
    thread = threading.Thread(target=meanwhile)
    thread.start()
    first()
    thread.join(60)
    assert inside.is_set() and not thread.is_alive()


@pytest.mark.parametrize("turned_round", [False, True])
def test_changes_on_two_threads_end_at_the_last(
    studio, model, controls, monkeypatch, turned_round
):
    # JupyterLab's kernel answers a slider on one thread and a button on another.
    changes = [
        lambda: studio.panel.knobs["tempo"].set_trait("value", 90.0),
        lambda: studio.swap("soft"),
    ]
    in_two_threads(studio, monkeypatch, *(changes[::-1] if turned_round else changes))
    assert (
        studio.made["tempo"] == 90
        and studio.made["genre"] == {"soft": 1.0}
        and studio.made == clip_arguments(studio.panel.state())
    )
    assert (
        "soft, seed 0, 90 bpm" in studio.panel.audio.value
        and "Ready: soft" in studio.panel.status.value
    )
    monkeypatch.undo()
    assert np.array_equal(
        make_clip(model, controls, **studio.made).samples, studio.clip.samples
    )
    for number, code in list(studio.panel.past.options):
        studio.panel.past.value = code
        studio.recall()
        assert studio.panel.code.value == code, number


def test_the_cursor_moved_while_a_clip_is_made_stays_where_it_was_put(
    studio, monkeypatch
):
    seed, cursor = studio.panel.knobs["seed"], studio.panel.knobs["map", 0]
    in_two_threads(
        studio,
        monkeypatch,
        lambda: seed.set_trait("value", 3),
        lambda: cursor.set_trait("value", 0.5),
    )
    assert (
        studio.panel.knobs["on_map"].value
        and studio.made["map_position"][0] == 0.5
        and studio.made["seed"] == 3
    )


def test_a_path_is_read_when_entered_and_once(studio, tmp_path, monkeypatch):
    read, load_first_window = [], windows.load_first_window
    monkeypatch.setattr(
        windows,
        "load_first_window",
        lambda path, *rest: read.append(path) or load_first_window(path, *rest),
    )
    first, second = (
        write_tune(tmp_path / f"{name}.wav", seconds=3.0)
        for name in ("first", "second")
    )
    studio.panel.path.value = f"'{first}'"
    studio.take_path()  # the button, after the field
    assert read == [first] and studio.panel.knobs["source"].label == "first.wav"
    assert "first.wav" in studio.panel.about_own.value
    studio.take_path()  # the button of the next path, answered before the field
    studio.panel.path.value = str(second)
    assert (
        read == [first, second]
        and studio.own["latent"].path == second
        and "second.wav" in studio.panel.about_own.value
    )
    studio.panel.path.value = ""
    studio.take_path()
    assert (
        "nothing to read" in studio.panel.about_own.value
        and studio.own["latent"].path == second
    )


def test_nothing_to_do_leaves_the_message(studio):
    studio.keep("A")
    said = studio.panel.status.value
    studio.change_start()  # no clip of one's own is played
    studio.panel.silent.value = True
    assert "Kept as A" in said and studio.panel.status.value == said
