"""The drawings of the series, as outputs of cells; `tools/drawings.py` makes them."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "drawings"


class Drawing:
    """A drawing that a notebook shows as SVG, or as PNG where it may show no SVG.

    Args:
        path: SVG file with `<title>` and `<desc>`, its alt text, and a PNG beside it.
    """

    def __init__(self, path: Path) -> None:
        self.svg = path.read_text(encoding="utf-8")
        self.png = base64.b64encode(path.with_suffix(".png").read_bytes()).decode()
        self.alt = ". ".join(re.findall(r"<(?:title|desc)>(.*)</", self.svg))

    def _repr_mimebundle_(self, **_: Any) -> Any:
        found = {"image/svg+xml": self.svg, "image/png": self.png}
        return found | {"text/plain": self.alt}, {"image/png": {"alt": self.alt}}


def drawing(name: str) -> Drawing:
    """Loads a drawing of the series, for the last line of a cell.

    Args:
        name: Name of the drawing, such as `"film_block"`.

    Returns:
        A `Drawing`.

    Raises:
        ValueError: If there is no such drawing.

    Example:
        >>> drawing("film_block").alt.partition(".")[0]
        'The residual block with FiLM'
    """
    names = sorted(path.stem for path in FOLDER.glob("*.svg"))
    if name not in names:
        raise ValueError(f"drawing got name={name!r}; expected one of {names}.")
    return Drawing(FOLDER / f"{name}.svg")
