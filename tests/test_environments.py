"""Other versions: what is installed, what is kept of a run, and the lock file of what the authors ran."""

import re
import sys

import environments
import pandas as pd
import pytest
import result_tables
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPORT = """\
<testsuites><testsuite>
  <testcase name="test_executes_in_smoke_mode[01_prepare_audio]" time="30.0"/>
  <testcase name="test_executes_in_smoke_mode[solutions/01_prepare_audio]" time="6"><failure message="no"/></testcase>
  <testcase name="test_seed_repeats" time="1.5"><skipped/></testcase>
  <testcase name="test_bad_seed" time="0.5"><error message="no"/></testcase>
</testsuite></testsuites>
"""


def pinned(path):
    """Name -> version of the lines name==version."""
    lines = [
        line.partition("==")
        for line in path.read_text(encoding="utf-8").splitlines()
        if "==" in line
    ]
    return {canonicalize_name(name): version for name, _, version in lines}


def wanted():
    """Name -> bounds of all that the project asks for."""
    texts = environments.requirements(environments.ENVIRONMENTS["newest-3.12"])
    asked = [Requirement(text) for text in texts]
    return {canonicalize_name(each.name): each.specifier for each in asked}


@pytest.mark.parametrize("name", ["requirements-lock.txt", ".ci/constraints-colab.txt"])
def test_versions_that_are_pinned_are_within_the_bounds(root, name):
    pins = pinned(root / name)
    pins.setdefault("tensorflow", pins.get("tensorflow-cpu"))
    asked = wanted()
    both = pins.keys() & asked.keys()
    assert {"tensorflow", "keras", "librosa", "ipython", "ipywidgets"} <= both
    assert [key for key in both if pins[key] not in asked[key]] == []


def test_the_lock_holds_all_that_the_project_asks_for_and_what_that_needs(root):
    pins = pinned(root / "requirements-lock.txt")
    assert wanted().keys() <= pins.keys()
    # Asked for by nobody but others' packages.
    assert {"pyzmq", "h5py", "distributed"} <= pins.keys()


def test_colabs_environment_takes_its_tensorflow_and_the_others_the_projects():
    colab = environments.requirements(environments.ENVIRONMENTS["colab"])
    newest = environments.requirements(environments.ENVIRONMENTS["newest-3.13"])
    assert "tensorflow-cpu>=2.20" in colab and "tensorflow>=2.20" not in colab
    assert "tensorflow>=2.20" in newest and len(newest) == len(colab)
    assert any(text.startswith("pytest>=") for text in newest)


def test_the_parts_share_the_tests_between_them():
    assert environments.selected("tests", ["08"]) == [
        "-k",
        "not executes_in_smoke_mode",
    ]
    assert environments.selected("smoke", []) == [
        "tests/test_notebooks.py",
        "-k",
        "executes_in_smoke_mode",
    ]
    assert (
        environments.selected("smoke", ["08", "09"])[-1]
        == "executes_in_smoke_mode and (08_ or 09_)"
    )


def test_environments_are_those_that_the_project_allows(root):
    for environment in environments.ENVIRONMENTS.values():
        assert (3, 11) <= tuple(map(int, environment.python.split("."))) < (3, 14)
        assert environment.constraints is None or environment.constraints.exists()


def test_a_python_is_found_or_asked_for():
    version = "{}.{}".format(*sys.version_info)
    assert environments.find_python(version, sys.executable) == sys.executable
    with pytest.raises(
        SystemExit, match=r"Found no Python 3.99 .* make environment PYTHON="
    ):
        environments.find_python("3.99", sys.executable)


def test_outcomes_are_read_and_kept_once(tmp_path):
    report, path = tmp_path / "report.xml", tmp_path / "table.csv"
    report.write_text(REPORT)
    cases = environments.read_report(report)
    smoke, tests = (
        environments.smoke_rows(cases),
        environments.tests_row(cases[2:], 90.0),
    )
    assert [(row["what"], row["outcome"], row["minutes"]) for row in smoke] == [
        ("01_prepare_audio", "passed", "0.50"),
        ("solutions/01_prepare_audio", "failed", "0.10"),
    ]
    assert (tests["outcome"], tests["minutes"]) == (
        "0 passed, 1 failed, 1 skipped",
        "1.50",
    )
    told = {
        "environment": "colab",
        "cores": 2,
        "date": "2026-01-01",
        "python": "3.13.0",
    }
    for _ in range(2):  # a second run replaces the first one's rows
        environments.keep([{**told, **row} for row in [*smoke, tests]], path)
    environments.keep([{**told, **smoke[0], "mode": "full", "minutes": "1.50"}], path)
    table = pd.read_csv(path, dtype=str).fillna("")
    assert list(table.columns) == environments.COLUMNS and len(table) == 4
    drawn = result_tables.draw_environments(table)
    assert (
        "| 01 prepare audio | 0.5 (1.5) |" in drawn
        and "| solutions/01 prepare audio | failed |" in drawn
    )
    assert (
        "| tests | 0 passed, 1 failed, 1 skipped, 1.5 |" in drawn
        and "| python | 3.13.0 |" in drawn
    )


def test_the_table_that_ships_has_known_environments_and_notebooks(root):
    table = pd.read_csv(environments.RESULTS)
    assert set(table["environment"]) <= set(environments.ENVIRONMENTS)
    strangers = [
        w
        for w in set(table["what"]) - {"tests"}
        if not re.fullmatch(r"(solutions/)?\d\d_\w+", w)
    ]
    assert strangers == [] and set(table["mode"]) <= {"smoke", "full", "tests"}
