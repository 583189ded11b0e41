"""The tables of the README: what a cell says, what comes first, what must be chance."""

import numpy as np
import pandas as pd
import pytest
import readme_scoreboard as board


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


def test_a_cell_of_judges_names_both():
    rows = pd.DataFrame({"cnn_fresh": [0.5], "descriptors_fresh": [0.25]})
    assert board.cell(rows, "{judge}_fresh") == "0.50 / 0.25"


def test_rows_without_fresh_draws_are_counted_below_the_table():
    rows = pd.DataFrame({"fresh": [0.2, np.nan], "class_conditional": [1.0, 1.0]})
    assert "1 of the 2 rows" in board.earlier(rows)
    assert board.earlier(rows.dropna()) == ""


@pytest.mark.parametrize("titles", [board.COLUMNS, board.GONE_ON, board.SHORT])
def test_sound_comes_first_and_sharpness_last(titles):
    order = list(titles)
    assert order[0] == "in sound: fresh-draw obedience"
    assert order[-1] == "sharpness of samples"


@pytest.mark.parametrize("titles", [board.COLUMNS, board.COMPARED, board.TAGGED])
def test_fresh_draws_come_before_class_conditional_samples(titles):
    order = list(titles)
    fresh = order.index("fresh-draw obedience")
    assert fresh < order.index("class-conditional samples")


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
