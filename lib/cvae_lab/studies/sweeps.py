"""Sweeps: lists of small trainings, each of which becomes one row of a CSV file.

A sweep can be stopped at any time: rows that are there are not computed again. Its
cells are dictionaries of plain values. A row belongs to the hash of its cell and, for
music that does not ship, to the key of the music:

- `name`, `seed`, `num_steps`: what it is called, and its training;
- `kind`: what is trained, such as `"cvae"`, or `"recipe"` for an `OriginalVAE`;
- `changes`: arguments of the model to set otherwise;
- anything else, such as `beta`, is for the sweep's own `run` and becomes a column.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cvae_lab.notebook.session import (
    cache_folder,
    lock_for,
    output_folder,
    used_versions,
)
from cvae_lab.notebook.weights import WEIGHTS, load_or_train_judges, music_key
from cvae_lab.studies import collapse, comparison, discriminator
from cvae_music.serialization import write_text


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Describes a list of small trainings.

    Args:
        name: Name of its CSV file, without ending.
        cells: Function that lists the cells in the order in which they run.
        run: Function `(cell, features, judges) -> measures`, a dictionary.
    """

    name: str
    cells: Callable
    run: Callable


SWEEPS = {
    sweep.name: sweep
    for sweep in (
        Sweep("collapse_beta", collapse.beta_cells, collapse.run_beta),
        Sweep("collapse_remedies", collapse.remedy_cells, collapse.run_labelled),
        Sweep("collapse_label", collapse.label_cells, collapse.run_labelled),
        Sweep("beta_known", comparison.beta_cells, comparison.run_beta),
        Sweep(
            "comparison_known", comparison.comparison_cells, comparison.run_comparison
        ),
        Sweep("beta_real", comparison.beta_real_cells, comparison.run_beta),
        Sweep(
            "comparison_real", comparison.comparison_cells, comparison.run_comparison
        ),
        Sweep("discriminator_known", discriminator.cells, discriminator.run),
        Sweep("discriminator_real", discriminator.cells, discriminator.run),
    )
}
NUM_CLIPS = 2400
GUESSED_SECONDS = 35.0  # a cell, until one is measured


def cell_key(cell: dict[str, Any]) -> str:
    """Hashes a cell to ten hexadecimal digits.

    Args:
        cell: Dictionary of values that JSON can hold.

    Returns:
        Digits that change when anything in the cell changes.

    Example:
        >>> cell_key({"seed": 0, "kind": "vae"}) == cell_key({"kind": "vae", "seed": 0})
        True
    """
    text = json.dumps(cell, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def sweep_cells(name: str) -> list[dict[str, Any]]:
    """Lists the cells of a sweep in the order in which they run.

    Args:
        name: Name of the sweep.

    Returns:
        List of dictionaries, see the top of this module.

    Raises:
        ValueError: If the sweep is unknown.

    Example:
        >>> sweep_cells("beta_known")[0]["name"]
        'constant 0.3'
    """
    if name not in SWEEPS:
        raise ValueError(
            f"sweep_cells got name={name!r}; expected one of {sorted(SWEEPS)}."
        )
    return SWEEPS[name].cells()


def run_cell(
    name: str, cell: dict[str, Any], features: Any, judges: dict[str, Any]
) -> dict[str, Any]:
    """Trains and measures one cell.

    Args:
        name: Name of the sweep.
        cell: Dictionary as described at the top of this module.
        features: `FeatureSet`.
        judges: Dictionary name -> judge.

    Returns:
        Dictionary: the cell's own values, its measures, `seconds` of training and
        `total_seconds` with the scoring.

    Raises:
        ValueError: If the features have other genres than the judges.

    Example:
        >>> cell = sweep_cells("beta_known")[0]
        >>> run_cell("beta_known", cell, features, judges)  # doctest: +SKIP
    """
    import keras

    keras.backend.clear_session()  # host memory grows with each model otherwise
    gc.collect()
    started = time.perf_counter()
    row = {**cell, "changes": json.dumps(cell.get("changes", {}), sort_keys=True)}
    row |= SWEEPS[name].run(cell, features, judges)
    return row | {"total_seconds": time.perf_counter() - started}


def read_rows(
    name: str, folder: str | Path | None = None, features: Any = None
) -> pd.DataFrame:
    """Reads the finished rows of a sweep.

    Args:
        name: Name of the sweep.
        folder: Folder of the results; None for the results that ship.
        features: `FeatureSet` whose rows are wanted; None for the rows of all music in
            the file.

    Returns:
        DataFrame; empty where there are no rows.

    Example:
        >>> sorted(read_rows("beta_known")["seed"].unique().tolist())
        [0, 1, 2]
    """
    rows = _read(Path(folder or shipped_folder()) / f"{name}.csv")
    music = music_key(features)
    if music is None:
        return rows
    return rows[_music_of(rows) == music].reset_index(drop=True)


def shipped_folder() -> Path:
    """Names the folder of the results that ship with the package."""
    return Path(__file__).parents[1] / "results"


def unfinished(
    name: str, folder: str | Path | None = None, features: Any = None
) -> list[dict[str, Any]]:
    """Lists the cells of a sweep that have no row yet; arguments as `read_rows`."""
    done = set(read_rows(name, folder, features)["key"])
    return [cell for cell in sweep_cells(name) if cell_key(cell) not in done]


def minutes_left(
    name: str, folder: str | Path | None = None, features: Any = None
) -> float:
    """Estimates the minutes that the unfinished cells of a sweep take.

    The seconds are those of finished rows of the same kind, else of all finished rows,
    else a guess.

    Args:
        name: Name of the sweep.
        folder: As for `read_rows`.
        features: As for `read_rows`.

    Returns:
        Minutes.
    """
    rows = read_rows(name, folder, features)
    usual = rows["total_seconds"].mean() if len(rows) else GUESSED_SECONDS
    by_kind = rows.groupby("kind")["total_seconds"].mean()
    seconds = 0.0
    for cell in unfinished(name, folder, features):
        seconds += by_kind.get(cell["kind"], usual)
    return seconds / 60.0


def run_sweep(
    name: str,
    folder: str | Path,
    features: Any,
    judges: dict[str, Any],
    most: int | None = None,
) -> pd.DataFrame:
    """Runs the cells of a sweep that have no row yet, and writes each row when done.

    Args:
        name: Name of the sweep.
        folder: Folder of the CSV file `<name>.csv`. Rows of cells that the sweep no
            longer has move to `<name>.stale.csv`.
        features: `FeatureSet`.
        judges: Dictionary name -> judge.
        most: Stop after so many cells; None runs all.

    Returns:
        DataFrame of all finished rows of this music.
    """
    path = Path(folder) / f"{name}.csv"
    music = music_key(features)
    for cell in unfinished(name, folder, features)[:most]:
        print(f"{name}: {cell['name']}, seed {cell['seed']}", flush=True)
        row = {"key": cell_key(cell)} | run_cell(name, cell, features, judges)
        row["versions"] = used_versions()
        row["command"] = f"python -m cvae_lab.studies.sweeps {name}"
        if music is not None:
            row["music"] = music
        append_row(path, row, [cell_key(one) for one in sweep_cells(name)])
        left = len(unfinished(name, folder, features))
        minutes = minutes_left(name, folder, features)
        print(
            f"  {row['total_seconds']:.0f} s; {left} cells left, {minutes:.0f} minutes",
            flush=True,
        )
    return read_rows(name, folder, features)


def _read(path):
    if not path.exists():
        return pd.DataFrame(columns=["key", "kind", "seed", "total_seconds"])
    # A key of digits and one e would be read as a number.
    return pd.read_csv(path, dtype={"key": str, "music": str})


def _music_of(rows):
    """Returns the music of each row, empty text for the embedded music."""
    if "music" not in rows:
        return pd.Series("", rows.index)
    return rows["music"].fillna("")


def append_row(path: str | Path, row: dict[str, Any], order: Sequence[str]) -> None:
    """Adds a row to a CSV file, whose rows are kept in the order of the cells.

    Other processes that write the same file wait. Rows of the same music whose cells
    have changed move to `<name>.stale.csv`; they may have taken hours.

    Args:
        path: CSV file.
        row: Has `key`, and `music` if it is not of the embedded music.
        order: Keys of all cells.
    """
    path = Path(path)
    with lock_for(path):
        rows = joined(path, pd.DataFrame([row]))
        music = _music_of(rows)
        own = music == row.get("music", "")
        stale = own & ~rows["key"].isin(order)
        if stale.any():
            stale_path = path.with_suffix(".stale.csv")
            write_text(stale_path, joined(stale_path, rows[stale]).to_csv(index=False))
        place = {key: number for number, key in enumerate(order)}
        rows = rows.assign(_place=rows["key"].map(place), _music=music)[~stale]
        rows = rows.sort_values(["_music", "_place"], kind="stable")
        rows = rows.drop(columns=["_music", "_place"])
        write_text(path, rows.round(6).to_csv(index=False))


def joined(path: Path, rows: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of a file, if there is one, with more rows behind them."""
    if not path.exists():
        return rows
    return pd.concat([_read(path), rows], ignore_index=True)


def open_data(data: str, num_clips: int) -> tuple[Any, dict[str, Any], Path]:
    """Opens features and judges of a data source, and the folder for its results.

    Args:
        data: `"known"`, a folder of genres or an FMA folder.
        num_clips: Clips of the embedded music.

    Returns:
        `(features, judges, folder)`; the judges that ship, or those of an earlier run,
        or new ones.
    """
    from cvae_music.config import AudioConfig
    from cvae_music.data.features import build_features
    from cvae_music.data.sources import open_collection

    collection = open_collection(data, num_clips=num_clips)
    features = build_features(collection, AudioConfig(), cache_folder())
    if data == "known":
        judges = load_or_train_judges(WEIGHTS, features, name="known")
        return features, judges, shipped_folder()
    home = output_folder(data)
    return features, load_or_train_judges(home / "models", features), home / "results"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs sweeps, or says what is left. Finished rows are kept: run it again."""
    parser = argparse.ArgumentParser(
        prog="python -m cvae_lab.studies.sweeps", description=main.__doc__
    )
    add = parser.add_argument
    add("names", nargs="*", help=f"of {sorted(SWEEPS)}; all of this music if left out")
    add("--data", default="known", help="known, a folder of genres, or an FMA folder")
    add("--list", action="store_true", help="only say how many cells are left")
    add("--most", type=int, help="stop after so many cells of each sweep")
    options = parser.parse_args(arguments)
    is_own = options.data != "known"
    # Sweeps named real are for music of one's own.
    own_names = [name for name in SWEEPS if name.endswith("_real") == is_own]
    names = options.names or own_names
    features: Any = None
    judges: dict[str, Any] = {}
    folder = shipped_folder()
    if is_own:
        features, judges, folder = open_data(options.data, NUM_CLIPS)
    for name in names:
        cells = len(sweep_cells(name))
        done = cells - len(unfinished(name, folder, features))
        minutes = minutes_left(name, folder, features)
        print(f"{name}: {done} of {cells} cells done, about {minutes:.0f} minutes left")
    if options.list or not any(unfinished(name, folder, features) for name in names):
        return
    if features is None:
        features, judges, folder = open_data(options.data, NUM_CLIPS)
    for name in names:
        run_sweep(name, folder, features, judges, options.most)


if __name__ == "__main__":
    main()
