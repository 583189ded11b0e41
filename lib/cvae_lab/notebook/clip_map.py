"""A map of clips to click on and play, of ipywidgets' core alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from cvae_music.audio.files import encode_audio
from cvae_music.plots import COLOURS

if TYPE_CHECKING:
    import ipywidgets

COLUMNS = 24  # cells of the map from left to right
ROWS = 14  # from top to bottom


def grid_cells(points: ArrayLike) -> np.ndarray:
    """Finds a cell of a grid for each point, no two in one.

    A point gets the cell it lies in, or the nearest that is free.

    Args:
        points: Float array, shape `(num_clips, 2)`.

    Returns:
        Int array, shape `(num_clips, 2)`: column, and row counted from the top.

    Raises:
        ValueError: If there are more points than cells.
    """
    points = np.asarray(points, float)
    size = np.array([COLUMNS, ROWS])
    if points.ndim != 2 or points.shape[1] != 2 or len(points) > COLUMNS * ROWS:
        raise ValueError(
            f"got points of shape {points.shape}; expected (clips, 2), at most "
            f"{COLUMNS * ROWS} clips."
        )
    low = points.min(axis=0)
    high = points.max(axis=0)
    wanted = (points - low) / np.maximum(high - low, 1e-9) * (size - 1)
    wanted[:, 1] = ROWS - 1 - wanted[:, 1]
    cells = np.argwhere(np.ones(size, bool))
    free = np.ones(len(cells), bool)
    found = np.empty((len(points), 2), int)
    for index, point in enumerate(wanted):
        distance = np.where(free, ((cells - point) ** 2).sum(axis=1), np.inf)
        nearest = int(distance.argmin())
        free[nearest] = False
        found[index] = cells[nearest]
    return found


def short_names(genres: Sequence[str]) -> list[str]:
    """Shortens each name to the start that tells it from the others."""
    found = []
    for name in genres:
        size = 1
        while size < len(name) and sum(g.startswith(name[:size]) for g in genres) > 1:
            size += 1
        found.append(name[:size])
    return found


def clip_map(
    points: ArrayLike,
    genre: Sequence[int] | np.ndarray,
    genres: Sequence[str],
    sound: Callable[[int], np.ndarray],
    config: Any,
) -> ipywidgets.VBox:
    """Draws a button for each point; a click plays the clip, hovering names it.

    Args:
        points: Float array, shape `(num_clips, 2)`.
        genre: Genre index of each clip.
        genres: Names of the genres.
        sound: Function from the number of a clip to its samples.
        config: `AudioConfig`, for the sample rate.

    Returns:
        A widget. Each button carries the start of the genre's name, so that colour is
        not needed.

    Raises:
        ValueError: If there are more points than cells.

    Example:
        >>> points = [[0.0, 0.0], [1.0, 1.0]]
        >>> shown = clip_map(points, [0, 1], ["jazz", "rock"], sound=None, config=None)
        >>> [button.description for button in shown.children[0].children]
        ['j', 'r']
    """
    import ipywidgets as widgets

    caption = widgets.Label("Click on a clip.")
    audio = widgets.Audio(value=b"", format="wav", autoplay=True, loop=False)

    def play(number):
        audio.value = encode_audio(sound(number), config)
        caption.value = f"{genres[genre[number]]}, clip {number}"

    marks = short_names(genres)
    buttons = []
    for number, (column, row) in enumerate(grid_cells(points)):
        index = genre[number]
        area = f"{row + 1} / {column + 1}"
        size = {"width": "22px", "height": "20px", "padding": "0", "margin": "0"}
        layout = widgets.Layout(grid_area=area, **size)
        tooltip = f"{genres[index]}, clip {number}"
        button = widgets.Button(
            description=marks[index], tooltip=tooltip, layout=layout
        )
        button.style.button_color = COLOURS[index % len(COLOURS)] + "90"
        button.on_click(lambda _, number=number: play(number))
        buttons.append(button)
    grid = widgets.Layout(
        grid_template_columns=f"repeat({COLUMNS}, 24px)",
        grid_template_rows=f"repeat({ROWS}, 22px)",
    )
    return widgets.VBox([widgets.GridBox(buttons, layout=grid), caption, audio])
