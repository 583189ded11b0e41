"""Takeaways: sentences with computed numbers that a notebook shows below its cells."""

from __future__ import annotations

import re
from collections.abc import Mapping

from IPython.display import display

MAX_WORDS = 30
MAX_NUMBERS = 3


def takeaway(text: str, outcomes: Mapping[str, bool] | None = None) -> None:
    """Shows a computed sentence and the interpretation that fits its numbers.

    Args:
        text: A sentence whose numbers a cell has computed.
        outcomes: Dictionary interpretation -> whether it holds. The first that holds is
            shown behind the text. The first of all is the one expected on the embedded
            music.

    Raises:
        ValueError: If no outcome holds, or the whole has more than 30 words or three
            numbers.

    Example:
        >>> takeaway("It is 0.9.", {"High.": True, "Low.": False})  # doctest: +SKIP
        What we learned. It is 0.9. High.
    """
    index = 0
    shown = text
    if outcomes is not None:
        held = [k for k, holds in enumerate(outcomes.values()) if holds]
        if not held:
            raise ValueError(
                f"takeaway got {len(outcomes)} outcomes and none holds: "
                f"{list(outcomes)}; expected one for each case."
            )
        index = held[0]
        shown = f"{text} {list(outcomes)[index]}"
    words = len(shown.split())
    numbers = len(re.findall(r"(?<![\w.,])\d+(?:[.,]\d+)*", shown))
    if words > MAX_WORDS or numbers > MAX_NUMBERS:
        raise ValueError(
            f"takeaway got {words} words and {numbers} numbers; expected at most "
            f"{MAX_WORDS} and {MAX_NUMBERS}: {shown!r}"
        )
    found = {
        "text/markdown": f"**What we learned.** {shown}",
        "text/plain": f"What we learned. {shown}",
    }
    display(found, raw=True, metadata={"takeaway": {"outcome": index}})
