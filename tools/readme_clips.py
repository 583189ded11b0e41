"""Makes the sounds and the moving picture of the README from the weights that ship, in docs/clips.

    python tools/readme_clips.py [--check]

`--check` writes nothing and fails where a file is missing or was made from other weights.
"""

import argparse
import base64
import hashlib
import io
import json
import tempfile
import types
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
CLIPS = ROOT / "docs" / "clips"
WEIGHTS = {
    "known_cvae": ROOT / "lib/cvae_music/weights/known_cvae.npz",
    "known_deaf": ROOT / "lib/cvae_lab/weights/known_deaf.npz",
    "vocoder": ROOT / "lib/cvae_music/weights/vocoder.npz",
    "real_cvaegan": ROOT / "lib/cvae_music/weights/real_cvaegan.npz",
}
MADE_FROM = CLIPS / "made_from.json"
TEMPO = 120.0  # beats a minute: eight beats are 4 s
SEED = 3
SECONDS_A_GENRE = 2  # of the moving picture
COLOURS = "magma"


def fingerprints():
    """Name -> SHA-256 of each file of weights that ships."""
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in WEIGHTS.items()
        if path.exists()
    }


def mp3(samples, sample_rate):
    """Samples as the bytes of an mp3 of some 45 kbit a second."""
    import soundfile

    file = io.BytesIO()
    settings = {"compression_level": 0.5, "bitrate_mode": "VARIABLE"}
    soundfile.write(
        file, samples, sample_rate, "MPEG_LAYER_III", format="MP3", **settings
    )
    return file.getvalue()


def ideas(model):
    """One latent, drawn for the first genre, played in every genre: genre -> clip."""
    import cvae_music as cm

    latent = cm.draw_latent(model, seed=SEED)
    return {
        genre: cm.make_clip(model, genre=genre, latent=latent, tempo=TEMPO)
        for genre in model.genres
    }


def file_of(genre, folder, config):
    """Path of a WAV file with a piece that no model has seen, and beats to be found."""
    import cvae_music as cm
    from known_music import compose, draw_factors

    pieces = draw_factors(60, seed=2026)
    piece = pieces[pieces["genre"] == genre].iloc[1].copy()
    piece["tempo"] = TEMPO
    path = Path(folder, f"{genre}.wav")
    cm.write_audio(path, np.tile(compose(piece), 3), config)
    return path


def as_other_genres(model, path, *genres):
    """A clip of a file, then what a model plays when it is asked for it in other genres."""
    import cvae_music as cm

    original = cm.load_first_window(path, model.audio_config)
    latent = cm.encode_clip(model, path)
    played = [
        cm.make_clip(model, genre=genre, latent=latent, tempo=original.tempo).samples
        for genre in genres
    ]
    return np.concatenate([original.samples, *played])


def ways_back(log_mel, config):
    """One picture, brought to sound with zero phases, with random ones, and as the library does."""
    import cvae_music as cm

    loop, mel_power = cm.frame_grid(log_mel, config, TEMPO)
    magnitude = np.sqrt(cm.mel_to_linear(mel_power, config)) * cm.stft_scale(config)
    rng = np.random.default_rng(SEED)
    guesses = [
        loop.inverse(loop.with_phases(magnitude, guess(magnitude, loop, rng)))
        for guess in (cm.zero_phases, cm.random_phases)
    ]
    return np.concatenate([*guesses, cm.to_audio(log_mel, config, TEMPO, seed=SEED)])


def picture(log_mel, config):
    """A log-mel clip as the data address of a small PNG, low frequencies at the bottom."""
    from matplotlib import colormaps
    from PIL import Image

    levels = 127.5 * (np.clip(config.scale(log_mel), -1.0, 1.0) + 1.0)
    image = Image.fromarray(levels.T[::-1].astype(np.uint8), "P")
    image.putpalette(
        (255 * colormaps[COLOURS](range(256))[:, :3]).astype(np.uint8).tobytes()
    )
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def moving_picture(clips, config):
    """SVG in which the clips take turns under a line that moves; it stands still where motion is not wanted."""
    step = 720 / len(clips)
    whole = SECONDS_A_GENRE * len(clips)
    lines = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 300" role="img" '
        'font-family="sans-serif" font-size="19" text-anchor="middle">',
        f"<title>One idea, played as {', '.join(clips)}</title>",
        "<style>",
        f".genre{{opacity:0;animation:turn {whole}s step-end infinite}}",
        f"@keyframes turn{{0%{{opacity:1}}{100 / len(clips):.3f}%{{opacity:0}}}}",
        f".head{{animation:play {SECONDS_A_GENRE}s linear infinite}}",
        "@keyframes play{to{transform:translateX(720px)}}",
        "@media(prefers-reduced-motion:reduce){.genre,.head{animation:none}"
        ".genre:first-of-type{opacity:1}.head{display:none}}",
        "</style>",
        '<rect width="720" height="300" fill="#0b0716"/>',
    ]
    middles = {genre: step * (k + 0.5) for k, genre in enumerate(clips)}
    for genre, x in middles.items():
        lines.append(f'<text x="{x:g}" y="279" fill="#9a93ad">{genre}</text>')
    for k, (genre, clip) in enumerate(clips.items()):
        x = middles[genre]
        lines += [
            f'<g class="genre" style="animation-delay:{SECONDS_A_GENRE * k}s">',
            f'<image href="{picture(clip.log_mel, config)}" width="720" height="250" '
            'preserveAspectRatio="none"/>',
            f'<rect x="{x - step / 2 + 6:g}" y="257" width="{step - 12:g}" height="33" '
            'rx="7" fill="#fcb14a"/>',
            f'<text x="{x:g}" y="279" fill="#0b0716">{genre}</text>',
            "</g>",
        ]
    lines += ['<rect class="head" width="3" height="250" fill="#fff"/>', "</svg>"]
    return "\n".join(lines) + "\n"


def make():
    """Name -> bytes of every file."""
    import cvae_lab as lab
    import cvae_music as cm

    shipped = types.SimpleNamespace(data="known")
    cured, deaf = (lab.open_model(kind, None, shipped) for kind in ("cvae", "deaf"))
    config = cured.audio_config
    clips = ideas(cured)
    sounds = {"one_idea": np.concatenate([clip.samples for clip in clips.values()])}
    with tempfile.TemporaryDirectory() as folder:
        house, rock = (file_of(genre, folder, config) for genre in ("house", "rock"))
        sounds["deaf"] = as_other_genres(deaf, rock, "strings")
        sounds["cured"] = as_other_genres(cured, rock, "strings")
        sounds["own_clip"] = as_other_genres(cured, house, "jazz", "chiptune")
    sounds["back_to_sound"] = ways_back(clips["jazz"].log_mel, config)
    real = ideas(cm.ConditionalVAE.from_preset("real_cvaegan"))
    sounds["real"] = np.concatenate([clip.samples for clip in real.values()])
    made = {
        f"{name}.mp3": mp3(samples, config.sample_rate)
        for name, samples in sounds.items()
    }
    made["one_idea.svg"] = moving_picture(clips, config).encode()
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only compare")
    if parser.parse_args().check:
        kept = json.loads(MADE_FROM.read_text(encoding="utf-8"))
        missing = [name for name in kept["files"] if not (CLIPS / name).exists()]
        other = fingerprints().items() ^ kept["weights"].items()
        if missing or other:
            stale = ", ".join(missing + sorted({name for name, _ in other}))
            raise SystemExit(f"Out of step: {stale}. Run: python tools/readme_clips.py")
        return
    made = make()
    CLIPS.mkdir(parents=True, exist_ok=True)
    for name, content in made.items():
        (CLIPS / name).write_bytes(content)
    kept = {"files": sorted(made), "weights": fingerprints()}
    MADE_FROM.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    for name, content in made.items():
        print(f"{name}: {len(content) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
