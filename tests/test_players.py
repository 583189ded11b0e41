"""Players keep the level that the samples have."""

import base64
import io
import re
import zlib

import numpy as np
import pytest
import soundfile

from cvae_music import players
from cvae_music.data.windows import RealClip
from cvae_music.generation import Clip


def decoded(shown):
    sound = re.search(r'base64,([^"]+)"', shown.data)[1]
    return soundfile.read(io.BytesIO(base64.b64decode(sound)))[0]


def tone(config, level, seconds=1.0):
    return level * np.sin(
        2
        * np.pi
        * 440
        * np.arange(int(seconds * config.sample_rate))
        / config.sample_rate
    )


@pytest.mark.parametrize("level", [0.01, 0.1, 0.9])
def test_level_is_kept(tiny_config, level):
    heard = decoded(players.player(tone(tiny_config, level), tiny_config))
    middle = heard[len(heard) // 4 : -len(heard) // 4]
    assert np.sqrt(2 * np.mean(middle**2)) == pytest.approx(level, rel=0.1)


def test_silence_is_silent(tiny_config):
    assert np.abs(decoded(players.player(np.zeros(8000), tiny_config))).max() < 1e-4


def test_too_loud_is_turned_down_and_says_so(tiny_config):
    shown = players.player(tone(tiny_config, 2.0), tiny_config, label="loud", seed=4)
    assert "loud, seed 4, turned down by 6.0 dB" in shown.data
    assert np.abs(decoded(shown)).max() < 1.1


def test_label_is_escaped_and_read_aloud(tiny_config):
    shown = players.player(tone(tiny_config, 0.1), tiny_config, label="Drum & <bass>")
    assert (
        'aria-label="Drum &amp; &lt;bass&gt;"' in shown.data
        and "<bass>" not in shown.data
    )


def test_four_seconds_are_small(tiny_config):
    noise = 0.2 * np.random.default_rng(0).standard_normal(4 * tiny_config.sample_rate)
    assert len(players.player(noise, tiny_config).data) < 60_000


@pytest.mark.parametrize(
    "samples", [np.zeros(0), np.zeros((2, 100)), np.array([0.0, np.nan])]
)
def test_bad_samples(tiny_config, samples):
    with pytest.raises(ValueError, match="mono samples"):
        players.player(samples, tiny_config)


def test_an_output_carries_the_script_of_the_site_once(tiny_config):
    packed = re.search('atob\\("([^"]+)"', players.player_script())[1]
    script = zlib.decompress(base64.b64decode(packed)).decode()
    for words in ("class Player", "class Clip", "window.cvaePlayers", ".clip .strip {"):
        assert words in script
    assert "export" not in script and "//" not in script and "/*" not in script
    assert len(packed) < 8_000
    made = players.player(tone(tiny_config, 0.1), tiny_config, "a", loop=True)
    assert (
        packed in made._repr_html_() and packed not in made.data
    )  # many may be joined
    assert made.data.endswith(players.TAKE_UP)
    assert "</script>" not in players.player_script()


def test_show_clips_pairs_pictures_with_players(
    tiny_config, session_folders, monkeypatch
):
    shown = []
    monkeypatch.setattr(
        "IPython.display.display", lambda *args, **kwargs: shown.append(args[0])
    )
    clips = [
        {
            "log_mel": np.full(tiny_config.shape, -40.0),
            "samples": tone(tiny_config, 0.1),
            "label": f"clip {i}",
            "seed": i,
        }
        for i in range(4)
    ]
    players.show_clips(clips, tiny_config, name="four")
    picture, sounds = shown
    assert (
        "clip 3" in picture["text/plain"]
        and (session_folders / "output" / "figures" / "four.png").exists()
    )
    assert sounds.data.count("<script>") == 1
    assert sounds.data.count("<audio") == 4 and "clip 2, seed 2" in sounds.data
    with pytest.raises(ValueError, match="log_mel, samples and label"):
        players.show_clips([{"label": "no sound"}], tiny_config)
    with pytest.raises(ValueError, match="0 clips"):
        players.show_clips([], tiny_config)


def silent_clip(config, **entries):
    clip = {"log_mel": np.full(config.shape, -40.0), "samples": np.zeros(8000)}
    return clip | entries


@pytest.mark.parametrize("several", [tuple, list, iter])
def test_show_clips_takes_any_collection(tiny_config, several, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda *a, **_: shown.append(a[0]))
    clips = [silent_clip(tiny_config, label=label) for label in ("Ba$$in", "$x^2$")]
    players.show_clips(several(clips), tiny_config)
    picture, sounds = shown
    assert "of Ba$$in, $x^2$." in picture["text/plain"]
    assert sounds.data.count("<audio") == 2 and "Ba$$in" in sounds.data


def test_show_clips_refuses_scaled_clips(tiny_config):
    scaled = silent_clip(tiny_config, log_mel=np.zeros(tiny_config.shape), label="a")
    with pytest.raises(ValueError, match="unscale"):
        players.show_clips(scaled, tiny_config)
    with pytest.raises(ValueError, match="got int; expected a clip"):
        players.show_clips(3, tiny_config)


def test_show_clips_takes_clips_as_they_are_made_and_read(tiny_config, monkeypatch):
    shown, figures = [], []
    monkeypatch.setattr(
        "IPython.display.display", lambda *args, **kwargs: shown.append(args[0])
    )
    monkeypatch.setattr(players, "show_figure", lambda fig, *_: figures.append(fig))
    sound, level = tone(tiny_config, 0.1), np.full(tiny_config.shape, -40.0)
    made = Clip(level, sound, "jazz", 80.0, 7, np.zeros(3))
    read = RealClip("mine.wav", sound, level, 160.0, True)
    players.show_clips([made, read], tiny_config, num_columns=1)
    assert (
        "jazz, seed 7" in shown[0].data
        and "mine.wav" in shown[0].data
        and shown[0].data.count("seed") == 2
    )
    pictures = figures[0].axes[:2]
    assert [ax.get_title() for ax in pictures] == ["jazz, seed 7", "mine.wav"]
    assert [ax.get_xlabel() for ax in pictures] == [
        "time (beats of 0.75 s)",
        "time (beats of 0.38 s)",
    ]
    players.show_clips([made, read], tiny_config, seconds=True)
    assert [ax.get_xlim() for ax in figures[1].axes[:2]] == [(0, 3.0), (0, 3.0)]
    assert [ax.get_images()[0].get_extent()[1] for ax in figures[1].axes[:2]] == [
        3.0,
        1.5,
    ]
    players.show_clips(made, tiny_config)
    assert len(figures[2].axes) == 2  # one picture and the colour bar


def test_clips_of_foreign_names_are_shown_on_any_console(tiny_config, monkeypatch):
    console = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr("sys.stdout", console)
    players.show_clips(silent_clip(tiny_config, label="曲"), tiny_config)
