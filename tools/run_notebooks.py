"""Executes the notebooks in order with papermill, each from its .py half in a fresh kernel of this Python.

`make run` and the tests call it. Parameters go only into notebooks whose parameters cell assigns them.
"""

import argparse
import ast
import csv
import dataclasses
import functools
import hashlib
import io
import json
import os
import re
import shutil
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jupytext
import lessons
import nbformat
import papermill
import run_page
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.execute import remove_error_markers

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
PUBLISHED_RUNS = ROOT / "lib" / "cvae_lab" / "results" / "published_runs.csv"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
FOLDED = {"fold", "setup"}  # tags of cells whose code is plumbing
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
# What TensorFlow's C++ side writes before anyone can ask it to be quiet.
START_UP_NOTICE = re.compile(
    r"^(?:WARNING: All log messages before absl|[IWE]\d{4} \d\d:\d\d:).*\n?", re.M
)

# nbclient's stand-in for an Output widget talks to the busy kernel, which can hang a run. Without it, what the widget
# shows first stays in the cell, for readers without a kernel.
PapermillNotebookClient.on_comm_open_jupyter_widget = lambda client, message: None


@dataclasses.dataclass
class Result:
    """What became of one notebook: `error` is empty when it ran to the end, `injected` names the parameters it took."""

    name: str
    cells: int
    seconds: float
    peak_megabytes: float
    error: str
    injected: set


class ThisPython(AsyncKernelManager):
    """Starts the running interpreter as the kernel, whatever kernels the user has registered; notes its memory."""

    # Papermill makes the manager, so one notebook's settings are attributes of a class of its own.
    environment, kernel_log, peak_megabytes = {}, None, float("nan")

    @property
    def kernel_spec(self):
        # The log level silences a warning about plain TCP, which never leaves this machine.
        command = [
            sys.executable,
            "-m",
            "ipykernel_launcher",
            "-f",
            "{connection_file}",
            "--log-level=ERROR",
        ]
        return KernelSpec(
            argv=command,
            **{name: KERNEL[name] for name in ("display_name", "language")},
        )

    async def start_kernel(self, **options):
        variables = {
            "KERAS_BACKEND": "tensorflow",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            **self.environment,
        }
        streams = {"stdout": self.kernel_log, "stderr": self.kernel_log}
        await super().start_kernel(
            **options, **streams, env={**os.environ, **variables}
        )

    async def shutdown_kernel(self, **options):
        """Notes the largest resident memory that the kernel had; nan where the system does not tell."""
        status = Path(f"/proc/{self.provisioner.process.pid}/status")
        found = re.search(
            r"VmHWM:\s+(\d+)", status.read_text() if status.exists() else ""
        )
        type(self).peak_megabytes = int(found[1]) / 1024 if found else float("nan")
        await super().shutdown_kernel(**options)


def without_machine_paths(text, project=ROOT):
    """Shortens absolute paths of this machine; leaves base64 data as it is."""
    if (
        "/site-packages/" in text
    ):  # the pattern is slow, and players hold long runs of base64
        text = re.sub(
            r"(?:/[\w.+-]{1,80}){1,20}/site-packages/", "site-packages/", text
        )
    text = re.sub(r"/tmp/ipykernel_\d+/", "", text)
    for folder, short in (
        (project, "."),
        (sys.prefix, "python"),
        (sys.base_prefix, "python"),
        (Path.home(), "~"),
    ):
        if len(Path(folder).parts) > 1:
            text = re.sub(
                rf"(?<![\w+/=.-]){re.escape(str(folder))}(?![\w-])", short, text
            )
    return text


def is_start_up_notice(output):
    """Takes TensorFlow's notices out of a stream; True when nothing else was in it."""
    if output.get("name") != "stderr":
        return False
    output["text"] = START_UP_NOTICE.sub("", output["text"])
    return not output["text"].strip()


def name_cells(notebook):
    """Ids made of the cells' sources: the same notebook has the same ids in every run."""
    seen = {}
    for cell in notebook.cells:
        digest = hashlib.sha256(cell.source.encode()).hexdigest()[:10]
        seen[digest] = seen.get(digest, -1) + 1
        cell["id"] = f"{digest}-{seen[digest]}" if seen[digest] else digest


def tidy(notebook, project=ROOT):
    """Makes an executed notebook fit to be committed: no marks of papermill, widget state, paths or random ids."""
    notebook = remove_error_markers(notebook)
    for name in ("papermill", "widgets"):
        notebook.metadata.pop(name, None)
    notebook.metadata["kernelspec"] = KERNEL
    notebook.metadata.get("language_info", {}).pop("version", None)
    name_cells(notebook)
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        cell.metadata = {"tags": tags} if tags else {}
        if FOLDED.intersection(tags):  # in JupyterLab, and in Colab beneath its title
            cell.metadata |= {"jupyter": {"source_hidden": True}, "cellView": "form"}
        if "outputs" in cell:
            cell["outputs"] = [
                output for output in cell.outputs if not is_start_up_notice(output)
            ]
        for output in cell.get("outputs", []):
            if "text" in output:
                output["text"] = without_machine_paths(output["text"], project)
            if "traceback" in output:
                output["traceback"] = [
                    without_machine_paths(line, project) for line in output["traceback"]
                ]
            data = output.get("data", {})
            if (
                len(data) > 1
            ):  # the plain text stands in for a widget that nobody can move
                data.pop(WIDGET_VIEW, None)
            for kind, value in data.items():
                if kind.startswith("text/") and isinstance(value, str):
                    data[kind] = without_machine_paths(value, project)
    return notebook


def declared_parameters(path):
    """Names that the cell tagged `parameters` of an .ipynb file assigns."""
    return set(papermill.inspect_notebook(path))


def describe_failure(error, log):
    """The cell that failed and its traceback, in plain text; the end of the kernel's log if it died."""
    if isinstance(error, papermill.PapermillExecutionError):
        traceback = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback))
        return f"Cell {error.cell_index + 1}:\n{error.source}\n\n{traceback}"
    if isinstance(error, DeadKernelError):
        return f"The kernel died: {error}. The usual cause is too little memory.\n{log[-2000:]}"
    return str(error)


def execute(
    source,
    target,
    parameters=None,
    environment=None,
    title=None,
    timeout=None,
    stream=None,
):
    """Runs one notebook and writes the executed copy.

    Args:
        source: Path of the .py half.
        target: Path of the .ipynb to write, also when a cell fails.
        parameters: Values to inject, by name; those that the notebook does not declare are left out.
        environment: Variables of the kernel's environment, over those of this process.
        title: Name in the progress line.
        timeout: Seconds that one cell may take; None for no limit.
        stream: Where the progress goes; None for the standard output.

    Returns:
        A `Result`.
    """
    source, target, stream = Path(source), Path(target), stream or sys.stdout
    title, start, error = title or source.stem, time.perf_counter(), ""
    target.parent.mkdir(parents=True, exist_ok=True)
    notebook = jupytext.read(source)
    notebook.metadata["kernelspec"] = KERNEL
    nbformat.write(notebook, target)
    chosen = {
        name: value
        for name, value in (parameters or {}).items()
        if name in declared_parameters(target)
    }
    progress = {
        "desc": f"{title:<28}",
        "bar_format": "{desc} cell {n_fmt:>2}/{total_fmt}  {elapsed}",
        "file": stream,
    }
    progress |= {"leave": False, "mininterval": 0.1 if stream.isatty() else 30.0}
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        kernel = type(
            "Kernel",
            (ThisPython,),
            {"environment": environment or {}, "kernel_log": log},
        )
        try:
            papermill.execute_notebook(
                target,
                target,
                chosen,
                progress_bar=progress,
                cwd=source.parent,
                execution_timeout=timeout,
                kernel_manager_class=kernel,
                record_timing=False,
                store_widget_state=False,
                coalesce_streams=True,
            )
        except (
            papermill.PapermillExecutionError,
            CellTimeoutError,
            DeadKernelError,
        ) as failure:
            log.seek(0)
            error = describe_failure(failure, log.read())
    notebook = tidy(nbformat.read(target, as_version=4))
    nbformat.write(notebook, target)
    cells = sum(
        cell.cell_type == "code" and bool(cell.source.strip())
        for cell in notebook.cells
    )
    result = Result(
        source.stem,
        cells,
        time.perf_counter() - start,
        kernel.peak_megabytes,
        error,
        set(chosen),
    )
    end = "FAILED" if error else f"{result.peak_megabytes:.0f} MB"
    print(
        f"{title:<28} {cells:>2} code cells  {result.seconds:5.0f} s  {end}",
        file=stream,
        flush=True,
    )
    return result


def find_notebooks(folder=NOTEBOOKS, only=()):
    """The numbered .py halves in order, all or those whose number or name begins with one of `only`."""
    found = sorted(folder.glob("[0-9][0-9]_*.py"))
    return [path for path in found if not only or path.stem.startswith(tuple(only))]


def parse_setting(text):
    """`name=value` to a pair; the value is a Python literal where it can be read as one."""
    name, equals, value = text.partition("=")
    if not (equals and name.isidentifier()):
        raise SystemExit(
            f"Got the setting {text!r}; expected name=value, as in num_clips=600."
        )
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def resolve_data(text):
    """The data parameter and a short name for the run's folder; paths become absolute."""
    if text in ("", "known", "fma"):
        if text and Path(text).is_dir():
            print(f"{text!r} is a name of this library; for the folder here: ./{text}")
        return text or "known", text or "known"
    path = Path(text).expanduser().resolve()
    if not path.is_dir():
        raise SystemExit(
            f"Got DATA={text}; expected a folder of genres or an FMA folder, and there is no folder of that name. "
            "Leave DATA empty for the embedded music."
        )
    name = re.sub(r"[^\w-]+", "_", path.name) or "data"
    # Some disks take Known for known, the folder of the embedded music.
    return str(path), f"{name}_folder" if name.lower() in ("known", "fma") else name


def print_scoreboard(path, since):
    if not (path.is_file() and path.stat().st_mtime >= since):
        print("\nNo notebook of this run wrote a scoreboard.")
        return
    board = run_page.short_board(path)
    print(f"\nWhat the models do (every column: {shorten(path)})\n")
    for name, values in board.set_index(board.columns[0]).items():
        shown = ", ".join(
            f"{model} {value:.2f}" for model, value in values.dropna().items()
        )
        print(f"  {name}\n      {shown}")


def count_cores():
    return (
        len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count()
    )


def default_jobs():
    """Two notebooks at a time use two cores better than one: half of a notebook runs on one core alone."""
    if count_cores() < 2 or not hasattr(os, "sysconf"):
        return 1
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 1
    return 2 if memory >= 7 * 2**30 else 1


def environment_of(output, jobs):
    """Variables of the kernels: where they write, and their share of the cores.

    Threads of OpenMP wait busily, so two kernels with as many threads as there are cores keep each other from working.
    """
    environment = {"CVAE_MUSIC_OUTPUT": str(output)}
    if jobs > 1 and "OMP_NUM_THREADS" not in os.environ:
        environment["OMP_NUM_THREADS"] = str(max(1, count_cores() // jobs))
    return environment


def longest_first(numbered, seconds):
    """Order in which notebooks begin side by side, so that no long one is left for one core at the end.

    Pairs `(number, path)`; `seconds` of each name, what is missing counts as done.
    """
    return sorted(numbered, key=lambda pair: -seconds.get(pair[1].stem, 0.0))


def read_seconds(path, column, scale=1.0):
    """Notebook -> seconds, of a table that an earlier run left; empty where there is none."""
    if not path.exists():
        return {}
    with open(path, newline="", encoding="utf-8") as file:
        return {
            row["notebook"]: scale * float(row[column])
            for row in csv.DictReader(file)
            if row.get("status", "ok") == "ok"
        }


class Run:
    """One run of notebooks: what it has done is kept, so that a run that was interrupted goes on where it stopped.

    Args:
        output: Folder of the results.
        parameters: Values to inject, by name.
        environment: Variables of the kernels' environment.
        publish: Whether the outputs are stored beside the sources.
    """

    def __init__(self, output, parameters, environment, publish=False):
        self.output = output
        self.parameters = parameters
        self.environment = environment
        self.publish = publish
        self.state = output / "unfinished_run.json"
        self.lock = threading.Lock()
        self.done = {}
        if self.state.exists() and not publish:
            try:
                self.done = json.loads(self.state.read_text(encoding="utf-8"))
            except ValueError:  # cut short
                self.done = {}

    def target(self, source):
        return self.output / "notebooks" / f"{source.stem}.ipynb"

    @functools.cached_property
    def code(self):
        """A hash of the library and of what is injected."""
        digest = hashlib.sha256(repr(sorted(self.parameters.items())).encode())
        for path in sorted((ROOT / "lib").rglob("*.py")):
            digest.update(path.read_bytes())
        return digest

    def key(self, source):
        """What a finished notebook depends on."""
        digest = self.code.copy()
        digest.update(source.read_bytes())
        return digest.hexdigest()[:16]

    def is_done(self, source):
        known = self.done.get(source.stem, {})
        return known.get("key") == self.key(source) and self.target(source).exists()

    def one(self, source, title, stream=None):
        """Executes a notebook and keeps what became of it."""
        result = execute(
            source,
            self.target(source),
            self.parameters,
            self.environment,
            title,
            stream=stream,
        )
        if result.error:
            print(without_machine_paths(result.error))
            return result
        if self.publish:
            shutil.copyfile(self.target(source), source.with_suffix(".ipynb"))
            source.touch()  # jupytext takes the younger half for the edited one
            note_published(source, result.seconds)
            return result
        with self.lock:
            kept = dataclasses.asdict(result) | {"injected": sorted(result.injected)}
            self.done[source.stem] = kept | {"key": self.key(source)}
            part = self.state.with_suffix(".part")
            part.write_text(json.dumps(self.done), encoding="utf-8")
            part.replace(self.state)
        return result

    def all(self, sources, jobs, name):
        """Executes notebooks, some side by side, and says how many minutes are left.

        Args:
            sources: Paths of .py halves.
            jobs: How many run side by side.
            name: Name of the music.

        Returns:
            List of `Result` in the order of the sources.
        """
        expected = read_seconds(PUBLISHED_RUNS, "minutes", 60.0)
        expected |= read_seconds(self.output / "run.csv", "seconds")
        usual = sum(expected.values()) / len(expected) if expected else 60.0
        left = {s.stem: expected.get(s.stem, usual) for s in sources}
        kept = {}
        for source in sources:
            if self.is_done(source):
                fields = {k: v for k, v in self.done[source.stem].items() if k != "key"}
                fields["injected"] = set(fields["injected"])
                kept[source.stem] = Result(**fields)
                del left[source.stem]
        speed = 1.0 if jobs == 1 else 1.4  # two side by side, on two cores
        total = sum(left.values()) / speed / 60
        print(
            f"{len(sources)} notebooks on {name}, into {shorten(self.output)}: about {total:.0f} min"
        )
        if kept:
            print(
                f"An earlier run was interrupted: {len(kept)} of them are done, and are not run again."
            )

        def work(numbered):
            number, source = numbered
            if source.stem in kept:
                return kept[source.stem]
            title = f"[{number}/{len(sources)}] {source.stem}"
            quiet = io.StringIO() if jobs > 1 else None
            result = self.one(source, title, quiet)
            with self.lock:
                del left[source.stem]
                minutes = sum(left.values()) / speed / 60
                end = "FAILED" if result.error else f"{result.peak_megabytes:.0f} MB"
                if jobs > 1:
                    print(
                        f"{title:<28} {result.cells:>2} code cells  {result.seconds:5.0f} s  {end}",
                        flush=True,
                    )
                if left:
                    print(f"  about {minutes:.1f} min left", flush=True)
            return result

        order = list(enumerate(sources, start=1))
        if jobs > 1:
            order = longest_first(order, left)
        with ThreadPoolExecutor(jobs) as pool:
            results = list(pool.map(work, order))
        names = [source.stem for source in sources]
        results.sort(key=lambda result: names.index(result.name))
        if not any(result.error for result in results):
            self.state.unlink(missing_ok=True)
        return results


def note_published(source, seconds, path=None):
    """Keeps how long the run took whose outputs are stored: tools/badges.py writes it into the notebook's box."""
    rows, path = {}, path or PUBLISHED_RUNS
    if path.exists():
        with open(path, newline="", encoding="utf-8") as file:
            rows = {row["notebook"]: row for row in csv.DictReader(file)}
    name = (
        source.stem if source.parent.name != "solutions" else f"solutions/{source.stem}"
    )
    measured = {
        "minutes": f"{seconds / 60:.2f}",
        "cores": count_cores(),
        "date": time.strftime("%Y-%m-%d"),
    }
    rows[name] = {"notebook": name, **measured}
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, ["notebook", *measured], lineterminator="\n")
        table.writeheader()
        table.writerows(rows[name] for name in sorted(rows))


def shorten(path):
    return without_machine_paths(str(path)).removeprefix("./")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", default="", help="'known', 'fma', a folder of genres or an FMA folder"
    )
    parser.add_argument("--output", default="", help="folder for what the run writes")
    parser.add_argument(
        "--set",
        nargs="*",
        default=[],
        metavar="NAME=VALUE",
        help="parameters to change",
    )
    parser.add_argument(
        "--only", nargs="*", default=[], metavar="NN", help="run these notebooks alone"
    )
    parser.add_argument(
        "--notebooks", type=Path, default=NOTEBOOKS, help="folder of the notebooks"
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=0,
        help="notebooks side by side; by default two where cores and memory allow",
    )
    parser.add_argument(
        "--publish",
        action="store_true",
        help="store outputs beside the sources, figures in figures/",
    )
    options = parser.parse_args(arguments)

    data, name = resolve_data(options.data)
    parameters = dict(parse_setting(text) for text in options.set)
    if data != "known":
        parameters["data"] = data
    if options.publish and parameters:
        raise SystemExit(
            "The committed notebooks show the default run: publish without DATA and SET."
        )
    output = (
        Path(options.output).expanduser().resolve()
        if options.output
        else ROOT / "outputs" / name
    )
    output.mkdir(parents=True, exist_ok=True)
    jobs = 1 if options.publish else options.jobs or default_jobs()
    environment = environment_of(output, jobs)
    if options.publish:
        environment["CVAE_MUSIC_FIGURES"] = str(ROOT / "figures")

    # Names of music and errors may hold signs that a console of Windows cannot show.
    sys.stdout.reconfigure(errors="backslashreplace")
    sources = find_notebooks(options.notebooks, options.only)
    if not sources:
        raise SystemExit(
            f"No notebook found in {shorten(options.notebooks)} for ONLY={' '.join(options.only)!r}."
        )
    run = Run(output, parameters, environment, publish=options.publish)
    started = time.time()
    results = run.all(sources, jobs, name)
    wrong_numbers = []
    if options.publish:
        for source in sources:
            executed = nbformat.read(run.target(source), as_version=4)
            wrong = lessons.problems_of(executed)
            wrong_numbers += [f"{source.stem}, {problem}" for problem in wrong]

    with open(output / "run.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["notebook", "cells", "seconds", "peak_megabytes", "status"])
        for result in results:
            status = "failed" if result.error else "ok"
            table.writerow(
                [
                    result.name,
                    result.cells,
                    f"{result.seconds:.0f}",
                    f"{result.peak_megabytes:.0f}",
                    status,
                ]
            )
    unused = sorted(
        set(parameters).difference(*(result.injected for result in results))
    )
    if unused:
        print(f"No notebook declares the parameters {unused}: they changed nothing.")
    print_scoreboard(output / run_page.BOARD, started)
    passed = sum(not result.error for result in results)
    steps = run_page.next_steps(options.data)
    page = run_page.write_page(output, results, name, steps)
    minutes = (time.time() - started) / 60
    print(
        f"\n{passed} of {len(results)} notebooks ran through, {minutes:.1f} min. Hear and see it:\n"
    )
    print(f"  open {shorten(page)}")
    for command, words in steps:
        print(f"  {command:<34} {words}")
    print("\n".join(wrong_numbers))
    return 0 if passed == len(results) and not wrong_numbers else 1


if __name__ == "__main__":
    sys.exit(main())
