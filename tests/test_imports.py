"""Who may import whom; what the packages show; what the notebooks take of it."""

import ast
import importlib
import os
import subprocess
import sys

import jupytext
import pytest

PACKAGES = ("known_music", "cvae_music", "cvae_lab")
WITHOUT_TENSORFLOW = (
    "known_music.composer",
    "cvae_music.config",
    "cvae_music.serialization",
    "cvae_music.data.sources",
    "cvae_music.data.features",
    "cvae_music.audio.inversion",
    "cvae_music.plots",
    "cvae_music.players",
    "cvae_lab.notebook.session",
    "cvae_lab.notebook.guesses",
)


def run_python(root, code):
    environment = {**os.environ, "PYTHONPATH": str(root / "lib")}
    shown = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr
    return shown.stdout.strip()


def stub_names(root, package):
    """Public names of a package and the modules they come from, by its `__init__.pyi`."""
    tree = ast.parse(
        (root / "lib" / package / "__init__.pyi").read_text(encoding="utf-8")
    )
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {
        alias.asname or alias.name: node.module
        for node in imports
        for alias in node.names
    }


def test_contracts_of_the_imports_hold(root):
    call = "lint_imports(no_cache=True, no_logo=True)"
    run_python(
        root, f"import sys; from importlinter.cli import lint_imports; sys.exit({call})"
    )


@pytest.mark.parametrize("package", PACKAGES)
def test_import_loads_no_heavy_library(root, package):
    heavy = (
        "{'tensorflow', 'keras', 'librosa', 'numpy', 'matplotlib', 'sklearn', 'pandas'}"
    )
    assert (
        run_python(
            root, f"import sys, {package}; print(sorted({heavy} & set(sys.modules)))"
        )
        == "[]"
    )


def test_modules_without_a_model_do_not_load_tensorflow(root):
    for_each = f"import importlib, sys\nfor name in {WITHOUT_TENSORFLOW}:\n    importlib.import_module(name)\n"
    shown = "    if 'tensorflow' in sys.modules: sys.exit(f'{name} loads TensorFlow')"
    run_python(root, for_each + shown)


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_are_where_the_list_says(root, package):
    names, shown = stub_names(root, package), importlib.import_module(package)
    assert set(names) <= set(dir(shown)) and set(names) == set(
        getattr(shown, "__all__", [])
    )
    for name, module in names.items():
        assert getattr(shown, name) is getattr(
            importlib.import_module(f"{package}.{module}"), name
        ), name


def test_unknown_name_is_an_attribute_error():
    import cvae_music

    with pytest.raises(AttributeError, match="no_such_name"):
        cvae_music.no_such_name  # noqa: B018


def test_library_has_no_command_line(root):
    """What is run from a shell trains or measures, and is the lab's."""
    found = [
        f"{path.name}: {node.name}"
        for path in (root / "lib" / "cvae_music").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name == "main"
    ]
    assert found == []


def names_taken(tree, public):
    """Pairs of package and name that code takes from the packages; a name is None where it reaches for a module."""
    aliases = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                package, dot, _ = alias.name.partition(".")
                if package in public:
                    aliases[alias.asname or package] = package
                    if dot:
                        yield package, f"module {alias.name}"
        elif (
            isinstance(node, ast.ImportFrom)
            and (node.module or "").partition(".")[0] in public
        ):
            package, dot, _ = node.module.partition(".")
            yield from (
                (package, f"module {node.module}" if dot else alias.name)
                for alias in node.names
            )
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in aliases
        ):
            yield aliases[node.value.id], node.attr


# Exercise 3 exchanges a loss where the library looks it up.
EXCHANGED = {
    "solutions/09_discriminator.py": (
        "module cvae_music.models",
        "module cvae_music.models.adversarial",
    )
}


def test_notebooks_take_public_names_only(root):
    public = {
        package: set(stub_names(root, package)) | {"__version__", "__file__"}
        for package in PACKAGES
    }
    strangers = []
    for path in sorted((root / "notebooks").rglob("[0-9]*.py")):
        cells = [
            cell.source
            for cell in jupytext.read(path).cells
            if cell.cell_type == "code"
        ]
        code = "\n".join(
            line
            for cell in cells
            for line in cell.splitlines()
            if not line.startswith(("%", "!"))
        )
        taken = sorted(set(names_taken(ast.parse(code), public)))
        place = path.relative_to(root / "notebooks").as_posix()
        strangers += [
            f"{place}: {package}: {name}"
            for package, name in taken
            if name not in public[package] and name not in EXCHANGED.get(place, ())
        ]
    assert strangers == [], "\n".join(strangers)
