"""Sound in a notebook: players that keep the level, each beside its spectrogram, seed and label."""

import base64
import html
import io

import matplotlib.pyplot as plt
import numpy as np

from cvae_music.plots import plot_log_mel, show_figure


def encode_mp3(samples, config):
    """The samples as MP3 bytes, a few kB a second."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, samples, config.sample_rate, format="MP3", subtype="MPEG_LAYER_III")
    return buffer.getvalue()


def player(samples, config, label="", seed=None, loop=False):
    """An audio player for a notebook, at the level the samples have.

    Nothing is normalised: a quiet clip stays quiet, silence is silent. Only samples beyond full scale
    are turned down, since a sound card would clip them, and the label then says by how much.

    Args:
        samples: Float array, shape `(samples,)`, full scale at 1.
        config: `AudioConfig`, for the sample rate.
        label: What is heard.
        seed: Seed the clip was made from, added to the label.
        loop: Whether the clip repeats until stopped.

    Returns:
        An object that the notebook shows as a player.

    Raises:
        ValueError: If the samples are not finite mono audio.
    """
    from IPython.display import HTML

    samples = np.asarray(samples, np.float32)
    if samples.ndim != 1 or len(samples) == 0 or not np.all(np.isfinite(samples)):
        raise ValueError(
            f"player got an array of shape {samples.shape}, finite: {bool(np.all(np.isfinite(samples)))}; expected "
            "finite mono samples, shape (samples,). Pass one clip, mixed to mono."
        )
    peak = float(np.abs(samples).max())
    notes = [label] if label else []
    if seed is not None:
        notes.append(f"seed {seed}")
    if peak > 1.0:
        samples = samples / peak
        notes.append(f"turned down by {20 * np.log10(peak):.1f} dB")
    caption = html.escape(", ".join(notes))
    sound = base64.b64encode(encode_mp3(samples, config)).decode()
    return HTML(
        f'<figure style="display:inline-block;margin:4px 8px"><figcaption>{caption}</figcaption>'
        f'<audio controls preload="metadata" {"loop " if loop else ""}aria-label="{caption}" '
        f'style="width:260px" src="data:audio/mpeg;base64,{sound}"></audio></figure>'
    )


def show_clips(clips, config, name=None, alt=None, num_columns=3, loop=False):
    """Shows the spectrograms of some clips in one figure and their players below, in the same order.

    Args:
        clips: List of dictionaries with `log_mel` (dB, shape `(frames, n_mels)`), `samples`, `label`,
            and optionally `seed` and `tempo`.
        config: `AudioConfig`.
        name: File name of the figure, see `show_figure`.
        alt: What the figure shows; None names the clips.
        num_columns: Pictures in a row.
        loop: Whether the players repeat.

    Raises:
        ValueError: If there is no clip or one lacks an entry.
    """
    from IPython.display import HTML, display

    clips = [clips] if isinstance(clips, dict) else list(clips)
    lacking = [number for number, clip in enumerate(clips) if not {"log_mel", "samples", "label"} <= clip.keys()]
    if not clips or lacking:
        raise ValueError(
            f"show_clips got {len(clips)} clips, incomplete: {lacking}; expected at least one, each a dictionary "
            "with log_mel, samples and label."
        )
    num_columns = min(num_columns, len(clips))
    num_rows = -(-len(clips) // num_columns)
    size = (3.2 * num_columns + 1.2, 2.3 * num_rows + 0.3)
    fig, axes = plt.subplots(num_rows, num_columns, figsize=size, squeeze=False, sharey=True, layout="constrained")
    for ax in axes.flat[len(clips) :]:
        ax.set_visible(False)
    for ax, clip in zip(axes.flat, clips, strict=False):
        image = plot_log_mel(clip["log_mel"], config, ax=ax, tempo=clip.get("tempo"), title=_title(clip))
        ax.label_outer(remove_inner_ticks=False)
    fig.colorbar(image, ax=axes, label="level (dB)")
    labels = ", ".join(clip["label"] for clip in clips)
    show_figure(fig, name=name, alt=alt or f"Log-mel spectrograms of {labels}.")
    players = (player(clip["samples"], config, clip["label"], clip.get("seed"), loop).data for clip in clips)
    display(HTML("".join(players)))


def _title(clip):
    seed = clip.get("seed")
    return clip["label"] if seed is None else f"{clip['label']}, seed {seed}"
