"""Clusters and probes on points whose groups are known, intervals, and rows that are out of step."""

import io

import numpy as np
import pytest
import soundfile
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score, silhouette_score

from cvae_lab.judges.descriptors import mean_and_spread
from cvae_lab.measures import clustering, scores
from cvae_lab.notebook import clip_map


def blobs(spread, seed=0, num=60):
    """Three groups of points in four dimensions, 10 apart."""
    labels = np.repeat([0, 1, 2], num)
    noise = np.random.default_rng(seed).standard_normal((3 * num, 4))
    return 10.0 * np.eye(3, 4)[labels] + spread * noise, labels


def test_groups_apart_are_found():
    table = clustering.cluster_scores(*blobs(1.0), *blobs(1.0, seed=1), num_boots=20)
    found = table["score"].drop("silhouette")
    assert found.to_numpy() == pytest.approx(1.0) and table.loc[
        found.index, "low"
    ].to_numpy() == pytest.approx(1.0)
    assert table.loc["silhouette", "score"] == pytest.approx(
        silhouette_score(*blobs(1.0, seed=1))
    )


@pytest.mark.parametrize("labels", [[0, 1], [0, 0]])
def test_one_test_clip_a_genre_or_one_genre_has_no_silhouette(labels):
    points = np.array([[0.0, 0.0], [3.0, 4.0]])
    table = clustering.cluster_scores(points, labels, points, labels, num_boots=3)
    assert np.isnan(table.loc["silhouette"]).all()
    assert table["score"].drop("silhouette").notna().all()


def test_points_without_groups_score_chance():
    points, labels = blobs(1.0)
    noise = np.random.default_rng(2).standard_normal(points.shape)
    table = clustering.cluster_scores(noise, labels, noise[::-1], labels, num_boots=50)
    assert table.loc[["kmeans_ari", "gmm_ari"], "score"].abs().max() < 0.05
    assert abs(table.loc["knn_accuracy", "score"] - 1 / 3) < 0.12


def test_interval_holds_the_score_and_is_wider_for_few_groups():
    (points, labels), (held, held_labels) = blobs(5.0), blobs(5.0, seed=1)
    each = clustering.cluster_scores(points, labels, held, held_labels, num_boots=200)
    assert ((each["low"] <= each["score"]) & (each["score"] <= each["high"])).all()
    tracks = np.repeat(np.arange(9), 20)
    few = clustering.cluster_scores(
        points, labels, held, held_labels, groups=tracks, num_boots=200
    )
    assert (few["score"] == each["score"]).all()
    width = {
        name: table.loc["silhouette", "high"] - table.loc["silhouette", "low"]
        for name, table in {"each": each, "few": few}.items()
    }
    assert width["few"] != width["each"]


def test_shuffled_labels_are_worth_nothing_and_shuffled_rows_are_found():
    points, labels = blobs(1.0)
    order = np.random.default_rng(0).permutation(len(points))
    table = clustering.cluster_scores(
        points, labels, points[order], labels, num_boots=5
    )
    assert (
        abs(table.loc["kmeans_ari", "score"]) < 0.05
        and adjusted_rand_score(labels, labels) == 1.0
    )
    clustering.check_alignment(lambda clips: 2.0 * clips, points, 2.0 * points)
    with pytest.raises(ValueError, match="belong to other clips"):
        clustering.check_alignment(
            lambda clips: 2.0 * clips, points, 2.0 * points[order]
        )
    with pytest.raises(ValueError, match="one point for each"):
        clustering.check_alignment(lambda clips: clips, points, points[1:])


def test_one_label_a_point():
    points, labels = blobs(1.0)
    with pytest.raises(ValueError, match="one label a point"):
        clustering.cluster_scores(points, labels[1:], points, labels)


def test_baselines_keep_rows_and_use_the_training_clips_scale():
    rng = np.random.default_rng(0)
    train, test = (
        rng.normal(-40, 10, (size, 16, 24)).astype(np.float32) for size in (30, 10)
    )
    made = clustering.baseline_points(train, test, num_components=5)
    assert {name: tuple(map(np.shape, points)) for name, points in made.items()} == {
        "log-mel statistics": ((30, 48), (10, 48)),
        "MFCC statistics": ((30, 40), (10, 40)),
        "PCA": ((30, 5), (10, 5)),
    }
    assert made["log-mel statistics"][0].mean(axis=0) == pytest.approx(
        np.zeros(48), abs=1e-4
    )
    assert mean_and_spread(train)[3, 5] == pytest.approx(
        train[3, :, 5].mean(), rel=1e-5
    )


def test_principal_components_are_those_of_scikit_learn_however_many_are_read_at_a_time(
    monkeypatch,
):
    rng = np.random.default_rng(0)
    flat = rng.normal(-40, 1, (300, 40)) @ np.diag(0.9 ** np.arange(40)) + rng.normal(
        0, 5, 40
    )
    expected = PCA(5).fit(flat)
    for piece in (7, 1000):
        monkeypatch.setattr(scores, "PIECE", piece)
        found = clustering.principal_components(flat.reshape(300, 8, 5), 5)(
            flat.reshape(300, 8, 5)
        )
        np.testing.assert_allclose(
            np.abs(found), np.abs(expected.transform(flat)), atol=0.02
        )


def test_probe_reads_what_is_there():
    assert scores.probe_accuracy(*blobs(1.0), *blobs(1.0, seed=1)) == 1.0
    points, labels = blobs(1.0)
    shuffled = np.random.default_rng(3).permutation(labels)
    assert scores.probe_accuracy(points, shuffled, *blobs(1.0, seed=1)) < 0.75
    with pytest.raises(ValueError, match="inconsistent numbers"):
        scores.probe_accuracy(points, labels[1:], points, labels)


def test_generated_clips_teach_only_what_they_hold():
    real, labels = blobs(1.0, seed=1)
    one_each = np.repeat(real[::60], 60, axis=0)
    assert (
        scores.classification_accuracy(
            blobs(1.0)[0], labels, real, labels, lambda clips: clips
        )
        == 1.0
    )
    wrong = scores.classification_accuracy(
        one_each, np.roll(labels, 60), real, labels, lambda clips: clips
    )
    assert wrong < 0.05


def test_every_clip_has_a_cell_of_its_own_near_its_place(monkeypatch):
    monkeypatch.setattr(clip_map, "COLUMNS", 5)
    monkeypatch.setattr(clip_map, "ROWS", 3)
    corners = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 1.0]])
    places = clip_map.grid_cells(corners)
    assert places[:3].tolist() == [[0, 2], [4, 0], [0, 0]]
    assert sorted(map(abs, places[3] - [4, 0])) == [
        0,
        1,
    ]  # its cell is taken: the next one
    with pytest.raises(ValueError, match="at most 15"):
        clip_map.grid_cells(np.zeros((16, 2)))


def test_a_click_on_the_map_plays_that_clip(tiny_config):
    clips = {0: np.zeros(800), 1: np.full(800, 0.25)}
    assert clip_map.short_names(["rock", "reggae", "jazz", "rock and roll"]) == [
        "rock",
        "re",
        "j",
        "rock ",
    ]
    box = clip_map.clip_map(np.eye(2), [1, 0], ["jazz", "rock"], clips.get, tiny_config)
    grid, heard, audio = box.children
    assert [button.description for button in grid.children] == ["r", "j"]
    grid.children[1].click()
    samples, rate = soundfile.read(io.BytesIO(audio.value))
    assert rate == tiny_config.sample_rate and samples == pytest.approx(
        clips[1], abs=1e-3
    )
    assert heard.value == "jazz, clip 1"
