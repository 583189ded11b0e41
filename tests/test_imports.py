"""Importing the package is cheap; each public name is where the package says."""

import importlib
import subprocess
import sys

import pytest

import cvae_music


def test_import_loads_no_heavy_library(root):
    code = (
        f"import sys; sys.path.insert(0, {str(root / 'lib')!r}); import cvae_music; "
        "heavy = {'tensorflow', 'keras', 'librosa', 'numpy', 'matplotlib', 'sklearn', 'pandas'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize("module", ["config", "session", "music", "datasets", "audio"])
def test_modules_without_a_model_do_not_load_tensorflow(root, module):
    if not (root / "lib" / "cvae_music" / f"{module}.py").exists():
        pytest.skip(f"no module {module}")
    code = (
        f"import sys; sys.path.insert(0, {str(root / 'lib')!r}); import cvae_music.{module}; "
        "print('tensorflow' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"


@pytest.mark.parametrize("name", [name for name in cvae_music.__all__ if name != "__version__"])
def test_public_name_exists(root, name):
    module = cvae_music._HOMES[name]
    if not (root / "lib" / "cvae_music" / f"{module}.py").exists():
        pytest.skip(f"no module {module}")
    assert getattr(cvae_music, name) is getattr(importlib.import_module(f"cvae_music.{module}"), name)
    assert name in dir(cvae_music)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        cvae_music.no_such_name  # noqa: B018
