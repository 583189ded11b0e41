"""Sound in a notebook: players that keep the level, each beside its spectrogram."""

from __future__ import annotations

import base64
import dataclasses
import html
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np

from cvae_music.audio.files import MP3_RATES, encode_audio, full_scale
from cvae_music.config import check_number
from cvae_music.plots import plot_log_mel, show_figure

if TYPE_CHECKING:
    from cvae_music.config import AudioConfig

# Comments and indents of player.js and player.css; an output carries them without.
LAYOUT = re.compile(r"^ *(//|/?\*).*\n| // .*$|^ +|^export ", re.M)
# What an output does in the page: it unpacks the script once, then gives it its sounds.
LOADER = """(async () => {
if (window.cvaePlayers) return window.cvaePlayers();
const bytes = Uint8Array.from(atob("%s"), (letter) => letter.charCodeAt());
const text = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
const script = document.createElement("script");
script.textContent = await new Response(text).text();
document.head.append(script);
})()"""
SCRIPT = """window.cvaePlayers ??= (() => {
const style = document.createElement("style");
style.textContent = %s;
document.head.append(style);
%s
return attach;
})();
window.cvaePlayers();"""


# After a player inside other HTML: calls the script that another output has put there.
TAKE_UP = "<script>window.cvaePlayers?.()</script>"


@dataclasses.dataclass
class Sound:
    """Holds the HTML of a player, which a notebook shows.

    Args:
        data: The HTML without the script, to be joined with that of other players.
    """

    data: str

    def _repr_html_(self):
        return f"{self.data}<script>{player_script()}</script>"


def player_script() -> str:
    """Packs player.js and player.css into compressed JavaScript.

    Run in a page, it gives each figure of class `cvae` the player that the site has.
    Where scripts may not run, the browser's own players stay.

    Returns:
        JavaScript, without the `<script>` element.
    """
    style, code = [
        LAYOUT.sub("", Path(__file__).with_name(name).read_text(encoding="utf-8"))
        for name in ("player.css", "player.js")
    ]
    script = SCRIPT % (json.dumps(style), code)
    return LOADER % base64.b64encode(zlib.compress(script.encode(), 9)).decode()


def data_url(content: bytes, kind: str) -> str:
    """Encodes the bytes of a file as a URL; `kind` as in `"audio/wav"`."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def audio_tag(content: bytes, label: str, kind: str, loop: bool = False) -> str:
    """Writes HTML of a player that is silent until pressed.

    Args:
        content: Bytes of a sound file.
        label: Name for screen readers.
        kind: Media type, such as `"audio/wav"`.
        loop: Whether the sound repeats.

    Returns:
        An `<audio>` element.
    """
    again = "loop " if loop else ""
    return (
        f'<audio controls {again}preload="metadata" aria-label="{html.escape(label)}" '
        f'style="width: 280px; height: 40px" src="{data_url(content, kind)}"></audio>'
    )


def player(
    samples: np.ndarray,
    config: AudioConfig,
    label: str = "",
    seed: int | None = None,
    loop: bool = False,
) -> Sound:
    """Makes an audio player for a notebook, at the level the samples have.

    It has a spectrogram with a moving head; a click on it plays from there, without a
    kernel. Of the players of one output one plays at a time, and a second goes on where
    the first was. Nothing is normalised: a quiet clip stays quiet, silence is silent.
    Only samples beyond full scale are turned down, because a sound card would clip
    them, and the label then says by how much.

    Args:
        samples: Float array, full scale at 1, shape `(samples,)`.
        config: `AudioConfig`, for the sample rate.
        label: What is heard.
        seed: Seed of the clip, added to the label; None for a recording.
        loop: Whether the clip repeats until stopped.

    Returns:
        `Sound`, which the notebook shows as a player.

    Raises:
        ValueError: If the samples are not finite mono audio.

    Example:
        >>> import numpy as np
        >>> from cvae_music import AudioConfig
        >>> shown = player(np.zeros(22050), AudioConfig(), "one second of silence")
        >>> shown.data.count("<audio")
        1
    """
    return Sound(_figure(samples, config, label, seed, loop) + TAKE_UP)


def _figure(samples, config, label, seed, loop):
    ending = "mp3" if config.sample_rate in MP3_RATES else "wav"
    kind = "audio/mpeg" if ending == "mp3" else "audio/wav"
    sound = encode_audio(samples, config, ending)
    caption = _caption(label, seed)
    turned_down = full_scale(samples)[1]
    if turned_down:
        caption += f", turned down by {turned_down:.1f} dB"
    return (
        '<figure class="cvae" style="display:inline-block;margin:4px 8px">'
        f"<figcaption>{html.escape(caption)}</figcaption>"
        f"{audio_tag(sound, caption, kind, loop)}</figure>"
    )


def _caption(label, seed):
    return label if seed is None else f"{label}, seed {seed}"


def show_clips(
    clips: Any,
    config: AudioConfig,
    name: str | None = None,
    alt: str | None = None,
    num_columns: int = 3,
    loop: bool = False,
    seconds: bool = False,
    folder: str | Path | None = None,
) -> None:
    """Shows the spectrograms of clips in one figure, and their players below it.

    Args:
        clips: One clip or several: what `make_clip` or `load_first_window` returns, or
            a dict with `log_mel` (dB, shape `(frames, n_mels)`), `samples`, `label`,
            and optionally `seed` and `tempo`. Without a label, the genre or the name of
            the clip is its title.
        config: `AudioConfig`.
        name: File name of the figure, see `show_figure`.
        alt: What the figure shows; None names the clips.
        num_columns: Pictures in a row.
        loop: Whether the players repeat.
        seconds: Whether time is drawn in seconds, on the same scale for all, which
            shows a difference in tempo.
        folder: Where the figure is saved, see `show_figure`.

    Raises:
        ValueError: If there is no clip, one lacks an entry or is scaled, or
            `num_columns` is no whole number of at least 1.

    Example:
        >>> import numpy as np
        >>> from cvae_music import AudioConfig
        >>> config = AudioConfig()
        >>> silence = {"log_mel": np.full(config.shape, -80.0), "label": "silence"}
        >>> silence["samples"] = np.zeros(88200)
        >>> show_clips(silence, config)  # doctest: +SKIP
    """
    from IPython.display import HTML, display

    clips = _as_dicts(clips)
    num_columns = min(check_number("num_columns", num_columns, 1), len(clips))
    num_rows = -(-len(clips) // num_columns)
    fig = plt.figure(
        figsize=(3.2 * num_columns + 1.2, 2.5 * num_rows + 0.3), layout="constrained"
    )
    axes = fig.subplots(num_rows, num_columns, squeeze=False, sharey=True).ravel()
    for ax, clip in zip(axes, clips, strict=False):
        title = _caption(clip["label"], clip["seed"])
        image = plot_log_mel(clip["log_mel"], config, ax, clip["tempo"], title, seconds)
    used = axes[: len(clips)]
    plt.setp(axes[len(clips) :], visible=False)
    plt.setp([ax for k, ax in enumerate(axes) if k % num_columns], ylabel="")
    if seconds:
        plt.setp(used, xlim=(0, max(ax.get_xlim()[1] for ax in used)))
    fig.colorbar(image, ax=axes, label="level (dB)")
    labels = ", ".join(clip["label"] for clip in clips)
    show_figure(fig, name, alt or f"Log-mel spectrograms of {labels}.", folder)
    figures = [
        _figure(clip["samples"], config, clip["label"], clip["seed"], loop)
        for clip in clips
    ]
    display(HTML(f"{''.join(figures)}<script>{player_script()}</script>"))


def _as_dicts(clips: Any) -> list[dict[str, Any]]:
    """Converts one clip, or several of any kind, to dicts with the same entries."""
    if isinstance(clips, Mapping) or dataclasses.is_dataclass(clips):
        clips = [clips]
    elif not isinstance(clips, Iterable):
        raise ValueError(
            f"show_clips got {type(clips).__name__}; "
            "expected a clip or a list of clips."
        )
    found = []
    for number, clip in enumerate(clips):
        given = clip if isinstance(clip, Mapping) else getattr(clip, "__dict__", {})
        label = given.get("genre") or given.get("name")
        entries = {"label": label, "seed": None, "tempo": None, **given}
        if not {"log_mel", "samples"} <= set(entries) or not entries["label"]:
            raise ValueError(
                f"show_clips got an incomplete clip, number {number}, with "
                f"{list(given)}; expected log_mel, samples and label (or, for a "
                "label, genre or name)."
            )
        found.append(entries)
    if not found:
        raise ValueError("show_clips got 0 clips; expected at least one.")
    return found
