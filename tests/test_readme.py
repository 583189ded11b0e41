"""The README: short, true, with sounds that are what it says."""

import json
import re
import sys

import badges
import numpy as np
import pandas as pd
import pytest
import readme_clips
import result_tables as board
import soundfile

MOST_WORDS = 700
LARGEST = 150_000  # bytes of a clip


@pytest.fixture(scope="module")
def readme(root):
    return (root / "README.md").read_text(encoding="utf-8")


def words(page):
    """What a reader reads: no comments, no bars of tables, no lone signs."""
    shown = re.sub(r"<!--.*?-->", "", page, flags=re.S).replace("|", " ")
    return [word for word in shown.split() if re.search(r"\w", word)]


def table_sizes(page):
    """Number of rows of each table, without its head."""
    tables = re.findall(r"(?:^\|.*\n)+", page + "\n", re.M)
    return [table.count("\n") - 2 for table in tables]


def test_words_and_rows_are_counted():
    page = "# Two words\n<!-- not\nme -->\n\n|a|b c|\n|---|---|\n|1|–|\n"
    assert words(page) == ["Two", "words", "a", "b", "c", "1"]
    assert table_sizes(page) == [1]


def test_readme_is_short(root, readme):
    place = badges.Place("owner/name", "owner", "1.2.3")
    with_badges = badges.render_pages(place, root)[root / "README.md"]
    for page in (readme, with_badges):
        assert len(words(page)) <= MOST_WORDS
        series, reached = table_sizes(page)
        assert series <= 12 and reached == 6


def test_every_notebook_is_in_the_series_by_its_title(root, readme):
    found = board.lessons()
    rows = re.findall(r"^\|\[\d\d\]\(notebooks/(\w+)\.ipynb\)\|([^|]+)", readme, re.M)
    assert rows == [(path.stem, board.question(path)) for path in found.values()]
    assert set(found) <= set(board.SERIES)
    topics = {topic for path in board.PATHS.values() for topic in path}
    assert topics <= set(board.SERIES)


def test_what_the_readme_says_is_so():
    """The numbers are those of the tables (see --check); these are the words around them."""
    full = board.means("foundation_known", "kind")
    assert full["sound_fresh"]["deaf"] < full["chance"]["deaf"] + 0.1
    assert full["sound_fresh"]["cvae"] > 0.8
    cures = pd.read_csv(board.RESULTS / "collapse_remedies.csv")
    cures = cures[cures["features"] == "stft"]
    assert cures[cures["name"] == "original recipe"]["active_units"].max() == 0
    assert cures["explained"].max() < 0.001
    beta = board.means("beta_known", "value")["reconstruction_rms_db"]
    assert beta[0.3] < beta[300.0]
    small = board.means("comparison_known", "name")["reconstruction_rms_db"]
    large = full["reconstruction_rms_db"]["autoencoder"]
    assert large < small["PCA"] < small["AE"]
    sharp = board.means("discriminator_known", "name")["sharpness_sampled"]
    assert sharp["as it was"] < sharp["discriminator"] < sharp["detail"]
    steps = pd.read_csv(board.RESULTS / "discriminator_known.csv").set_index("name")
    assert (steps.loc["detail", "num_steps"] == 0).all()
    real = board.means("foundation_open_music", "kind")
    assert (real["sound_real"] < 0.75).all()  # a weak judge


def test_its_lines_of_code_are_public(root, readme):
    code = re.search(r"```python\n(.*?)```", readme, re.S)[1]
    compile(code, "README.md", "exec")
    public = (root / "lib/cvae_music/__init__.pyi").read_text(encoding="utf-8")
    for name in re.findall(r"\bcm\.(\w+)", code):
        assert f" as {name}\n" in public


def test_clips_are_those_of_the_weights_that_ship(monkeypatch):
    """After a training of what ships: make docs."""
    monkeypatch.setattr(sys, "argv", ["readme_clips.py", "--check"])
    readme_clips.main()


def test_other_weights_and_missing_clips_are_told(tmp_path, monkeypatch):
    kept = tmp_path / "made_from.json"
    kept.write_text(json.dumps({"files": ["a.mp3"], "weights": {"old": "0"}}))
    monkeypatch.setattr(readme_clips, "CLIPS", tmp_path)
    monkeypatch.setattr(readme_clips, "MADE_FROM", kept)
    monkeypatch.setattr(readme_clips, "fingerprints", lambda: {"old": "1"})
    monkeypatch.setattr(sys, "argv", ["readme_clips.py", "--check"])
    with pytest.raises(SystemExit, match="Out of step: a.mp3, old. Run: "):
        readme_clips.main()


def test_readme_plays_every_clip_and_all_are_small(root, readme):
    shown = set(re.findall(r"docs/clips/(\w+\.\w+)", readme))
    kept = set(json.loads(readme_clips.MADE_FROM.read_text(encoding="utf-8"))["files"])
    assert shown - {"real.mp3"} <= kept <= shown
    in_a_comment = "real.mp3" not in re.sub(r"<!--.*?-->", "", readme, flags=re.S)
    assert in_a_comment is ("real.mp3" not in kept)
    assert all((readme_clips.CLIPS / name).stat().st_size < LARGEST for name in kept)


@pytest.fixture(scope="module")
def judge():
    from cvae_lab import load_judge
    from cvae_lab.notebook.weights import WEIGHTS

    return load_judge(WEIGHTS / "known_judge_descriptors.npz")


@pytest.mark.parametrize(
    "name, genres",
    [
        ("one_idea", ["house", "rock", "jazz", "chiptune", "reggae", "strings"]),
        ("deaf", ["rock", "rock"]),
        ("cured", ["rock", "strings"]),
        ("own_clip", ["house", "jazz", "chiptune"]),
        ("back_to_sound", ["jazz", "jazz", "jazz"]),
    ],
)
def test_a_judge_hears_in_a_clip_what_the_readme_says(judge, name, genres):
    from cvae_music import beat_frame_times, log_mel

    samples, rate = soundfile.read(readme_clips.CLIPS / f"{name}.mp3", dtype="float32")
    config = judge.config
    assert rate == config.sample_rate
    clips = []
    for part in np.array_split(samples, len(genres)):
        beats = np.linspace(0.0, len(part) / rate, config.num_beats + 1)
        levels = log_mel(part, beat_frame_times(beats, config), config, wrap=True)
        clips.append(config.scale(levels))
    heard = judge.predict_proba(np.stack(clips)).argmax(axis=1)
    assert [judge.genres[index] for index in heard] == genres


def test_the_picture_moves_and_can_stand_still():
    picture = (readme_clips.CLIPS / "one_idea.svg").read_text(encoding="utf-8")
    assert picture.count("data:image/png;base64,") == 6 and "@keyframes" in picture
    assert "prefers-reduced-motion" in picture and "http://www.w3.org" in picture
    assert picture.count("://") == 1  # nothing is fetched
