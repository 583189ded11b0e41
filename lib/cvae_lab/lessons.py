"""What the notebooks write beneath their cells: a sentence with computed numbers, and the library's own code."""

import inspect

from IPython.display import Markdown, display


def lesson(text):
    """Shows what was learned: a sentence whose numbers a cell has computed, so that it changes with the data."""
    display(Markdown(f"**What we learned.** {text}"))


def show_source(*functions):
    """Shows the code of functions or classes of the library: what is read is what runs."""
    code = "\n".join(inspect.cleandoc("\n" + inspect.getsource(function)) for function in functions)
    display(Markdown(f"```python\n{code}\n```"))
