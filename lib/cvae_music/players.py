"""Sound in a notebook: players that keep the level, each beside its spectrogram, seed and label."""

import base64
import html
import itertools

import matplotlib.pyplot as plt

from cvae_music.audio.files import MP3_RATES, encode_audio, full_scale
from cvae_music.plots import plot_log_mel, show_figure


def as_address(content, kind):
    """The bytes of a file as an address in HTML; `kind` as in `"audio/wav"`."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def audio_tag(content, label, kind, loop=False):
    """HTML of a player, named for screen readers, of the bytes of a sound file; silent until pressed."""
    source = f'src="{as_address(content, kind)}"' if content else ""
    look = f'aria-label="{html.escape(label)}" style="width: 280px; height: 40px"'
    return f'<audio controls {"loop " if loop else ""}preload="metadata" {look} {source}></audio>'


def player(samples, config, label="", seed=None, loop=False):
    """An audio player for a notebook, at the level the samples have.

    Nothing is normalised: a quiet clip stays quiet, silence is silent. Only samples beyond full scale
    are turned down, since a sound card would clip them, and the label then says by how much.

    Args:
        samples: Float array, shape `(samples,)`, full scale at 1.
        config: `AudioConfig`, for the sample rate.
        label: What is heard.
        seed: Seed the clip was made from, added to the label; None for a clip without one, such as a recording.
        loop: Whether the clip repeats until stopped.

    Returns:
        An object that the notebook shows as a player.

    Raises:
        ValueError: If the samples are not finite mono audio.
    """
    from IPython.display import HTML

    kind = "mpeg" if config.sample_rate in MP3_RATES else "wav"
    sound, turned_down = (
        encode_audio(samples, config, kind.replace("mpeg", "mp3")),
        full_scale(samples)[1],
    )
    caption = _caption(label, seed) + (
        f", turned down by {turned_down:.1f} dB" if turned_down else ""
    )
    figure = f"<figcaption>{html.escape(caption)}</figcaption>{audio_tag(sound, caption, f'audio/{kind}', loop)}"
    return HTML(
        f'<figure style="display:inline-block;margin:4px 8px">{figure}</figure>'
    )


def _caption(label, seed):
    return label if seed is None else f"{label}, seed {seed}"


def show_clips(
    clips, config, name=None, alt=None, num_columns=3, loop=False, seconds=False
):
    """Shows the spectrograms of some clips in one figure and their players below, in the same order.

    Args:
        clips: What `make_clip` or `load_first_window` returns, a list of such, or of dictionaries with `log_mel` (dB, shape
            `(frames, n_mels)`), `samples`, `label`, and optionally `seed` and `tempo`. Without a label, the genre or
            the name of the clip is its title.
        config: `AudioConfig`.
        name: File name of the figure, see `show_figure`.
        alt: What the figure shows; None names the clips.
        num_columns: Pictures in a row.
        loop: Whether the players repeat.
        seconds: Whether time is drawn in seconds, on the same scale for all: shows a difference in tempo.

    Raises:
        ValueError: If there is no clip or one lacks an entry.
    """
    from IPython.display import HTML, display

    clips = [
        c if isinstance(c, dict) else vars(c)
        for c in (clips if isinstance(clips, list) else [clips])
    ]
    clips = [
        {
            "label": clip.get("genre") or clip.get("name"),
            "seed": None,
            "tempo": None,
            **clip,
        }
        for clip in clips
    ]
    lacking = [
        k
        for k, clip in enumerate(clips)
        if not {"log_mel", "samples"} <= clip.keys() or not clip["label"]
    ]
    if not clips or lacking:
        expected = "expected at least one, each with log_mel, samples and label (or, for a label, genre or name)"
        raise ValueError(
            f"show_clips got {len(clips)} clips, incomplete: {lacking}; {expected}."
        )
    num_columns = min(num_columns, len(clips))
    num_rows = -(-len(clips) // num_columns)
    fig = plt.figure(
        figsize=(3.2 * num_columns + 1.2, 2.5 * num_rows + 0.3), layout="constrained"
    )
    axes = fig.subplots(num_rows, num_columns, squeeze=False, sharey=True).ravel()
    for clip, ax in itertools.zip_longest(clips, axes):
        ax.set_visible(clip is not None)
        if clip:
            title = _caption(clip["label"], clip["seed"])
            image = plot_log_mel(
                clip["log_mel"], config, ax, clip["tempo"], title, seconds
            )
    plt.setp([ax for k, ax in enumerate(axes) if k % num_columns], ylabel="")
    if seconds:
        plt.setp(axes, xlim=(0, max(ax.get_xlim()[1] for ax in axes[: len(clips)])))
    fig.colorbar(image, ax=axes, label="level (dB)")
    show_figure(
        fig,
        name,
        alt or f"Log-mel spectrograms of {', '.join(clip['label'] for clip in clips)}.",
    )
    display(
        HTML(
            "".join(
                player(c["samples"], config, c["label"], c["seed"], loop).data
                for c in clips
            )
        )
    )
