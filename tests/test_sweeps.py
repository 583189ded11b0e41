"""The sweep runner: it resumes, keeps the order of the cells, and says how long it will take."""

import sys
import types

import numpy as np
import pandas as pd
import pytest

from cvae_lab import sweeps

CELLS = [
    {"name": f"beta {beta}", "kind": "toy_sweep:measure", "seed": seed, "num_steps": 2, "beta": beta, "changes": {"kl": beta}}
    for beta in (1, 4)
    for seed in (0, 1)
]


@pytest.fixture
def toy(monkeypatch):
    """A sweep whose cells cost nothing; it counts how often it was asked."""
    module = types.ModuleType("cvae_music.toy_sweep")
    module.asked = []

    def measure(cell, features, judges):
        module.asked.append((cell["beta"], cell["seed"]))
        return {"seconds": 0.5, "active_units": 10 // cell["beta"]}

    module.cells, module.measure = lambda: CELLS, measure
    monkeypatch.setitem(sys.modules, "cvae_music.toy_sweep", module)
    monkeypatch.setitem(sweeps.SWEEPS, "toy", "toy_sweep:cells")
    monkeypatch.setattr("keras.backend.clear_session", lambda: None)  # slow, and nothing to clear
    return module


def test_resumes_where_it_stopped(toy, tmp_path):
    first = sweeps.run_sweep("toy", tmp_path, None, {}, most=3)
    assert len(first) == 3 and len(sweeps.unfinished("toy", tmp_path)) == 1
    rows = sweeps.run_sweep("toy", tmp_path, None, {})
    assert toy.asked == [(1, 0), (1, 1), (4, 0), (4, 1)]
    assert list(rows["active_units"]) == [10, 10, 2, 2] and list(rows["beta"]) == [1, 1, 4, 4]
    assert {"seed", "num_steps", "versions", "command", "seconds", "total_seconds"} <= set(rows.columns)
    assert not list(tmp_path.glob("*.partial"))


def test_rows_stand_in_the_order_of_the_cells(toy, tmp_path, monkeypatch):
    whole = sweeps.run_sweep("toy", tmp_path, None, {})
    path = tmp_path / "toy.csv"
    pd.read_csv(path, dtype={"key": str}).drop(index=1).to_csv(path, index=False)
    again = sweeps.run_sweep("toy", tmp_path, None, {})
    pd.testing.assert_frame_equal(again.drop(columns="total_seconds"), whole.drop(columns="total_seconds"))
    monkeypatch.setattr(toy, "cells", lambda: CELLS[2:] + [CELLS[0] | {"num_steps": 3}])
    rows = sweeps.run_sweep("toy", tmp_path, None, {})
    assert list(rows["beta"]) == [4, 4, 1], "rows of cells that are gone are dropped"


def test_time_left_follows_the_measured_rows(toy, tmp_path):
    assert sweeps.minutes_left("toy", tmp_path) == pytest.approx(4 * sweeps.GUESSED_SECONDS / 60)
    sweeps.run_sweep("toy", tmp_path, None, {}, most=2)
    path = tmp_path / "toy.csv"
    pd.read_csv(path, dtype={"key": str}).assign(total_seconds=[60.0, 120.0]).to_csv(path, index=False)
    assert sweeps.minutes_left("toy", tmp_path) == pytest.approx(2 * 90 / 60)


def test_keys_tell_cells_apart_and_stay_text(toy, tmp_path):
    keys = {sweeps.cell_key(cell) for cell in CELLS}
    assert len(keys) == 4 and sweeps.cell_key(dict(reversed(CELLS[0].items()))) in keys
    path = tmp_path / "toy.csv"
    pd.DataFrame({"key": ["1234567890", "12345678e9"], "total_seconds": 1.0}).to_csv(path, index=False)
    assert list(sweeps.read_rows("toy", tmp_path)["key"]) == ["1234567890", "12345678e9"]


def test_unknown_sweep_names_the_known():
    with pytest.raises(ValueError, match="collapse_beta"):
        sweeps.sweep_cells("nothing")


@pytest.mark.parametrize("name", sorted(sweeps.SWEEPS))
def test_every_sweep_lists_different_cells_and_ships_no_stale_row(name):
    cells = sweeps.sweep_cells(name)
    keys = {sweeps.cell_key(cell) for cell in cells}
    assert len(keys) == len(cells)
    assert all({"name", "kind", "seed", "num_steps"} <= cell.keys() for cell in cells)
    rows = sweeps.read_rows(name)
    assert set(rows["key"]) <= keys, f"cells have changed: python -m cvae_music.sweeps {name}"
    assert np.all(rows["total_seconds"] > 0)


def test_listing_trains_nothing(toy, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sweeps, "shipped_folder", lambda: tmp_path)
    sweeps.main(["toy", "--list"])
    assert "0 of 4 cells done" in capsys.readouterr().out and toy.asked == []
