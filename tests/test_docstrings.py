"""Docstrings: public names have all parts of one, and every example gives what it shows."""

import ast
import dataclasses
import doctest
import functools
import importlib
import inspect
import re
import textwrap

import pytest
from test_imports import PACKAGES, stub_names
from thinness import LIB

from cvae_music import saving

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
# Public names that cannot have an example which runs in milliseconds, and why.
WITHOUT_EXAMPLE = {
    "cvae_lab.estimate_cost": "takes the tables of three probes",
    "cvae_lab.probe_steps": "trains",
    "cvae_lab.probe_workers": "starts processes",
    "cvae_lab.spectrograms_to_sound": "writes files",
    "cvae_lab.time_steps": "trains",
}


def public_objects(root):
    """`package.name` and object of every public function and class."""
    for package in PACKAGES:
        for name in sorted(stub_names(root, package)):
            found = getattr(importlib.import_module(package), name)
            if inspect.isfunction(found) or inspect.isclass(found):
                yield f"{package}.{name}", found


def parameters(found):
    """Names of the arguments that a caller may give."""
    if dataclasses.is_dataclass(found):
        return [field.name for field in dataclasses.fields(found) if field.init]
    if not inspect.isclass(found):
        return list(inspect.signature(found).parameters)
    if "__init__" not in vars(found):
        return []  # those of the class it is built on
    return list(inspect.signature(found.__init__).parameters)[1:]


def gives_something(found):
    """Whether a function returns or yields a value."""
    waiting = list(ast.parse(textwrap.dedent(inspect.getsource(found))).body[0].body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            return True
        if isinstance(node, ast.Return) and node.value is not None:
            return True
        if not isinstance(node, (ast.FunctionDef, ast.Lambda, ast.ClassDef)):
            waiting += ast.iter_child_nodes(node)
    return False


def section(text, title):
    """Text of one section of a docstring; "" if it has none."""
    found = re.search(rf"^{title}:\n((?:    .*\n|\n)+)", text + "\n", re.M)
    return found.group(1) if found else ""


def missing(name, found):
    """What the docstring of a public name lacks, in words."""
    own = vars(found).get("__doc__") if inspect.isclass(found) else found.__doc__
    text = inspect.cleandoc(own or "")
    first = text.partition("\n")[0]
    if not first:
        yield "a docstring"
        return
    if len(first) > 80 or not first.endswith("."):
        yield f"a first line of at most 80 characters with a full stop ({len(first)})"
    told = set(re.findall(r"^    \*{0,2}(\w+)", section(text, "Args"), re.M))
    for line in re.findall(r"^    ([*\w, `]+):", section(text, "Args"), re.M):
        told |= set(re.findall(r"\w+", line))
    for parameter in parameters(found):
        if parameter not in told:
            yield f"Args: {parameter}"
    if inspect.isfunction(found) and gives_something(found):
        if not section(text, "Returns") and not section(text, "Yields"):
            yield "Returns"
    if ">>>" not in text and name not in WITHOUT_EXAMPLE:
        yield "Example"


def methods_without_docstring(found):
    """Names of the public methods and properties that a class defines and does not explain."""
    for name, member in vars(found).items():
        member = getattr(member, "__func__", getattr(member, "fget", member))
        if inspect.isfunction(member) and not name.startswith("_"):
            if not member.__doc__:
                yield name


def all_missing(root):
    """One line for each thing that a public name lacks, with the module of its owner."""
    for name, found in public_objects(root):
        lacks = list(missing(name, found))
        if inspect.isclass(found):
            methods = methods_without_docstring(found)
            lacks += [f"docstring of .{method}" for method in methods]
        for each in lacks:
            yield f"{found.__module__} {name.partition('.')[2]}: {each}"


def test_public_names_are_explained_in_full(root):
    lines = sorted(all_missing(root))
    assert lines == [], "\n".join(lines)


def test_names_without_an_example_are_public_and_have_none(root):
    objects = dict(public_objects(root))
    assert set(WITHOUT_EXAMPLE) <= set(objects)
    assert not [name for name in WITHOUT_EXAMPLE if ">>>" in objects[name].__doc__]


def names_of_modules():
    """Modules of the packages that show examples."""
    for package in PACKAGES:
        for path in sorted((LIB / package).rglob("*.py")):
            if ">>>" in path.read_text(encoding="utf-8"):
                inside = path.relative_to(LIB).with_suffix("")
                yield ".".join(inside.parts)


@pytest.fixture(scope="module")
def presets_once():
    """Loads each preset once for all examples; no example changes a model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saving, "load_compact", functools.cache(saving.load_compact))
        yield


@pytest.mark.usefixtures("presets_once")
@pytest.mark.parametrize("name", names_of_modules())
def test_examples_give_what_they_show(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    for example in doctest.DocTestFinder(exclude_empty=True).find(module):
        runner.run(example)
    assert runner.failures == 0, capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [], "an example left files behind"
