"""What a notebook writes beneath its cells: a sentence with computed numbers, and what they mean."""

import re

from IPython.display import display

MOST_WORDS, MOST_NUMBERS = 30, 3


def lesson(text, outcomes=None):
    """Shows what was learned, in words that fit the numbers however they come out.

    Args:
        text: A sentence whose numbers a cell has computed.
        outcomes: Dictionary interpretation -> whether it holds. The first that holds is shown behind the text; the first of
            all is what is expected on the embedded music.

    Raises:
        ValueError: If no outcome holds, or what would be shown has more than 30 words or three numbers.
    """
    held = [
        place for place, holds in enumerate((outcomes or {"": True}).values()) if holds
    ]
    if not held:
        raise ValueError(
            f"lesson got {len(outcomes)} outcomes and none holds: {list(outcomes)}; expected one for each case."
        )
    shown = f"{text} {list(outcomes)[held[0]]}" if outcomes else text
    words, numbers = (
        len(shown.split()),
        len(re.findall(r"(?<![\w.,])\d+(?:[.,]\d+)*", shown)),
    )
    if words > MOST_WORDS or numbers > MOST_NUMBERS:
        raise ValueError(
            f"lesson got {words} words and {numbers} numbers; expected at most {MOST_WORDS} and {MOST_NUMBERS}: {shown!r}"
        )
    found = {
        "text/markdown": f"**What we learned.** {shown}",
        "text/plain": f"What we learned. {shown}",
    }
    display(found, raw=True, metadata={"lesson": {"outcome": held[0]}})
