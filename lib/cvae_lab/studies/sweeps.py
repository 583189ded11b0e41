"""Sweeps: named lists of small trainings, each of which ends as one row of a CSV file that ships.

A sweep can be stopped at any time: rows that are there are not computed again. Its cells are dictionaries of plain
values; a row is known by the hash of its cell:

- `name`, `seed`, `num_steps`: what it is called, and its training;
- `kind`: what is trained, such as `"cvae"` for a model of the series or `"recipe"` for the recipe that collapsed;
- `changes`: arguments of the model to set otherwise;
- anything else, such as `beta`, is for the sweep's own `run` and becomes a column.
"""

import argparse
import dataclasses
import gc
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from cvae_lab.notebook.session import cache_folder, output_folder, used_versions
from cvae_lab.notebook.weights import WEIGHTS, load_or_train_judges
from cvae_lab.studies import collapse, comparison, discriminator
from cvae_music.serialization import write_text


@dataclasses.dataclass(frozen=True)
class Sweep:
    """A list of small trainings.

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
        Sweep("listeners_real", comparison.listener_cells, comparison.run_listeners),
        Sweep("discriminator_known", discriminator.cells, discriminator.run),
        Sweep("discriminator_real", discriminator.cells, discriminator.run),
    )
}
NUM_CLIPS = 2400
GUESSED_SECONDS = 35.0  # a cell, until one is measured


def cell_key(cell):
    """Ten hexadecimal digits that change when anything in the cell changes."""
    return hashlib.sha256(json.dumps(cell, sort_keys=True).encode()).hexdigest()[:10]


def sweep_cells(name):
    """The cells of a sweep, in the order in which they run.

    Raises:
        ValueError: If the sweep is unknown.
    """
    if name not in SWEEPS:
        raise ValueError(
            f"sweep_cells got name={name!r}; expected one of {sorted(SWEEPS)}."
        )
    return SWEEPS[name].cells()


def run_cell(name, cell, features, judges):
    """Trains and measures one cell.

    Args:
        name: Name of the sweep.
        cell: Dictionary as described at the top of this module.
        features: `FeatureSet`.
        judges: Dictionary name -> judge.

    Returns:
        Dictionary: the cell's own values, its measures, `seconds` of training and `total_seconds`
        with the scoring.
    """
    import keras

    keras.backend.clear_session()  # host memory grows with each model otherwise
    gc.collect()
    started = time.perf_counter()
    found = SWEEPS[name].run(cell, features, judges)
    changes = {"changes": json.dumps(cell.get("changes", {}), sort_keys=True)}
    return cell | changes | found | {"total_seconds": time.perf_counter() - started}


def read_rows(name, folder=None):
    """The finished rows of a sweep; an empty table where there are none.

    Args:
        name: Name of the sweep.
        folder: Folder of the results; None for the results that ship with the project.
    """
    path = Path(folder or shipped_folder()) / f"{name}.csv"
    return (
        _read(path) if path.exists() else pd.DataFrame({"key": [], "total_seconds": []})
    )


def shipped_folder():
    """Where the results of the embedded music are kept."""
    return Path(__file__).parents[1] / "results"


def unfinished(name, folder=None):
    """The cells of a sweep that have no row yet."""
    done = set(read_rows(name, folder)["key"])
    return [cell for cell in sweep_cells(name) if cell_key(cell) not in done]


def minutes_left(name, folder=None):
    """Estimate from the seconds of the finished rows of the same kind, else of the sweep, else a guess."""
    rows, total = read_rows(name, folder), 0.0
    for cell in unfinished(name, folder):
        same = rows[rows["kind"] == cell["kind"]] if "kind" in rows else rows
        known = same if len(same) else rows
        total += known["total_seconds"].mean() if len(known) else GUESSED_SECONDS
    return total / 60.0


def run_sweep(name, folder, features, judges, most=None):
    """Runs the cells of a sweep that have no row yet; each becomes a row as soon as it is done.

    Args:
        name: Name of the sweep.
        folder: Folder of the CSV file `<name>.csv`.
        features: `FeatureSet`.
        judges: Dictionary name -> judge.
        most: Stop after so many cells; None runs all.

    Returns:
        DataFrame of all finished rows.
    """
    folder = Path(folder)
    for cell in unfinished(name, folder)[:most]:
        print(f"{name}: {cell['name']}, seed {cell['seed']}", flush=True)
        row = {"key": cell_key(cell)} | run_cell(name, cell, features, judges)
        row |= {
            "versions": used_versions(),
            "command": f"python -m cvae_lab.studies.sweeps {name}",
        }
        _append(
            folder / f"{name}.csv", row, [cell_key(one) for one in sweep_cells(name)]
        )
        left = len(unfinished(name, folder))
        print(
            f"  {row['total_seconds']:.0f} s; {left} cells left, {minutes_left(name, folder):.0f} minutes",
            flush=True,
        )
    return read_rows(name, folder)


def _read(path):
    return pd.read_csv(
        path, dtype={"key": str}
    )  # a key of digits and one e would be read as a number


def _append(path, row, order):
    rows = _read(path) if path.exists() else pd.DataFrame()
    rows = pd.concat([rows, pd.DataFrame([row])], ignore_index=True)
    # In the order of the cells; rows of cells that the sweep no longer has are dropped.
    place = {key: number for number, key in enumerate(order)}
    rows = rows[rows["key"].isin(place)].sort_values(
        "key", key=lambda keys: keys.map(place), kind="stable"
    )
    write_text(path, rows.round(6).to_csv(index=False))


def open_data(data="known"):
    """Features and judges of a data source, and the folder for its results.

    Args:
        data: `"known"`, a folder of genres or an FMA folder.

    Returns:
        `(features, judges, folder)`; the judges that ship, or those of an earlier run, or new ones.
    """
    from cvae_music.config import AudioConfig
    from cvae_music.data.features import build_features
    from cvae_music.data.sources import open_collection

    extra = {"num_clips": NUM_CLIPS} if data == "known" else {}
    features = build_features(
        open_collection(data, **extra), AudioConfig(), cache_folder()
    )
    if data == "known":
        return features, load_or_train_judges(WEIGHTS, features, name="known"), shipped_folder()
    home = output_folder(data)
    return features, load_or_train_judges(home / "models", features), home / "results"


def main(arguments=None):
    """Runs sweeps, or says what is left of them. Finished rows are kept: run it again to go on."""
    parser = argparse.ArgumentParser(
        prog="python -m cvae_lab.studies.sweeps", description=main.__doc__
    )
    parser.add_argument(
        "names", nargs="*", help=f"of {sorted(SWEEPS)}; all of this music if left out"
    )
    parser.add_argument(
        "--data", default="known", help="known, a folder of genres, or an FMA folder"
    )
    parser.add_argument(
        "--list",
        action="store_true",
        help="only say how many cells and minutes are left",
    )
    parser.add_argument(
        "--most", type=int, default=None, help="stop after so many cells of each sweep"
    )
    options = parser.parse_args(arguments)
    # Those named real are for music of one's own.
    names = options.names or [
        name for name in SWEEPS if name.endswith("_real") == (options.data != "known")
    ]
    folder = (
        shipped_folder()
        if options.data == "known"
        else output_folder(options.data) / "results"
    )
    for name in names:
        left, cells = len(unfinished(name, folder)), len(sweep_cells(name))
        print(
            f"{name}: {cells - left} of {cells} cells done, about {minutes_left(name, folder):.0f} minutes left"
        )
    if options.list or not any(unfinished(name, folder) for name in names):
        return
    features, judges, folder = open_data(options.data)
    for name in names:
        run_sweep(name, folder, features, judges, options.most)


if __name__ == "__main__":
    main()
