"""The sweep runner: it resumes, keeps the order of the cells, and says how long it will take."""

import json
import types
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

from cvae_lab.studies import sweeps

CELLS = [
    {
        "name": f"beta {beta}",
        "kind": "toy",
        "seed": seed,
        "num_steps": 2,
        "beta": beta,
        "changes": {"kl": beta},
    }
    for beta in (1, 4)
    for seed in (0, 1)
]


def music(key):
    """Features of music of one's own with this key."""
    table = pd.DataFrame({"grid": ["tracked"]})
    return types.SimpleNamespace(table=table, key=lambda: key)


@pytest.fixture
def toy(monkeypatch):
    """A sweep whose cells cost nothing; it counts how often it was asked."""
    toy = types.SimpleNamespace(cells=CELLS, asked=[])

    def run(cell, features, judges):
        toy.asked.append((cell["beta"], cell["seed"]))
        return {"seconds": 0.5, "active_units": 10 // cell["beta"]}

    monkeypatch.setitem(
        sweeps.SWEEPS, "toy", sweeps.Sweep("toy", lambda: toy.cells, run)
    )
    monkeypatch.setattr(
        "keras.backend.clear_session", lambda: None
    )  # slow, and nothing to clear
    return toy


def test_resumes_where_it_stopped(toy, tmp_path):
    first = sweeps.run_sweep("toy", tmp_path, None, {}, most=3)
    assert len(first) == 3 and len(sweeps.unfinished("toy", tmp_path)) == 1
    rows = sweeps.run_sweep("toy", tmp_path, None, {})
    assert toy.asked == [(1, 0), (1, 1), (4, 0), (4, 1)]
    assert list(rows["active_units"]) == [10, 10, 2, 2] and list(rows["beta"]) == [
        1,
        1,
        4,
        4,
    ]
    assert {
        "seed",
        "num_steps",
        "versions",
        "command",
        "seconds",
        "total_seconds",
    } <= set(rows.columns)
    assert [path.name for path in tmp_path.iterdir()] == ["toy.csv"]


def test_rows_stand_in_the_order_of_the_cells(toy, tmp_path):
    whole = sweeps.run_sweep("toy", tmp_path, None, {})
    path = tmp_path / "toy.csv"
    pd.read_csv(path, dtype={"key": str}).drop(index=1).to_csv(path, index=False)
    again = sweeps.run_sweep("toy", tmp_path, None, {})
    pd.testing.assert_frame_equal(
        again.drop(columns="total_seconds"), whole.drop(columns="total_seconds")
    )
    toy.cells = CELLS[2:] + [CELLS[0] | {"num_steps": 3}]
    rows = sweeps.run_sweep("toy", tmp_path, None, {})
    assert list(rows["beta"]) == [4, 4, 1]


def test_rows_of_cells_that_are_gone_are_kept_in_another_file(toy, tmp_path):
    sweeps.run_sweep("toy", tmp_path, None, {})
    for changed in (2, 3):
        toy.cells = [cell | {"num_steps": changed + 1} for cell in CELLS[: changed - 1]]
        sweeps.run_sweep("toy", tmp_path, None, {})
    stale = pd.read_csv(tmp_path / "toy.stale.csv")
    assert list(stale["num_steps"]) == [2, 2, 2, 2, 3]
    assert list(sweeps.read_rows("toy", tmp_path)["num_steps"]) == [4, 4]


def test_rows_of_one_folder_are_not_shown_for_another(toy, tmp_path):
    one, two = (music(name) for name in ("one", "two"))
    first = sweeps.run_sweep("toy", tmp_path, one, {})
    assert list(first["music"].unique()) == ["one"]
    assert len(sweeps.unfinished("toy", tmp_path, two)) == 4
    second = sweeps.run_sweep("toy", tmp_path, two, {}, most=1)
    assert list(second["music"]) == ["two"] and len(toy.asked) == 5
    pd.testing.assert_frame_equal(sweeps.read_rows("toy", tmp_path, one), first)
    assert len(sweeps.read_rows("toy", tmp_path)) == 5
    assert not (tmp_path / "toy.stale.csv").exists()


def test_rows_written_at_the_same_time_are_all_kept(tmp_path):
    path, keys = tmp_path / "toy.csv", [f"cell{number}" for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        rows = [{"key": key, "total_seconds": 1.0} for key in keys]
        list(pool.map(lambda row: sweeps.append_row(path, row, keys), rows))
    assert list(sweeps.read_rows("toy", tmp_path)["key"]) == keys


def test_time_left_follows_the_measured_rows(toy, tmp_path):
    assert sweeps.minutes_left("toy", tmp_path) == pytest.approx(
        4 * sweeps.GUESSED_SECONDS / 60
    )
    sweeps.run_sweep("toy", tmp_path, None, {}, most=2)
    path = tmp_path / "toy.csv"
    pd.read_csv(path, dtype={"key": str}).assign(total_seconds=[60.0, 120.0]).to_csv(
        path, index=False
    )
    assert sweeps.minutes_left("toy", tmp_path) == pytest.approx(2 * 90 / 60)


def test_keys_tell_cells_apart_and_stay_text(toy, tmp_path):
    keys = {sweeps.cell_key(cell) for cell in CELLS}
    assert len(keys) == 4 and sweeps.cell_key(dict(reversed(CELLS[0].items()))) in keys
    path = tmp_path / "toy.csv"
    pd.DataFrame({"key": ["1234567890", "12345678e9"], "total_seconds": 1.0}).to_csv(
        path, index=False
    )
    assert list(sweeps.read_rows("toy", tmp_path)["key"]) == [
        "1234567890",
        "12345678e9",
    ]


def test_unknown_sweep_names_the_known():
    with pytest.raises(ValueError, match="collapse_beta"):
        sweeps.sweep_cells("nothing")


@pytest.mark.parametrize("name", sorted(sweeps.SWEEPS))
def test_every_sweep_lists_different_plain_cells(name):
    cells = sweeps.sweep_cells(name)
    assert len({sweeps.cell_key(cell) for cell in cells}) == len(cells)
    assert all({"name", "kind", "seed", "num_steps"} <= cell.keys() for cell in cells)
    # A hash of code's names would orphan every row when a module moves.
    assert not any(":" in str(cell["kind"]) or "measure" in cell for cell in cells)


@pytest.mark.parametrize("name", sorted(sweeps.SWEEPS))
def test_no_shipped_row_is_stale_and_none_is_missing(name):
    cells = {sweeps.cell_key(cell): cell for cell in sweeps.sweep_cells(name)}
    rows = sweeps.read_rows(name)
    assert rows["key"].is_unique and set(rows["key"]) <= cells.keys(), (
        f"cells have changed: python -m cvae_lab.studies.sweeps {name}"
    )
    assert name.endswith("_real") or len(rows) == len(cells), (
        "every cell of the embedded music ships"
    )
    for _, row in rows.iterrows():
        cell = cells[row["key"]]
        kept = {
            column: None if pd.isna(row[column]) else row[column]
            for column in cell.keys() - {"changes"}
        }
        assert kept == {column: cell[column] for column in kept}
        assert (
            json.loads(row["changes"]) == cell.get("changes", {})
            and row["command"] == f"python -m cvae_lab.studies.sweeps {name}"
        )
    assert len(rows) and np.all(rows["total_seconds"] > 0)


def test_listing_trains_nothing(toy, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sweeps, "shipped_folder", lambda: tmp_path)
    sweeps.main(["toy", "--list"])
    assert "0 of 4 cells done" in capsys.readouterr().out and toy.asked == []


@pytest.mark.slow
def test_a_shipped_row_is_what_the_code_gives():
    """A conditional VAE trained anew; rounding differs between machines and grows over 360 steps, hence tolerances."""
    features, judges, _ = sweeps.open_data("known", sweeps.NUM_CLIPS)
    cells = sweeps.sweep_cells("comparison_known")
    cell = next(cell for cell in cells if (cell["name"], cell["seed"]) == ("CVAE", 0))
    made = sweeps.run_cell("comparison_known", cell, features, judges)
    kept = (
        sweeps.read_rows("comparison_known").set_index("key").loc[sweeps.cell_key(cell)]
    )
    for name, tolerance in {
        "reconstruction_rms_db": 0.3,
        "kl": 15.0,
        "cnn_swap": 0.05,
        "cnn_fresh": 0.05,
        "cnn_class_conditional": 0.05,
        "genre_probe_accuracy": 0.1,
    }.items():
        assert abs(made[name] - kept[name]) <= tolerance, name
