"""Writes requirements-lock.txt: the versions of all that the project needs, as they are installed in this Python."""

import importlib.metadata
import platform
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements-lock.txt"
EXTRAS = ("notebooks", "test", "scale")


def wanted(root=ROOT):
    """What pyproject.toml asks for, extras of the notebooks, the tests and large collections included."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    texts = project["dependencies"] + [
        text for extra in EXTRAS for text in project["optional-dependencies"][extra]
    ]
    return [Requirement(text) for text in texts]


def closure(requirements):
    """Name -> installed version of the requirements and of whatever they need here in turn."""
    found, waiting, seen = (
        {},
        [(requirement, "") for requirement in requirements],
        set(),
    )
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        installed = importlib.metadata.distribution(name)
        found[name] = installed.version
        for chosen in {"", *requirement.extras}:
            if (name, chosen) not in seen:
                seen.add((name, chosen))
                waiting += [
                    (Requirement(text), chosen) for text in installed.requires or []
                ]
    return found


def main():
    lines = [
        "# Exactly what the authors ran, written by `make lock`; the lower bounds are in pyproject.toml.",
        f"# Python {platform.python_version()}, {platform.system()} {platform.machine()}",
    ]
    lines += [
        f"{name}=={version}" for name, version in sorted(closure(wanted()).items())
    ]
    LOCK.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"Wrote {LOCK.name}: {len(lines) - 2} packages.")


if __name__ == "__main__":
    main()
