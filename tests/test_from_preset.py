"""What a shipped model keeps, and what begins anew, when it starts on other genres."""

import numpy as np
import pytest

import cvae_music as cm

SIZE = {"global_dim": 3, "local_dim": 2, "width": 40, "depth": 1}
ANEW = {
    "genre_embedding/kernel",
    "mean_shift",
    "latent_density",
    "genre/kernel",  # of the discriminator
}


@pytest.fixture(scope="module")
def preset(tiny_config, tmp_path_factory):
    """Saves a model of a class with every weight another than at its beginning."""

    def save(kind, genres=("jazz", "rock")):
        extra = {"genres": genres} if issubclass(kind, cm.ConditionalVAE) else {}
        model = kind(tiny_config, **extra, **SIZE)
        rng = np.random.default_rng(0)
        for weight in model.weights:
            weight.assign(rng.uniform(-0.4, -0.2, weight.shape).astype("float16"))
        path = tmp_path_factory.mktemp("preset") / "model.npz"
        model.save_to_preset(path)
        return model, path

    return save


def kept_and_new(model, old):
    """Returns the names of the weights that are as before, and of the others."""
    layers = {}
    for name in ("mean_shift", "latent_density"):
        layers |= {id(weight): name for weight in getattr(model, name).weights}
    kept, new = set(), set()
    for weight, before in zip(model.weights, old.weights, strict=True):
        same = weight.shape == before.shape and np.array_equal(weight, before)
        (kept if same else new).add(layers.get(id(weight), weight.path))
    return kept, new


@pytest.mark.parametrize("genres", [("folk", "metal"), ("jazz", "folk", "metal")])
@pytest.mark.parametrize("kind", [cm.ConditionalVAE, cm.ConditionalVAEGAN])
def test_what_depends_on_the_genres_begins_anew(preset, kind, genres):
    old, path = preset(kind)
    model = cm.VAE.from_preset(path, genres=list(genres))  # any parent class loads it
    assert type(model) is kind and model.genres == genres
    kept, new = kept_and_new(model, old)
    assert new <= ANEW and not kept & ANEW
    assert "genre_embedding/kernel" in new
    assert {"patch/kernel", "global_0/kernel"} < kept


def test_mean_shift_and_density_begin_as_before_fit(preset):
    _, path = preset(cm.ConditionalVAE)
    model = cm.ConditionalVAE.from_preset(path, genres=["folk", "metal", "polka"])
    latent = np.full((1, model.latent_dim), 0.5, np.float32)
    assert np.array_equal(model.mean_shift(latent, np.eye(3)[:1]), latent)
    assert np.abs(model.sample_latents([2] * 400).mean()) < 0.05  # the prior
    assert np.allclose(model.latent_density.shares, np.eye(1, 8).repeat(3, axis=0))


def test_the_same_names_and_no_names_keep_everything(preset):
    old, path = preset(cm.ConditionalVAE)
    for genres in (None, ["jazz", "rock"]):
        model = cm.ConditionalVAE.from_preset(path, genres)
        assert model.genres == old.genres
        assert not kept_and_new(model, old)[1]


@pytest.mark.parametrize("genres", [["rock"], [], ["a", "a"]])
def test_fewer_than_two_genres_are_refused(preset, genres):
    _, path = preset(cm.ConditionalVAE)
    with pytest.raises(
        ValueError, match=r"got genres=\[.*\]; expected .* different names"
    ):
        cm.ConditionalVAE.from_preset(path, genres)


def test_a_model_without_a_label_takes_no_genres(preset):
    old, path = preset(cm.VAE)
    message = r"got genres=\['jazz', 'folk'\]; .* no label .* Leave genres out"
    with pytest.raises(ValueError, match=message):
        cm.VAE.from_preset(path, genres=["jazz", "folk"])
    same = zip(cm.VAE.from_preset(path).weights, old.weights, strict=True)
    assert all(np.array_equal(*pair) for pair in same)
