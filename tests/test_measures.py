"""Every measure against a case worked by hand, or against a library that has it."""

import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import sqrtm
from scipy.ndimage import gaussian_filter1d

from cvae_lab.measures import scores
from cvae_lab.measures.near_copies import (
    check_near_copies,
    near_copies,
    near_copy_table,
)
from cvae_lab.measures.scoreboard import (
    balanced_genres,
    evaluate_model,
)
from cvae_music.data.features import FeatureSet


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_kl_of_known_gaussians():
    mean = np.array([[1.0, 0.0], [3.0, 0.0]])
    log_var = np.array([[0.0, np.log(4.0)], [0.0, np.log(4.0)]])
    # dimension 0: (1/2 + 9/2) / 2; dimension 1: (4 - 1 - ln 4) / 2
    np.testing.assert_allclose(
        scores.kl_per_dimension(mean, log_var), [2.5, (3.0 - np.log(4.0)) / 2]
    )


def test_kl_is_zero_at_the_prior_only():
    assert np.all(scores.kl_per_dimension(np.zeros((5, 3)), np.zeros((5, 3))) == 0.0)


def test_active_units_counts_moving_means():
    mean = np.zeros((100, 4))
    mean[:, 1] = np.tile([-0.11, 0.11], 50)  # variance 0.0121
    mean[:, 2] = np.tile([-0.09, 0.09], 50)  # variance 0.0081
    mean[:, 3] = 7.0
    assert scores.active_units(mean) == 1


def test_mutual_information_of_clips_that_can_be_told_apart(rng):
    far_apart = 100.0 * rng.standard_normal((64, 3))
    assert scores.mutual_information(far_apart, np.zeros((64, 3))) == pytest.approx(
        np.log(64)
    )


def test_mutual_information_of_clips_that_share_a_posterior():
    assert scores.mutual_information(
        np.ones((64, 3)), np.full((64, 3), -1.0)
    ) == pytest.approx(0.0, abs=1e-9)


def test_mutual_information_of_two_pairs():
    mean = np.array([[-50.0], [-50.0], [50.0], [50.0]])
    assert scores.mutual_information(mean, np.zeros((4, 1))) == pytest.approx(np.log(2))


def test_mutual_information_of_a_gaussian_channel(rng):
    mean = 2.0 * rng.standard_normal(
        (2000, 1)
    )  # signal variance 4, noise variance 1: ln(5) / 2
    assert scores.mutual_information(
        mean, np.zeros((2000, 1)), seed=1
    ) == pytest.approx(0.5 * np.log(5.0), abs=0.04)


def test_reconstruction_errors():
    real, rebuilt = np.zeros((2, 1, 2)), np.array([[[3.0, -4.0]], [[0.0, 5.0]]])
    assert scores.reconstruction_rms_db(real, rebuilt) == pytest.approx(
        np.sqrt(50.0 / 4)
    )
    with pytest.raises(ValueError, match="same"):
        scores.reconstruction_rms_db(real, rebuilt[:1])


def test_sharpness_of_a_single_line():
    clip = np.zeros((1, 2, 20))
    clip[:, :, 10] = 6.0  # the median over nine bands is 0 everywhere
    assert scores.sharpness(clip) == pytest.approx(6.0 * np.sqrt(0.05 * 0.95))


def test_sharpness_of_flat_and_of_sloping_spectra():
    assert scores.sharpness(np.full((2, 3, 32), -20.0)) == 0.0
    slope = np.broadcast_to(np.arange(64.0), (1, 2, 64))
    assert (
        scores.sharpness(slope[..., :]) < 1.0
    )  # only the edges, where the window is cut, differ


def test_sharpness_ratio_falls_with_blur(rng):
    real = rng.standard_normal((4, 10, 64))
    assert scores.sharpness_ratio(real, real) == 1.0
    blurred = [
        scores.sharpness_ratio(gaussian_filter1d(real, width, axis=-1), real)
        for width in (1.0, 3.0)
    ]
    assert 1.0 > blurred[0] > blurred[1] > 0.0
    with pytest.raises(ValueError, match="sharpness 0"):
        scores.sharpness_ratio(real, np.zeros_like(real))


class CellJudge:
    """Names the genre that is written into the first cell of the clip."""

    def predict(self, clips):
        return np.rint(10.0 * np.asarray(clips)[:, 0, 0]).astype(int)

    def embedding(self, clips):
        return np.asarray(clips)[:, -1, :4].astype(float)


def test_label_obedience_is_the_share_of_agreement_averaged_over_genres():
    clips = np.array([0, 1, 2, 2]).reshape(-1, 1, 1) / 10.0
    assert scores.label_obedience(CellJudge(), clips, [0, 1, 2, 0]) == pytest.approx(
        (1 / 2 + 1 + 1) / 3
    )
    always_first = np.zeros(
        (10, 1, 1)
    )  # a judge or a model that knows one genre alone is at chance, 1/2, not at 9/10
    assert scores.label_obedience(CellJudge(), always_first, 9 * [0] + [1]) == 0.5
    with pytest.raises(ValueError, match="one label a clip"):
        scores.label_obedience(CellJudge(), clips, [0, 1])


def test_chance_is_the_most_frequent_label():
    assert scores.chance([0, 0, 0, 1]) == 0.75
    assert scores.chance([0, 1, 2, 3]) == 0.25


def test_diversity_of_a_hand_worked_case():
    real = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0], [0.0, 2.0]])
    made = np.array([[0.0, 0.0], [0.0, 10.0], [1.0, 0.0], [1.0, 1.0]])
    labels = [0, 0, 1, 1]
    assert scores.diversity_ratio(made, labels, real, labels) == pytest.approx(
        (10 / 5 + 1 / 2) / 2
    )


def test_diversity_of_copies_and_of_itself(rng):
    real, labels = rng.standard_normal((40, 6, 5)), np.repeat([0, 1], 20)
    assert scores.diversity_ratio(real, labels, real, labels) == 1.0
    collapsed = np.stack([real[0]] * 20 + [real[20]] * 20)
    assert scores.diversity_ratio(collapsed, labels, real, labels) == 0.0
    doubled = scores.diversity_ratio(2 * real, labels, real, labels)
    assert doubled == pytest.approx(2.0)
    for made, reference in ((real[:1], real), (real, real[:1])):  # two are no pair
        some = [0] * len(made), [0] * len(reference)
        assert np.isnan(scores.diversity_ratio(made, some[0], reference, some[1]))


def test_frechet_of_known_gaussians():
    # Four corners: mean 0, variances 4/3 and 12/3 without correlation.
    first = np.array(
        [[1.0, np.sqrt(3)], [1, -np.sqrt(3)], [-1, np.sqrt(3)], [-1, -np.sqrt(3)]]
    )
    second = 2.0 * first + [3.0, 0.0]
    # shift squared + sum of (difference of standard deviations) squared
    assert scores.frechet_distance(first, second) == pytest.approx(9.0 + 4 / 3 + 4)
    assert scores.frechet_distance(first, first) == pytest.approx(0.0, abs=1e-9)


def test_frechet_agrees_with_sqrtm(rng):
    first, second = (
        rng.standard_normal((200, 6)) @ rng.standard_normal((6, 6)),
        rng.standard_normal((150, 6)) + 0.5,
    )
    covariances = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    shift = first.mean(axis=0) - second.mean(axis=0)
    expected = shift @ shift + np.trace(
        covariances[0]
        + covariances[1]
        - 2 * sqrtm(covariances[0] @ covariances[1]).real
    )
    assert scores.frechet_distance(first, second) == pytest.approx(expected)


def test_frechet_with_fewer_clips_than_dimensions(rng):
    points = rng.standard_normal((5, 40))
    assert scores.frechet_distance(points, points) == pytest.approx(0.0, abs=1e-4)


def test_kernel_distance_of_a_hand_worked_case():
    made, real = np.array([[1.0], [2.0]]), np.array([[0.0], [2.0]])
    # The bandwidth is 2, the distance of the two real clips. Similarities exp(-d²/8): inside 1/8 and 4/8;
    # across, distances 1, 1, 2, 0.
    inside = np.exp(-1 / 8) + np.exp(-4 / 8)
    across = (2 * np.exp(-1 / 8) + np.exp(-4 / 8) + 1.0) / 4
    assert scores.kernel_distance(made, real) == pytest.approx(
        100 * (inside - 2 * across)
    )


def test_kernel_distance_takes_its_bandwidth_from_the_real_clips(rng):
    made, real = rng.normal(0, 1, (60, 3)), rng.normal(1, 3, (80, 3))
    found = scores.kernel_distance(made, real)
    assert found != pytest.approx(scores.kernel_distance(real, made), rel=0.05)
    # The unit of the embedding does not matter.
    assert scores.kernel_distance(7 * made + 1, 7 * real + 1) == pytest.approx(found)
    # Real clips that are all alike: only equal points are similar.
    assert scores.kernel_distance([[0.0], [1.0]], [[2.0], [2.0]]) == 100.0


def test_kernel_distance_scatters_around_zero_for_one_distribution(rng):
    values = [
        scores.kernel_distance(*rng.standard_normal((2, 200, 4))) for _ in range(20)
    ]
    assert abs(np.mean(values)) < 0.2
    apart = rng.standard_normal((2, 200, 4)) + [[[0.0]], [[1.0]]]
    assert scores.kernel_distance(*apart) > 20.0
    with pytest.raises(ValueError, match="same number of dimensions"):
        scores.kernel_distance(np.zeros((4, 2)), np.zeros((4, 3)))


def test_near_copies_of_hand_made_points():
    training = np.arange(100.0)[:, None]
    held_out = training + np.linspace(0.2, 0.5, 100)[:, None]
    made = np.concatenate([training[:60] + 0.4, training[:40] + 0.01])
    found = near_copies(made, training, held_out)
    assert found["below_1"] == found["below_5"] == 0.4
    assert found["median_ratio"] == pytest.approx(0.4 / 0.35)
    # That the ten nearest of twice a hundred alike are all of one side has a chance below 0.001; the nine nearest, not.
    chance = np.cumprod((100.0 - np.arange(10)) / (200.0 - np.arange(10)))
    assert chance[9] < 0.001 < chance[8]
    assert found["allowed_1"] == 0.09
    assert not found["passes"]
    assert near_copies(made[:60], training, held_out)["passes"]
    with pytest.raises(ValueError, match="held_out has the shape"):
        near_copies(made, training, [])


class Sampler:
    """Draws training clips with a little noise, or music of its own; a clip is its own latent."""

    def __init__(self, training, copies, rng):
        self.training, self.copies, self.rng = training, copies, rng

    def sample_latents(self, genres, seed=0):
        shape = (len(genres), *self.training.shape[1:])
        if not self.copies:
            return self.rng.uniform(-0.8, 0.8, shape)
        chosen = self.rng.integers(0, len(self.training), len(genres))
        return self.training[chosen] + self.rng.normal(0, 0.05, shape)

    def encode(self, clips):
        return clips, np.zeros_like(clips)

    def decode(self, latents, genres):
        return latents


def test_a_model_that_copies_is_refused(rng, tiny_config):
    splits = np.repeat(["train", "test"], (200, 60))
    table = pd.DataFrame({"genre": "jazz", "split": splits})
    clips = tiny_config.unscale(rng.uniform(-0.8, 0.8, (260, *tiny_config.shape)))
    features = FeatureSet(tiny_config, ("jazz",), table, clips, table[:0])
    training = tiny_config.scale(clips[:200])

    def describe(levels, config):
        return levels[:, :4, :4].reshape(len(levels), -1)

    model = Sampler(training, copies=False, rng=rng)
    table = check_near_copies(model, features, num_clips=80, describe=describe)
    # In both embeddings new music passes, and training clips are seen to be copies.
    assert table["passes"].tolist() == [True, False, True, False]
    assert table["num_held_out"].tolist() == [60] * 4
    model.copies = True
    assert not near_copy_table(model, features, num_clips=80)["passes"].any()
    with pytest.raises(ValueError, match="near copies of training clips"):
        check_near_copies(model, features, num_clips=80)


@pytest.mark.slow
def test_the_shipped_model_copies_nothing(tmp_path):
    from cvae_music import AudioConfig, ConditionalVAE, build_features, open_collection

    features = build_features(open_collection("known"), AudioConfig(), tmp_path)
    model = ConditionalVAE.from_preset("known_cvae")
    table = check_near_copies(model, features).set_index("clips")
    assert table.loc["new clips", "below_5"] < 0.05
    assert table.loc["training clips, rebuilt", "below_5"] > 0.9


class StubModel:
    """Writes the genre into the first cell and the latent into the last frame; `listens` to z and label or not."""

    def __init__(self, config, num_genres=3, listens=True):
        self.config, self.num_genres, self.listens = config, num_genres, listens

    def encode(self, clips):
        mean = clips[:, -1, :4] * self.listens
        return mean, np.zeros_like(mean)

    def decode(self, latents, genres=None):
        clips = np.zeros((len(latents), *self.config.shape), np.float32)
        clips[:, :, 5::6] = 0.4
        if self.listens:
            clips[:, 0, 0] = np.asarray(genres if self.num_genres else 0) / 10.0
            clips[:, -1, :4] = latents
        return clips

    def sample_latents(self, genres, seed=0):
        return 0.3 * np.random.default_rng(seed).standard_normal((len(genres), 4))


@pytest.fixture
def stub_features(tiny_config, rng):
    labels = np.arange(60) % 3
    clips = StubModel(tiny_config).decode(0.3 * rng.standard_normal((60, 4)), labels)
    table = pd.DataFrame({"genre": np.array(["a", "b", "c"])[labels], "split": "test"})
    log_mel = tiny_config.unscale(clips)
    return FeatureSet(
        tiny_config, ("a", "b", "c"), table, log_mel, pd.DataFrame(), None
    )


def test_scoreboard_of_a_model_that_listens(stub_features, tiny_config):
    row = evaluate_model(
        StubModel(tiny_config), stub_features, {"cell": CellJudge()}, num_per_genre=200
    )
    for name in (
        "real",
        "rebuilt",
        "swap",
        "fresh",
        "class_conditional",
        "swap_over_real",
        "fresh_over_rebuilt",
    ):
        name = f"cell_{name}"
        assert row[name] == 1.0, name
    assert row["active_units"] == 4
    assert row["reconstruction_rms_db"] == pytest.approx(0.0, abs=1e-3)
    assert row["sharpness_reconstruction"] == pytest.approx(1.0, abs=1e-3)
    assert row["cell_diversity"] == pytest.approx(1.0, abs=0.15)
    assert row["chance"] == pytest.approx(1 / 3)
    assert (row["num_test_clips"], row["num_sampled_clips"]) == (60, 600)


def test_scoreboard_of_a_collapsed_model(stub_features, tiny_config):
    model = StubModel(tiny_config, listens=False)
    row = evaluate_model(model, stub_features, {"cell": CellJudge()})
    error = stub_features.log_mel - tiny_config.unscale(model.decode(np.zeros((60, 4))))
    assert row["reconstruction_rms_db"] == pytest.approx(np.sqrt(np.mean(error**2)))
    assert row["reconstruction_mean_abs_db"] == pytest.approx(np.abs(error).mean())
    assert row["active_units"] == 0
    assert row["kl"] == 0.0
    assert row["cell_diversity"] == row["diversity_log_mel"] == 0.0
    for name in ("cell_rebuilt", "cell_fresh", "cell_class_conditional", "cell_swap"):
        assert row[name] == pytest.approx(1 / 3), name


def test_scoreboard_of_a_model_without_a_label(stub_features, tiny_config):
    model = StubModel(tiny_config, num_genres=0)
    row = evaluate_model(model, stub_features, {"cell": CellJudge()}, max_clips=30)
    assert row["num_test_clips"] == 30
    assert row[["cell_fresh", "cell_class_conditional", "cell_swap"]].isna().all()
    assert (
        row[
            [
                "cell_fresh_over_real",
                "cell_class_conditional_over_real",
                "cell_swap_over_rebuilt",
            ]
        ]
        .isna()
        .all()
    )
    assert row[["cell_rebuilt", "cell_diversity", "kl"]].notna().all()


def test_scoreboard_of_a_model_without_a_prior(stub_features, tiny_config):
    class Autoencoder(StubModel):
        sample_latents = (
            property()
        )  # reading it raises AttributeError, as if it were not there

    model = Autoencoder(tiny_config, num_genres=0)
    row = evaluate_model(model, stub_features, {"cell": CellJudge()})
    assert np.isnan(row["kl"]) and "diversity_log_mel" not in row
    row = evaluate_model(
        model,
        stub_features,
        {"cell": CellJudge()},
        sampler=lambda genres, rng: np.zeros((len(genres), 4)),
    )
    assert row["diversity_log_mel"] == 0.0


class LabelInLatent(StubModel):
    """Its latent says the genre; the decoder plays that, and never looks at the label."""

    def encode(self, clips):
        mean = np.concatenate([clips[:, 0, :1], clips[:, -1, :4]], axis=1)
        return mean, np.zeros_like(mean)

    def decode(self, latents, genres=None):
        return super().decode(latents[:, 1:], np.rint(10.0 * latents[:, 0]))

    def sample_latents(self, genres, seed=0):
        return np.concatenate(
            [np.asarray(genres)[:, None] / 10.0, super().sample_latents(genres, seed)],
            axis=1,
        )


def test_a_model_that_ignores_its_label_is_at_chance_in_fresh_draws(
    stub_features, tiny_config
):
    row = evaluate_model(
        LabelInLatent(tiny_config),
        stub_features,
        {"cell": CellJudge()},
        num_per_genre=60,
    )
    assert (
        row["cell_class_conditional"] == row["cell_rebuilt"] == row["cell_real"] == 1.0
    )
    assert row["cell_fresh"] == row["chance"] == pytest.approx(1 / 3)
    assert row["cell_swap"] == 0.0


def test_a_sampler_is_asked_for_latents_of_every_genre(stub_features, tiny_config):
    drawn = []

    def sampler(genres, rng):
        drawn.append(genres)
        return LabelInLatent(tiny_config).sample_latents(genres)

    row = evaluate_model(
        LabelInLatent(tiny_config),
        stub_features,
        {"cell": CellJudge()},
        sampler=sampler,
    )
    assert (
        row["cell_class_conditional"] == 1.0 and abs(row["cell_fresh"] - 1 / 3) < 0.01
    )
    assert not np.array_equal(*drawn)


def test_sources_say_nothing_of_the_genre_asked_for():
    asked, sources = balanced_genres(4, 12)
    pairs = np.histogram2d(asked, sources, bins=4)[0]
    assert np.all(pairs == 3)
    asked, sources = balanced_genres(6, 50, seed=1)
    pairs = np.histogram2d(asked, sources, bins=6)[0]
    assert pairs.min() == 8 and pairs.max() == 9 and np.all(pairs.sum(axis=1) == 50)
    assert np.array_equal(balanced_genres(6, 50, seed=1)[1], sources)
    assert not np.array_equal(balanced_genres(6, 50, seed=2)[1], sources)


class UnevenJudge(CellJudge):
    """Names the first genre always, the second in every other clip."""

    def predict(self, clips):
        genre = super().predict(clips)
        return np.where((genre == 1) & (np.asarray(clips)[:, -1, 0] < 0.0), 0, genre)


def test_a_perfect_model_has_ratio_one_with_genres_of_unequal_size(tiny_config):
    """180 easy clips and 20 hard ones: the share of all clips would be 0.95, that of balanced samples 0.75."""

    class Perfect(StubModel):
        def sample_latents(self, genres, seed=0):
            return np.tile([[0.2] * 4, [-0.2] * 4], (len(genres) // 2, 1))

    labels = np.repeat([0, 1], [180, 20])
    model = Perfect(tiny_config, num_genres=2)
    log_mel = tiny_config.unscale(model.decode(model.sample_latents(labels), labels))
    table = pd.DataFrame({"genre": np.array(["easy", "hard"])[labels], "split": "test"})
    features = FeatureSet(
        tiny_config, ("easy", "hard"), table, log_mel, pd.DataFrame(), None
    )
    row = evaluate_model(model, features, {"cell": UnevenJudge()})
    assert (
        row["cell_real"] == row["cell_rebuilt"] == row["cell_swap"] == 0.75
        and row["chance"] == 0.5
    )
    for kind in ("swap", "fresh", "class_conditional"):
        assert (
            row[f"cell_{kind}_over_real"] == row[f"cell_{kind}_over_rebuilt"] == 1.0
        ), kind


def test_decoded_clips_are_cut_to_the_range_of_music(stub_features, tiny_config):
    """What lies outside [-1, 1] is never heard: it must not count as diversity, nor reach a judge."""
    seen = []

    class Loud(StubModel):
        def decode(self, latents, genres=None):
            clips = super().decode(latents, genres)
            clips[:, 1] = np.where(np.arange(clips.shape[-1]) % 2, 1.0, -1.0)
            clips[:, 1] *= 1.0 + 5.0 * np.random.default_rng(0).random(
                (len(clips), 1)
            )  # all the same when it is cut
            return clips

    class Watching(CellJudge):
        def predict(self, clips):
            seen.append(np.abs(clips).max())
            return super().predict(clips)

        def embedding(self, clips):
            seen.append(np.abs(clips).max())
            return super().embedding(clips)

    rows = [
        evaluate_model(
            kind(tiny_config), stub_features, {"cell": Watching()}, num_per_genre=20
        )
        for kind in (Loud, StubModel)
    ]
    assert max(seen) <= 1.0
    assert rows[0]["diversity_log_mel"] == pytest.approx(rows[1]["diversity_log_mel"])


def test_scores_do_not_depend_on_how_many_clips_are_heard_at_a_time(
    tiny_config, stub_features, monkeypatch
):
    rows = []
    for piece in (7, 1000):
        monkeypatch.setattr(scores, "PIECE", piece)
        rows.append(
            evaluate_model(StubModel(tiny_config), stub_features, {"cell": CellJudge()})
        )
    pd.testing.assert_series_equal(*rows, rtol=1e-6)


@pytest.fixture(scope="module")
def benchmark(root):
    """The modules `quality`, `tagger` and `transcription` of `tests/benchmarks`."""
    folder = str(root / "tests" / "benchmarks")
    sys.path.insert(0, folder)
    try:
        import quality
        import tagger
        import transcription
    finally:
        sys.path.remove(folder)
    return SimpleNamespace(quality=quality, tagger=tagger, transcription=transcription)


def test_frechet_distance_of_endless_sets(rng, benchmark):
    first, second = rng.standard_normal((2, 300, 20)) + [[[0.0]], [[0.5]]]
    found = benchmark.quality.frechet_at_infinity(first, second)
    # The means are 0.5 apart in 20 dimensions: 5 is right, and what 300 clips a side give is too large.
    assert found == pytest.approx(5.0, abs=0.7)
    assert scores.frechet_distance(first, second) > found + 0.5


def test_a_classifier_tells_what_is_generated(rng, benchmark):
    real = rng.standard_normal((120, 5))
    tracks = [f"track {k // 3}" for k in range(120)]
    test = benchmark.quality.two_sample_accuracy
    assert test(rng.standard_normal((120, 5)) + 9.0, real, tracks) == (1.0, 0.0)
    accuracy, error = test(rng.standard_normal((120, 5)), real, tracks)
    assert abs(accuracy - 0.5) < 0.15 and 0.0 < error < 0.1


def test_tempi_and_notes_that_agree(benchmark):
    heard = benchmark.transcription
    assert heard.tempo_agrees(104.0, 100.0) and not heard.tempo_agrees(104.1, 100.0)
    assert not heard.tempo_agrees(201.0, 100.0)
    assert heard.tempo_agrees(201.0, 100.0, octaves=True)
    assert heard.tempo_agrees(33.0, 100.0, octaves=True)
    first, second = np.zeros((2, 3, 4), bool)
    assert np.isnan(heard.note_overlap(first, second))
    first[0, :2] = True
    second[0, 1:4] = True
    assert heard.note_overlap(first, second) == 2 * 1 / (2 + 3)


def test_a_tagger_hears_many_clips_at_once_and_once(
    rng, benchmark, tmp_path, monkeypatch
):
    tagger = benchmark.tagger
    shapes = {"dense/kernel": (256, 50), "dense/bias": (50,)}
    for k in range(6):
        name = f"batch_normalization_{k}" if k else "batch_normalization"
        for kind in ("beta", "gamma", "moving_mean", "moving_variance"):
            shapes[f"{name}/{kind}"] = (128 if k else 1,)
    for k in range(1, 6):
        shapes[f"{k}CNN/kernel"] = (3, 3, 128 if k > 1 else 1, 128)
        shapes[f"{k}CNN/bias"] = (128,)
    weights = {
        name: rng.uniform(0.01, 0.1, shape).astype(np.float32)
        for name, shape in shapes.items()
    }
    monkeypatch.setattr(tagger, "load_weights", lambda model: weights)
    monkeypatch.setattr(tagger, "CACHE", tmp_path)
    tagger.build_network.cache_clear()
    sounds = rng.uniform(-0.5, 0.5, (2, 22050 * 2)).astype(np.float32)
    both = tagger.hear(sounds, model="MTT_vgg")
    assert {name: len(values[0]) for name, values in both.items()} == {
        **dict.fromkeys(["pool1", "pool2", "pool3", "pool4"], 128),
        "pool5": 256,
        "tags": 50,
    }
    alone = tagger.embed(sounds[1:], model="MTT_vgg")
    np.testing.assert_allclose(alone, both["pool5"][1:], rtol=1e-4)
    monkeypatch.setattr(tagger, "build_network", None)  # nothing is heard twice
    again = tagger.hear(sounds, model="MTT_vgg")
    np.testing.assert_array_equal(again["tags"], both["tags"])


def test_a_row_of_quality_for_each_model_kind_and_network(
    rng, benchmark, tiny_config, tmp_path, monkeypatch
):
    quality = benchmark.quality
    splits = np.repeat(["train", "validation", "test"], 40)
    table = pd.DataFrame(
        {"genre": ["jazz", "rock"] * 60, "split": splits, "group": np.arange(120)}
    )
    clips = tiny_config.unscale(rng.uniform(-0.8, 0.8, (120, *tiny_config.shape)))
    features = FeatureSet(tiny_config, ("jazz", "rock"), table, clips, table[:0])
    model = Sampler(tiny_config.scale(clips[:40]), copies=False, rng=rng)
    model.num_genres = 2

    def hear(sounds, sample_rate, network):
        points = np.array([sound[:6] for sound in sounds])
        return dict.fromkeys(("penultimate", "pool4", "pool5"), points)

    # Sound is the clip itself here; tempo is heard right in every other clip, and the key is always the same.
    monkeypatch.setattr(
        quality, "to_audio", lambda level, config, tempo, seed: level.ravel()
    )
    monkeypatch.setattr(quality.tagger, "hear", hear)
    monkeypatch.setattr(
        quality.transcription, "hear_notes", lambda sound, rate: sound > -30.0
    )
    tempi = iter(range(10**6))
    monkeypatch.setattr(
        quality.transcription, "hear_tempo_and_key", lambda *_: (next(tempi), 3)
    )
    monkeypatch.setattr(
        quality.transcription,
        "tempo_agrees",
        lambda heard, asked, octaves: octaves or heard % 2 == 0,
    )
    monkeypatch.setattr(
        quality,
        "precision_and_coverage",
        lambda generated, real: {"precision": 1.0, "coverage": 0.5},
    )
    rows = quality.measure(features, {"cvae": model}, num_clips=20, num_heard=4)
    path = tmp_path / "quality.csv"
    table = quality.write_rows(rows, path, "known")
    assert table.groupby("kind").size().to_dict() == {
        "near copies: new clips": 2,
        "near copies: training clips, rebuilt": 2,
        "training clips": 5,
        "new clips": 5,
        "fresh draws": 5,
        "rebuilt": 5,
    }
    found = table.set_index(["kind", "network"])
    made = found.loc[("new clips", "MTT_vgg")]
    assert made["clips"] == made["real_clips"] == 20 and abs(made["kad"]) < 10.0
    heard = found.loc[("rebuilt", "madmom, basic-pitch")]
    assert heard["tempo_as_asked"] == 0.5 and heard["tempo_as_asked_or_octave"] == 1.0
    assert heard["key_kept"] == heard["notes_kept"] == 1.0
    assert heard["notes_kept_by_chance"] < 0.7
    # Another music is added, the same is replaced.
    quality.write_rows([{"kind": "new clips"}], path, "open")
    quality.write_rows([{"kind": "new clips"}], path, "known")
    assert sorted(pd.read_csv(path)["music"]) == ["known", "open"]
