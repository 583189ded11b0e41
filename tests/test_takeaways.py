"""A takeaway is short, fits its numbers, and says in its output which of its outcomes came true."""

import pytest

from cvae_lab.notebook import takeaways

OUTCOMES = {"It listens.": True, "It does not.": False}


@pytest.fixture
def shown(monkeypatch):
    outputs = []
    monkeypatch.setattr(
        takeaways,
        "display",
        lambda found, raw, metadata: outputs.append((found, metadata)),
    )
    return outputs


def test_the_first_outcome_that_holds_is_shown(shown):
    takeaways.takeaway("Obedience is 0.98.", OUTCOMES)
    takeaways.takeaway(
        "Obedience is 0.20.", {name: not holds for name, holds in OUTCOMES.items()}
    )
    takeaways.takeaway("Eight beats are 4.0 s long.")
    assert [found["text/markdown"] for found, _ in shown] == [
        "**What we learned.** Obedience is 0.98. It listens.",
        "**What we learned.** Obedience is 0.20. It does not.",
        "**What we learned.** Eight beats are 4.0 s long.",
    ]
    assert [metadata["takeaway"]["outcome"] for _, metadata in shown] == [0, 1, 0]


def test_what_no_outcome_fits_is_an_error(shown):
    with pytest.raises(ValueError, match="2 outcomes and none holds.*It listens"):
        takeaways.takeaway("Obedience is 0.5.", dict.fromkeys(OUTCOMES, False))


def test_long_takeaways_and_lists_of_numbers_are_refused(shown):
    takeaways.takeaway("word " * 25 + "1,200 clips, 0.5 dB", {"-3.": True})
    with pytest.raises(
        ValueError, match="31 words and 0 numbers; expected at most 30 and 3"
    ):
        takeaways.takeaway("word " * 29, {"two words": True})
    with pytest.raises(ValueError, match="5 words and 4 numbers"):
        takeaways.takeaway("From 1 2.5 3", {"4%": True})
    assert len(shown) == 1
