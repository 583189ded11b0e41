"""The tables of README and docs/: what a cell says, what comes first, what must be chance."""

import sys

import numpy as np
import pandas as pd
import pytest
import result_tables as board


@pytest.mark.parametrize(
    "values, text",
    [
        ([0.25], "0.25"),
        ([0.0, 1.0], "0.50 ± 0.71"),
        ([1.0, np.nan, np.nan], "1.00 (1 of 3)"),
        ([np.nan, np.nan], "–"),
    ],
)
def test_a_cell_is_the_mean_of_the_seeds_that_have_a_number(values, text):
    assert board.cell(pd.DataFrame({"score": values}), "score") == text


def test_a_cell_of_whole_numbers_has_a_spread_only_where_they_differ():
    rows = pd.DataFrame({"active_units": [96, 96], "num_steps": [10, 20]})
    assert board.cell(rows, "active_units") == "96"
    assert board.cell(rows, "num_steps") == "15 ± 7"


def test_a_cell_of_judges_names_both():
    rows = pd.DataFrame({"cnn_fresh": [0.5], "descriptors_fresh": [0.25]})
    assert board.cell(rows, "{judge}_fresh") == "0.50 / 0.25"


def test_rows_without_fresh_draws_are_counted_below_the_table():
    rows = pd.DataFrame({"fresh": [0.2, np.nan], "class_conditional": [1.0, 1.0]})
    assert "1 of the 2 rows" in board.earlier(rows)
    assert board.earlier(rows.dropna()) == ""


@pytest.mark.parametrize("columns", [board.FULL, board.SECOND])
def test_sound_comes_first_and_sharpness_last(columns):
    assert columns[0] == "sound_fresh"
    assert columns[-1] == "sharpness_sampled"


@pytest.mark.parametrize("columns", [board.FULL, board.SECOND, board.SMALL, board.CARD])
def test_fresh_draws_come_before_class_conditional_samples(columns):
    fresh = columns.index("{judge}_fresh")
    assert fresh < columns.index("{judge}_class_conditional")


def test_one_name_says_one_thing():
    for names in (
        [*board.MEASURES.values(), *board.TAGGED.values()],
        [*board.KINDS.values(), *board.EQUALS.values()],
    ):
        assert len(set(names)) == len(names)


def test_kernel_distances_of_the_older_form_say_so(tmp_path, monkeypatch):
    card = "At least these hold it: `beta_*.csv` and `half.csv`, until they are `new`."
    (tmp_path / "README.md").write_text(card)
    monkeypatch.setattr(board, "RESULTS", tmp_path)
    assert board.is_before_kad("beta_known") and board.is_before_kad("half")
    assert not board.is_before_kad("new")
    rows = pd.DataFrame({"name": ["VAE"], "cnn_kernel": [0.5]})
    drawn = board.draw(rows, "name", {"VAE": "VAE"}, ["cnn_kernel"], "half")
    assert "| kernel distance, before KAD | 0.50 |" in drawn


@pytest.mark.parametrize(
    "file, column, name",
    [("foundation_known", "kind", "deaf"), ("comparison_known", "name", "PCA")],
)
def test_a_model_that_ignores_its_label_shows_chance(file, column, name):
    """Latents that are drawn for the genre asked for hide it: there it scores 1."""
    rows = pd.read_csv(board.RESULTS / f"{file}.csv")
    row = rows[rows[column] == name].iloc[0]
    for judge in board.JUDGES:
        assert row[f"{judge}_fresh"] == pytest.approx(row["chance"], abs=0.05)
        assert row[f"{judge}_class_conditional"] == 1.0


def test_every_table_is_that_of_the_results(monkeypatch):
    """After a study, a benchmark or a published run: make docs."""
    monkeypatch.setattr(sys, "argv", ["result_tables.py", "--check"])
    with pytest.raises(SystemExit) as left:
        board.main()
    assert left.value.code == 0
