"""Makes an environment with other versions; runs in it the tests, the notebooks in smoke mode, and 01, 05, 08 in full.

`make environment NAME=colab`. What came out is kept in lib/cvae_lab/results/environments.csv, one row a notebook and
one for the tests, from which tools/result_tables.py makes the table of docs/environments.md. What failed gets a row that says so.
"""

import argparse
import csv
import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
import xml.etree.ElementTree
from pathlib import Path

from run_notebooks import ROOT, count_cores

RESULTS = ROOT / "lib" / "cvae_lab" / "results" / "environments.csv"
EXTRAS = ("notebooks", "test", "scale")
TOLD = ("tensorflow", "keras", "numpy", "pandas", "librosa", "ipython", "ipywidgets")
KEY = ("environment", "what", "mode")
COLUMNS = [*KEY, "outcome", "minutes", "cores", "date", "python", *TOLD]
IN_FULL = ("01", "05", "08")
PARTS = (
    "tests",
    "smoke",
    "full",
)  # the tests first: they hold the table of docs/environments.md against what is kept


@dataclasses.dataclass(frozen=True)
class Environment:
    """A Python version, and the file of versions that a host preinstalls; None for the newest releases."""

    python: str
    constraints: Path | None = None


ENVIRONMENTS = {
    "newest-3.12": Environment("3.12"),
    "newest-3.13": Environment("3.13"),
    "python-3.11": Environment("3.11"),
    "colab": Environment("3.13", ROOT / ".ci" / "constraints-colab.txt"),
}


def find_python(version, chosen=""):
    """The command of a Python of that version which can make environments: on the path, or one of pyenv's."""
    kept = sorted(Path.home().glob(f".pyenv/versions/{version}*/bin/python"))
    suits = f"import sys, venv, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != '{version}')"
    for candidate in filter(
        None, [chosen, f"python{version}", *map(str, kept), "python3"]
    ):
        command = shutil.which(candidate)
        if (
            command
            and not subprocess.run(
                [command, "-c", suits], capture_output=True
            ).returncode
        ):
            return command
    raise SystemExit(
        f"Found no Python {version} with venv and ensurepip, on the path or among pyenv's. "
        f"Name one: make environment PYTHON=/path/to/python{version}"
    )


def requirements(environment, root=ROOT):
    """The project's own list of what it needs; TensorFlow without GPU code where the constraints are for that."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    extras = project["optional-dependencies"]
    wanted = project["dependencies"] + sum((extras[extra] for extra in EXTRAS), [])
    wanted = [text for text in wanted if not text.startswith(project["name"])]
    held = (
        environment.constraints.read_text(encoding="utf-8")
        if environment.constraints
        else ""
    )
    if "tensorflow-cpu" in held:
        wanted = [re.sub(r"^tensorflow\b", "tensorflow-cpu", text) for text in wanted]
    return wanted


def make(name, folder, chosen=""):
    """The Python of the environment, which is made where it is not there yet."""
    environment, python = ENVIRONMENTS[name], folder / "bin" / "python"
    if not (folder / ".installed").exists():
        subprocess.run(
            [find_python(environment.python, chosen), "-m", "venv", "--clear", folder],
            check=True,
        )
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        held = (
            ["--constraint", environment.constraints] if environment.constraints else []
        )
        subprocess.run([*pip, *requirements(environment), *held], check=True)
        subprocess.run([*pip, "--no-deps", "--editable", ROOT], check=True)
        (folder / ".installed").touch()
    return python


def versions(python):
    """Name -> version of what matters most, as installed there."""
    script = f"""
import importlib.metadata, json, platform
found = {{"python": platform.python_version()}}
for name in {TOLD}:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        found[name] = importlib.metadata.version(name + "-cpu")
print(json.dumps(found))
"""
    return json.loads(
        subprocess.run(
            [python, "-c", script], check=True, capture_output=True, text=True
        ).stdout
    )


def selected(part, only):
    """What pytest is asked for: notebooks in smoke mode, all or those that begin with one of `only`; or all but them."""
    if part == "tests":
        return ["-k", "not executes_in_smoke_mode"]
    chosen = " or ".join(f"{name}_" for name in only)
    return [
        "tests/test_notebooks.py",
        "-k",
        "executes_in_smoke_mode" + (f" and ({chosen})" if only else ""),
    ]


def run_tests(python, selection, report):
    """pytest on what was selected, in the project with its own library; (test, seconds, outcome) of each."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT / "lib")}
    workers = [
        "--numprocesses",
        "logical",
        "--maxprocesses",
        "4",
        "--dist",
        "loadgroup",
    ]
    command = [
        python,
        "-m",
        "pytest",
        "--quiet",
        "-p",
        "no:cacheprovider",
        *workers,
        f"--junitxml={report}",
        *selection,
    ]
    report.unlink(missing_ok=True)  # of an earlier run
    done = subprocess.run(command, cwd=ROOT, env=variables)
    if not report.exists():
        raise SystemExit(
            f"pytest ended with {done.returncode} before it ran a test, see above."
        )
    return read_report(report)


def read_report(report):
    """(test, seconds, outcome) of each test of a JUnit report."""
    found = []
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        marks = {child.tag for child in case}
        outcome = (
            "failed"
            if marks & {"failure", "error"}
            else "skipped"
            if "skipped" in marks
            else "passed"
        )
        found.append((case.get("name"), float(case.get("time", 0)), outcome))
    return found


def smoke_rows(cases):
    """One row a notebook, of the tests that execute them on little data."""
    rows = []
    for name, seconds, outcome in cases:
        if source := re.fullmatch(r"test_executes_in_smoke_mode\[(.+)\]", name):
            rows.append(
                {
                    "what": source[1],
                    "mode": "smoke",
                    "outcome": outcome,
                    "minutes": f"{seconds / 60:.2f}",
                }
            )
    return rows


def tests_row(cases, seconds):
    counts = {
        outcome: sum(case[2] == outcome for case in cases)
        for outcome in ("passed", "failed", "skipped")
    }
    told = ", ".join(
        f"{count} {outcome}"
        for outcome, count in counts.items()
        if count or outcome == "passed"
    )
    return {
        "what": "tests",
        "mode": "tests",
        "outcome": told,
        "minutes": f"{seconds / 60:.2f}",
    }


def full_rows(python, output):
    """One row for each notebook that is executed as a reader does."""
    command = [
        python,
        ROOT / "tools" / "run_notebooks.py",
        "--output",
        output,
        "--only",
        *IN_FULL,
    ]
    (output / "run.csv").unlink(missing_ok=True)
    subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT / "lib")}
    )
    with open(output / "run.csv", newline="", encoding="utf-8") as file:
        return [
            {
                "what": row["notebook"],
                "mode": "full",
                "outcome": "passed" if row["status"] == "ok" else "failed",
                "minutes": f"{float(row['seconds']) / 60:.2f}",
            }
            for row in csv.DictReader(file)
        ]


def keep(rows, path=RESULTS):
    """Puts rows into the table, in place of older ones of the same environment, notebook and mode."""
    table = {}
    if path.exists():
        with open(path, newline="", encoding="utf-8") as file:
            table = {
                tuple(row[name] for name in KEY): row for row in csv.DictReader(file)
            }
    table |= {tuple(row[name] for name in KEY): row for row in rows}
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(table[key] for key in sorted(table))


def main(arguments=None):
    # Names of folders and music may hold signs that a console cannot show.
    sys.stdout.reconfigure(errors="backslashreplace")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=ENVIRONMENTS, help="which versions")
    parser.add_argument(
        "--python", default="", help="command of a Python of that version"
    )
    parser.add_argument(
        "--folder", type=Path, help="where the environment is; made there if need be"
    )
    parser.add_argument(
        "--parts", nargs="*", choices=PARTS, default=PARTS, help="run these alone"
    )
    parser.add_argument(
        "--only",
        nargs="*",
        default=(),
        metavar="NN",
        help="these notebooks alone, in smoke mode",
    )
    options = parser.parse_args(arguments)
    folder = (options.folder or ROOT / ".environments" / options.name).absolute()
    python = make(options.name, folder, options.python)
    told = {
        "environment": options.name,
        "cores": count_cores(),
        "date": time.strftime("%Y-%m-%d"),
        **versions(python),
    }
    print(", ".join(f"{name} {value}" for name, value in told.items()), flush=True)
    failed = False
    for part in options.parts or PARTS:
        started = time.perf_counter()
        if part == "full":
            rows = full_rows(python, folder / "run")
        else:
            cases = run_tests(
                python, selected(part, options.only), folder / f"{part}.xml"
            )
            rows = (
                smoke_rows(cases)
                if part == "smoke"
                else [tests_row(cases, time.perf_counter() - started)]
            )
        keep([{**told, **row} for row in rows])
        failed |= any("failed" in row["outcome"] for row in rows)
    print(
        f"Kept in {RESULTS.relative_to(ROOT)}; python tools/result_tables.py writes the table of docs/environments.md."
    )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
