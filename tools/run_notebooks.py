"""Executes the notebooks in order, each from its .py half in a fresh kernel of this Python.

`make run` and the tests call it. Parameters go into a cell of their own after the cell tagged `parameters`,
and only into notebooks whose parameters cell assigns them.
"""

import argparse
import ast
import csv
import dataclasses
import hashlib
import os
import re
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

import jupytext
import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
# What TensorFlow's C++ side writes before anyone can ask it to be quiet.
START_UP_NOTICE = re.compile(r"^(?:WARNING: All log messages before absl|[IWE]\d{4} \d\d:\d\d:).*\n?", re.M)


@dataclasses.dataclass
class Result:
    """What became of one notebook: `error` is empty when it ran to the end."""

    name: str
    cells: int
    seconds: float
    peak_megabytes: float
    error: str = ""


class ThisPython(KernelSpecManager):
    """Starts kernels with the running interpreter, whatever kernels the user has registered."""

    def get_kernel_spec(self, kernel_name):
        # The log level silences a warning about plain TCP, which never leaves this machine.
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=ERROR"]
        return KernelSpec(argv=command, display_name="Python 3", language="python")


class Progress:
    """One line a notebook, kept up to date on a terminal, repeated now and then in a log."""

    def __init__(self, title, num_cells, stream=None):
        self.title, self.num_cells, self.done = title, num_cells, 0
        self.stream = stream or sys.stdout
        self.start = time.perf_counter()
        self.live = self.stream.isatty()
        self.stopped = threading.Event()
        self.clock = threading.Thread(target=self._tick, daemon=True)

    @property
    def seconds(self):
        return time.perf_counter() - self.start

    def __enter__(self):
        self._show()
        self.clock.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.clock.join()

    def _tick(self):
        while not self.stopped.wait(1.0 if self.live else 30.0):
            self._show()

    def _show(self, end=None, note=""):
        line = f"{self.title:<28} cell {self.done:>2}/{self.num_cells}  {self.seconds:5.0f} s{note}"
        start, end = ("\r", end or "") if self.live else ("", "\n")
        print(start + line, end=end, file=self.stream, flush=True)

    def cell_done(self):
        self.done += 1
        if self.live:
            self._show()

    def finish(self, note):
        self._show(end="\n", note=note)


def has_tag(cell, tag):
    return tag in cell.metadata.get("tags", [])


def declared_parameters(notebook):
    """Names that the cell tagged `parameters` assigns."""
    names = set()
    for cell in notebook.cells:
        if cell.cell_type == "code" and has_tag(cell, "parameters"):
            for node in ast.parse(cell.source).body:
                targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def inject(notebook, parameters):
    """Adds a cell that sets those of `parameters` that the notebook declares; returns their names."""
    chosen = {name: value for name, value in parameters.items() if name in declared_parameters(notebook)}
    if chosen:
        source = "\n".join(f"{name} = {value!r}" for name, value in chosen.items())
        cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["injected-parameters"]})
        at = max(i for i, cell in enumerate(notebook.cells) if has_tag(cell, "parameters"))
        notebook.cells.insert(at + 1, cell)
    return set(chosen)


def without_machine_paths(text, project=ROOT):
    """Shortens absolute paths of this machine; leaves base64 data as it is."""
    if "/site-packages/" in text:  # the pattern is slow, and players hold long runs of base64
        text = re.sub(r"(?:/[\w.+-]{1,80}){1,20}/site-packages/", "site-packages/", text)
    text = re.sub(r"/tmp/ipykernel_\d+/", "", text)
    for folder, short in ((project, "."), (sys.prefix, "python"), (sys.base_prefix, "python"), (Path.home(), "~")):
        if len(Path(folder).parts) > 1:
            text = re.sub(rf"(?<![\w+/=.-]){re.escape(str(folder))}(?![\w-])", short, text)
    return text


def is_start_up_notice(output):
    """Takes TensorFlow's notices out of a stream; True when nothing else was in it."""
    if output.get("name") != "stderr":
        return False
    output["text"] = START_UP_NOTICE.sub("", output["text"])
    return not output["text"].strip()


def tidy(notebook, project=ROOT):
    """Makes an executed notebook fit to be committed: no widget state, machine paths, times or random ids."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata["kernelspec"] = dict(KERNEL)
    notebook.metadata.get("language_info", {}).pop("version", None)
    seen = {}
    for cell in notebook.cells:
        digest = hashlib.sha256(cell.source.encode()).hexdigest()[:10]
        seen[digest] = seen.get(digest, -1) + 1
        cell["id"] = f"{digest}-{seen[digest]}" if seen[digest] else digest
        cell.metadata.pop("execution", None)
        if "outputs" in cell:
            cell["outputs"] = [output for output in cell.outputs if not is_start_up_notice(output)]
        for output in cell.get("outputs", []):
            if "text" in output:
                output["text"] = without_machine_paths(output["text"], project)
            if "traceback" in output:
                output["traceback"] = [without_machine_paths(line, project) for line in output["traceback"]]
            data = output.get("data", {})
            if len(data) > 1:  # the plain text stands in for a widget that nobody can move
                data.pop(WIDGET_VIEW, None)
            for kind, value in data.items():
                if kind.startswith("text/") and isinstance(value, str):
                    data[kind] = without_machine_paths(value, project)
    return notebook


def peak_megabytes(pid):
    """Largest resident memory of a living process so far; nan where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return float("nan")
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


def describe_failure(error, notebook, log):
    """The cell that failed and its traceback, in plain text; the end of the kernel's log if it died."""
    if isinstance(error, CellTimeoutError):
        return str(error)
    if isinstance(error, DeadKernelError):
        return f"The kernel died: {error}. The usual cause is too little memory.\n{log[-2000:]}"
    for number, cell in enumerate(notebook.cells, start=1):
        failed = [output for output in cell.get("outputs", []) if output.output_type == "error"]
        if failed:
            traceback = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(failed[0].traceback))
            return f"Cell {number}:\n{cell.source}\n\n{traceback}"
    return str(error)


def execute(source, target, parameters=None, environment=None, title=None, timeout=None, stream=None):
    """Runs one notebook and writes the executed copy.

    Args:
        source: Path of the .py half.
        target: Path of the .ipynb to write, also when a cell fails.
        parameters: Values to inject, by name.
        environment: Variables of the kernel's environment, over those of this process.
        title: Name in the progress line.
        timeout: Seconds that one cell may take; None for no limit.
        stream: Where the progress goes; None for the standard output.

    Returns:
        A `Result`, and the set of parameter names that were injected.
    """
    source, target = Path(source), Path(target)
    notebook = jupytext.read(source)
    injected = inject(notebook, parameters or {})
    code_cells = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    title = title or source.stem
    peak, failure = float("nan"), ""

    with Progress(title, len(code_cells), stream) as progress:

        def executed(cell, cell_index, execute_reply=None):
            nonlocal peak
            if cell.cell_type == "code" and cell.source.strip():
                progress.cell_done()
                peak = peak_megabytes(manager.provisioner.process.pid)

        manager = AsyncKernelManager(kernel_spec_manager=ThisPython())
        client = NotebookClient(
            notebook,
            km=manager,
            timeout=timeout,
            resources={"metadata": {"path": str(source.parent)}},
            record_timing=False,
            store_widget_state=False,
            coalesce_streams=True,
            on_cell_executed=executed,
        )
        variables = {**os.environ, "KERAS_BACKEND": "tensorflow", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
        with tempfile.TemporaryFile("w+", errors="replace") as log:
            try:
                # nbclient leaves a kernel that it was handed running: with ten notebooks, ten would hold their memory.
                client.execute(cleanup_kc=True, env={**variables, **(environment or {})}, stdout=log, stderr=log)
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                log.seek(0)
                failure = describe_failure(error, notebook, log.read())
            except AssertionError:
                if client.km is not None:
                    raise
                raise KeyboardInterrupt from None  # nbclient took the kernel away when it was told to stop
        note = "  FAILED" if failure else f"  {peak:.0f} MB"
        progress.finish(note)
        seconds = progress.seconds

    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(tidy(notebook), target)
    return Result(title, len(code_cells), seconds, peak, failure), injected


def find_notebooks(folder=NOTEBOOKS, only=()):
    """The numbered .py halves in order, all or those whose number or name begins with one of `only`."""
    found = sorted(folder.glob("[0-9][0-9]_*.py"))
    return [path for path in found if not only or path.stem.startswith(tuple(only))]


def parse_setting(text):
    """`name=value` to a pair; the value is a Python literal where it can be read as one."""
    name, equals, value = text.partition("=")
    if not (equals and name.isidentifier()):
        raise SystemExit(f"Got the setting {text!r}; expected name=value, as in num_clips=600.")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def resolve_data(text):
    """The data parameter and a short name for the run's folder; paths become absolute."""
    if text in ("", "known", "fma"):
        return text or "known", text or "known"
    path = Path(text).expanduser().resolve()
    if not path.is_dir():
        raise SystemExit(
            f"Got DATA={text}; expected a folder of genres or an FMA folder, and there is no folder of that name. "
            "Leave DATA empty for the embedded music."
        )
    return str(path), re.sub(r"[^\w-]+", "_", path.name) or "data"


def print_scoreboard(path, since):
    if not (path.is_file() and path.stat().st_mtime >= since):
        print("\nNo notebook of this run wrote a scoreboard.")
        return
    import pandas  # only here: reading the command line stays quick

    print(f"\nScoreboard ({shorten(path)})\n")
    board = pandas.read_csv(path)
    print(board.to_string(index=False, na_rep="", float_format=lambda number: f"{number:.3g}"))


def shorten(path):
    return without_machine_paths(str(path)).removeprefix("./")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="", help="'known', 'fma', a folder of genres or an FMA folder")
    parser.add_argument("--output", default="", help="folder for what the run writes")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="parameters to change")
    parser.add_argument("--only", nargs="*", default=[], metavar="NN", help="run these notebooks alone")
    parser.add_argument("--notebooks", type=Path, default=NOTEBOOKS, help="folder of the notebooks")
    parser.add_argument("--timeout", type=float, default=None, help="seconds that one cell may take")
    parser.add_argument("--publish", action="store_true", help="store outputs beside the sources, figures in figures/")
    options = parser.parse_args(arguments)

    data, name = resolve_data(options.data)
    parameters = dict(parse_setting(text) for text in options.set)
    if data != "known":
        parameters["data"] = data
    if options.publish and parameters:
        raise SystemExit("The committed notebooks show the default run: publish without DATA and SET.")
    output = Path(options.output).expanduser().resolve() if options.output else ROOT / "outputs" / name
    output.mkdir(parents=True, exist_ok=True)
    environment = {"CVAE_MUSIC_OUTPUT": str(output)}
    if options.publish:
        environment["CVAE_MUSIC_FIGURES"] = str(ROOT / "figures")

    sources = find_notebooks(options.notebooks, options.only)
    if not sources:
        raise SystemExit(f"No notebook found in {shorten(options.notebooks)} for ONLY={' '.join(options.only)!r}.")
    started, results, used = time.time(), [], set()
    print(f"{len(sources)} notebooks on {name}, into {shorten(output)}")
    for number, source in enumerate(sources, start=1):
        target = output / "notebooks" / f"{source.stem}.ipynb"
        title = f"[{number}/{len(sources)}] {source.stem}"
        result, injected = execute(source, target, parameters, environment, title, options.timeout)
        result.name = source.stem
        used |= injected
        results.append(result)
        if result.error:
            print(without_machine_paths(result.error))
        elif options.publish:
            shutil.copyfile(target, source.with_suffix(".ipynb"))
            source.touch()  # jupytext takes the younger half for the edited one

    with open(output / "run.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["notebook", "cells", "seconds", "peak_megabytes", "status"])
        for result in results:
            status = "failed" if result.error else "ok"
            table.writerow([result.name, result.cells, f"{result.seconds:.0f}", f"{result.peak_megabytes:.0f}", status])
    unused = sorted(set(parameters) - used)
    if unused:
        print(f"No notebook declares the parameters {unused}: they changed nothing.")
    print_scoreboard(output / "scoreboard.csv", started)
    failed = [result.name for result in results if result.error]
    total = sum(result.seconds for result in results)
    print(f"\n{len(results) - len(failed)} of {len(results)} notebooks ran through, {total:.0f} s; see {shorten(output)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
