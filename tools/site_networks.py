"""The networks of the site's front page: presets as ONNX, and numbers and clips.

`tools/build_site.py` calls it. An export takes half a minute, so its result is kept in
a folder and used again while the weights and this file stay as they are.
"""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np

SMALLEST = 64  # numbers in a weight worth storing in half precision
TEMPO = 110.0  # of the finished clips, as the page opens
MARGIN = 4096  # samples of the loop to each side of a finished clip


def shipped():
    """Names of the presets with controls, for each kind of music the last listed."""
    from cvae_music import presets, saving

    return list(
        {
            about["music"]: name
            for name, about in presets().items()
            if (saving.WEIGHTS / f"controls_{name}.npz").is_file()
        }.values()
    )


def write_presets(names, folder, kept):
    """Writes what the page needs of several presets.

    Args:
        names: Names of presets, or paths of `.npz` files; the first is the one that
            the page opens with.
        folder: Folder to write to: a folder for each preset, and `vocoder.onnx`.
        kept: Folder where exports are kept for the next time.

    Returns:
        List of dicts, one a preset: what the page has to know of it.

    Raises:
        ValueError: If a preset has another `AudioConfig` than the first one.
    """
    abouts = []
    for name in names:
        source = export_of(preset_files(name), kept, lambda to, n=name: write(n, to))
        about = json.loads((source / "about.json").read_text(encoding="utf-8"))
        if abouts and about["config"] != abouts[0]["config"]:
            raise ValueError(
                f"{name} has another AudioConfig than {names[0]}; expected one, since "
                "they share a vocoder. Leave one of them out."
            )
        shutil.copytree(source, folder / about["name"])
        abouts.append(about)
    for about in abouts[1:]:
        shutil.rmtree(folder / about["name"] / "finished")
    vocoder = export_of(preset_files("vocoder"), kept, write_vocoder)
    shutil.copy(vocoder / "vocoder.onnx", folder)
    return abouts


def preset_files(name):
    """The files that a preset is read from."""
    from cvae_music import saving

    if Path(name).suffix:
        return [Path(name)]
    files = [saving.WEIGHTS / f"{name}.npz", saving.WEIGHTS / f"controls_{name}.npz"]
    return [file for file in files if file.is_file()]


def export_of(sources, kept, write):
    """The folder that `write` fills, made once for the same sources."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for source in sources:
        digest.update(source.read_bytes())
    folder = kept / f"{sources[0].stem}-{digest.hexdigest()[:10]}"
    if not folder.is_dir():
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        write(partial)
        partial.rename(folder)
    return folder


def write(name, folder):
    """Writes decoder, encoder, numbers and finished clips of one preset."""
    import keras

    from cvae_music import ConditionalVAE, shipped_controls
    from cvae_music.controls import SMALLEST_EFFECT

    model = ConditionalVAE.from_preset(name)
    try:
        controls = shipped_controls(model)
    except ValueError:  # a model of one's own, without measured sliders
        controls = None
    sliders = {} if controls is None else controls.attribute_directions
    effects = None if controls is None else controls.effects
    latent = keras.Input((model.latent_dim,), name="latent")
    weights = keras.Input((model.num_genres,), name="weights")
    shifted = model.shift_latent(latent, weights)
    decoder = keras.Model([latent, weights], model.decode_latent(shifted, weights))
    one = [np.zeros((1, model.latent_dim)), np.zeros((1, model.num_genres))]
    export(decoder, one, folder / "decoder.onnx")
    config = model.audio_config
    clip = keras.Input(config.shape, name="log_mel")  # scaled
    encoder = keras.Model(clip, model.encode_posterior(clip).mode())
    export(encoder, np.zeros((1, *config.shape)), folder / "encoder.onnx")
    shares, places = write_numbers(model, sliders, folder / "numbers.bin")
    write_finished(model, folder / "finished")
    short = Path(name).stem
    title = f"{'Composed' if short.startswith('known_') else 'Real'} music"
    files = ("decoder.onnx", "encoder.onnx", "numbers.bin")
    about = {
        "name": short,
        "title": f"{short}.npz" if Path(name).suffix else title,
        "genres": list(model.genres),
        "guidance": model.guidance,
        "latent_dim": model.latent_dim,
        "sliders": list(sliders),
        # What each does to each attribute, by genre: one that does little is greyed out.
        "effects": None if effects is None else np.round(effects, 3).tolist(),
        "smallest_effect": SMALLEST_EFFECT,
        "config": config.get_config(),
        "shares": shares,
        "arrays": places,
        "bytes": {file: (folder / file).stat().st_size for file in files},
    }
    (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")


def write_numbers(model, sliders, path):
    """Writes the density and the sliders as float32, one array after the other.

    Returns:
        `(shares, places)`: the shares of each genre's components, and where each array
        begins and ends in the file.
    """
    density = model.latent_density
    lower = np.tril_indices(model.latent_dim)
    shares, means, factors = (np.asarray(value) for value in density.weights)
    used = shares > 0
    arrays = {
        "means": means[used],
        "factors": factors[used][:, lower[0], lower[1]],
        "directions": np.array(list(sliders.values())),
    }
    places = {}
    stop = 0
    for name, array in arrays.items():
        places[name] = {"start": stop, "stop": stop + array.size}
        stop += array.size
    numbers = np.concatenate([array.ravel() for array in arrays.values()])
    numbers.astype("<f4").tofile(path)
    return [row[row > 0].tolist() for row in shares.astype(float)], places


def write_finished(model, folder):
    """Writes one idea in every genre: sound as MP3, levels as bytes.

    An MP3 begins later than its samples do, by what its reader makes of it. Each file
    therefore holds more of the loop than once around, and any stretch of the right
    length from it is the whole loop without a seam.
    """
    from cvae_music import make_clip
    from cvae_music.audio.files import encode_audio

    folder.mkdir()
    config = model.audio_config
    levels = []
    for number, genre in enumerate(model.genres):
        clip = make_clip(model, genre=genre, prior_genre=model.genres[0], tempo=TEMPO)
        around = np.pad(clip.samples, MARGIN, mode="wrap")
        (folder / f"{number}.mp3").write_bytes(encode_audio(around, config, "mp3"))
        levels.append((config.scale(clip.log_mel) + 1.0) * 127.5)
    np.round(levels).astype(np.uint8).tofile(folder / "levels.bin")


def write_vocoder(folder):
    """Writes the network of `Vocoder.call`, from levels in dB, without the curve."""
    import keras

    from cvae_music.audio.vocoder import shipped_vocoder
    from cvae_music.config import AudioConfig

    config = AudioConfig()
    vocoder = shipped_vocoder(config)
    levels = keras.Input((None, config.n_mels), name="levels")
    network = keras.Model(levels, vocoder.network((levels + 40.0) / 20.0))
    export(network, np.zeros((1, 32, config.n_mels)), folder / "vocoder.onnx")


def export(network, example, path):
    """Writes a network as ONNX, in half precision where nothing is lost.

    Weights that ship are stored so, and stay exact.

    Args:
        network: `keras.Model`.
        example: What it can be called on; Keras exports no model that was never called.
        path: File to write.
    """
    import onnx

    network(example)
    network.export(path, format="onnx", verbose=False)
    model = onnx.load(path)
    graph = model.graph
    casts = []
    for tensor in list(graph.initializer):
        value = onnx.numpy_helper.to_array(tensor)
        if value.dtype != np.float32 or value.size < SMALLEST:
            continue
        half = value.astype(np.float16)
        if np.array_equal(half.astype(np.float32), value):
            name = f"{tensor.name}/half"
            graph.initializer.remove(tensor)
            graph.initializer.append(onnx.numpy_helper.from_array(half, name))
            cast = onnx.helper.make_node(
                "Cast", [name], [tensor.name], to=onnx.TensorProto.FLOAT
            )
            casts.append(cast)
    nodes = []
    for node in graph.node:
        # TensorFlow's gelu; tf2onnx leaves it as it is, ONNX has no such operation.
        if node.op_type == "Erfc":
            one = f"{node.name}/one"
            erf = f"{node.name}/erf"
            graph.initializer.append(onnx.numpy_helper.from_array(np.float32(1.0), one))
            nodes.append(onnx.helper.make_node("Erf", node.input, [erf]))
            node = onnx.helper.make_node("Sub", [one, erf], node.output)
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(casts + nodes)
    onnx.checker.check_model(model)
    onnx.save(model, path)
