"""What tests of several files ask."""

import warnings


def warned(action):
    """The warnings of an action that say that something is not finished."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        action()
    texts = [str(each.message) for each in found]
    return [text for text in texts if "not finished" in text]
