"""An evening in the studio: hundreds of clips leave no more memory behind than the first ones."""

import sys

import pytest

import cvae_music as cm

resource = pytest.importorskip("resource", reason="this system counts no memory")

NUM_CLIPS = 500
WARM_UP = 100  # the history is full, every genre was played, every cache is made
MOST_GROWTH = 25.0  # MB; a clip's sound and picture, kept by mistake, would be 200


def peak_megabytes():
    """The most memory that this process ever held."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / 2**20 if sys.platform == "darwin" else used / 2**10


@pytest.mark.slow
def test_five_hundred_clips_leave_memory_flat(tmp_path):
    studio = cm.Studio.from_preset("known_cvae", folder=tmp_path)
    for number in range(NUM_CLIPS):
        studio.surprise()
        assert studio.panel.status.value.count("Ready"), studio.panel.status.value
        if number % 50 == 0:
            studio.keep("AB"[number // 50 % 2])
            studio.compare()
        if number == WARM_UP:
            before = peak_megabytes()
    assert studio.count == NUM_CLIPS + 1 and len(studio.history) == 30
    assert peak_megabytes() - before < MOST_GROWTH
