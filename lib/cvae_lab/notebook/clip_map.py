"""A map of clips to click on and hear, of ipywidgets' core alone."""

import numpy as np

from cvae_music.audio.files import encode_audio
from cvae_music.plots import COLOURS


def grid_places(points, columns=24, rows=14):
    """A cell of a grid for each point, no two in one: where it lies, or the nearest that is free.

    Args:
        points: Float array, shape `(num_clips, 2)`.
        columns: Cells from left to right.
        rows: Cells from top to bottom.

    Returns:
        Int array, shape `(num_clips, 2)`: column, and row counted from the top.

    Raises:
        ValueError: If there are more points than cells.
    """
    points, size = np.asarray(points, float), np.array([columns, rows])
    if points.ndim != 2 or points.shape[1] != 2 or len(points) > columns * rows:
        raise ValueError(
            f"got points of shape {points.shape}; expected (clips, 2), at most {columns * rows} clips."
        )
    low, high = points.min(axis=0), points.max(axis=0)
    wanted = (points - low) / np.maximum(high - low, 1e-9) * (size - 1)
    wanted[:, 1] = rows - 1 - wanted[:, 1]
    cells = np.stack(
        np.meshgrid(np.arange(columns), np.arange(rows), indexing="ij"), axis=-1
    ).reshape(-1, 2)
    free, places = np.ones(len(cells), bool), np.empty((len(points), 2), int)
    for index, point in enumerate(wanted):
        distance = np.where(free, ((cells - point) ** 2).sum(axis=1), np.inf)
        nearest = int(distance.argmin())
        free[nearest], places[index] = False, cells[nearest]
    return places


def short_names(genres):
    """The start of each name, as long as it takes to tell it from the others."""
    starts = [[name[:size] for size in range(1, len(name) + 1)] for name in genres]
    return [
        next(
            (
                start
                for start in own
                if sum(other.startswith(start) for other in genres) == 1
            ),
            own[-1],
        )
        for own in starts
    ]


def clip_map(points, genre, genres, sound, config, columns=24, rows=14):
    """Buttons in the places of points; a click plays the clip, hovering names it.

    Args:
        points: Float array, shape `(num_clips, 2)`.
        genre: Genre index of each clip.
        genres: Names of the genres.
        sound: Function number of a clip -> samples.
        config: `AudioConfig`, for the sample rate.
        columns: Cells from left to right.
        rows: Cells from top to bottom.

    Returns:
        A widget. Each button carries the start of the genre's name, so that colour is not needed.
    """
    import ipywidgets as widgets

    heard = widgets.Label("Click on a clip.")
    audio = widgets.Audio(value=b"", format="wav", autoplay=True, loop=False)

    def play(number):
        audio.value = encode_audio(sound(number), config)
        heard.value = f"{genres[genre[number]]}, clip {number}"

    buttons, marks = [], short_names(genres)
    for number, (column, row) in enumerate(grid_places(points, columns, rows)):
        name = genres[genre[number]]
        layout = widgets.Layout(
            width="22px",
            height="20px",
            padding="0",
            margin="0",
            grid_area=f"{row + 1} / {column + 1}",
        )
        button = widgets.Button(
            description=marks[genre[number]],
            tooltip=f"{name}, clip {number}",
            layout=layout,
        )
        button.style.button_color = COLOURS[genre[number] % len(COLOURS)] + "90"
        button.on_click(lambda _, number=number: play(number))
        buttons.append(button)
    grid = widgets.Layout(
        grid_template_columns=f"repeat({columns}, 24px)",
        grid_template_rows=f"repeat({rows}, 22px)",
    )
    return widgets.VBox([widgets.GridBox(buttons, layout=grid), heard, audio])
