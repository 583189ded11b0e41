"""Questions that a reader answers before the result, and that answer back."""

from __future__ import annotations

import html
import numbers
from collections.abc import Sequence

import ipywidgets as widgets

NEAR = 0.25  # a number this share of the answer away counts as right


def shown_number(number: float) -> str:
    """Writes a number with three digits or, from 100 on, as a whole number.

    Args:
        number: Any number.

    Returns:
        Text.

    Example:
        >>> shown_number(1440.2), shown_number(0.8361)
        ('1,440', '0.836')
    """
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


class Guess:
    """A question with a field, the answer, and how far off the reader was.

    A notebook shows a widget; a page without a kernel gets the same as a form of HTML,
    which the site's script answers, and whose answer unfolds without any script. The
    score counts the questions of one kernel.

    Args:
        question: The question, plain text.
        answer: A number, or one of the choices.
        unit: What a number counts, such as `"dB"`.
        choices: Sequence of str to choose from; None for a number.
        why: A sentence that explains the answer and is shown with it.

    Example:
        >>> Guess("How loud is silence?", -70.0, "dB").shown_answer
        '-70 dB'
    """

    asked: list[Guess] = []

    def __init__(
        self,
        question: str,
        answer: float | str,
        unit: str = "",
        choices: Sequence[str] | None = None,
        why: str = "",
    ) -> None:
        if choices is not None and answer not in choices:
            raise ValueError(
                f"guess got answer={answer!r}; expected one of the choices "
                f"{list(choices)}."
            )
        if choices is None and not isinstance(answer, numbers.Real):
            raise ValueError(
                f"guess got answer={answer!r} without choices; expected a number, or "
                "choices that hold it."
            )
        self.question = question
        self.answer = answer
        self.unit = unit
        self.choices = choices
        self.why = why
        self.right: bool | None = None
        same = [other for other in self.asked if other.question == question]
        for other in same:  # the cell was run again
            self.asked.remove(other)
        self.asked.append(self)

    @property
    def shown_answer(self) -> str:
        """The answer with its unit, three significant digits."""
        if self.choices is not None:
            return str(self.answer)
        return f"{shown_number(float(self.answer))} {self.unit}".strip()

    @property
    def told(self) -> str:
        """The answer and why, as sentences."""
        return f"{self.shown_answer}. {self.why}".strip()

    def reply(self, given: float | str) -> str:
        """Compares a guess with the answer and counts it.

        Args:
            given: What the reader guesses.

        Returns:
            The answer, the distance and the score, as one line.
        """
        if self.choices is not None:
            self.right = given == self.answer
            verdict = "Right" if self.right else "Not this time"
        else:
            distance = abs(float(given) - float(self.answer))
            self.right = distance <= NEAR * abs(float(self.answer))
            verdict = "Close" if self.right else f"Off by {shown_number(distance)}"
        known = [other.right for other in self.asked if other.right is not None]
        return (
            f"{verdict}. The answer is {self.told} "
            f"Your score: {sum(known)} of {len(known)}."
        )

    def widget(self) -> widgets.Widget:
        """Builds the question, its field and its button out of core widgets."""
        field: widgets.Widget = widgets.FloatText(
            value=0.0, description=self.unit, layout={"width": "14em"}
        )
        if self.choices is not None:
            field = widgets.Dropdown(options=self.choices)
        button = widgets.Button(description="That is my guess")
        answer = widgets.HTML()

        def show(_: object) -> None:
            answer.value = f"<b>{html.escape(self.reply(field.value))}</b>"

        button.on_click(show)
        question = widgets.HTML(f"<b>Guess.</b> {html.escape(self.question)}")
        return widgets.VBox([question, widgets.HBox([field, button]), answer])

    def form(self) -> str:
        """The question as HTML, for pages without a kernel."""
        field = '<input type="number" step="any" aria-label="your guess">'
        if self.choices is not None:
            options = "".join(f"<option>{html.escape(c)}" for c in self.choices)
            field = f'<select aria-label="your guess">{options}</select>'
        return (
            f'<div class="guess" data-answer="{html.escape(str(self.answer))}" '
            f'data-told="{html.escape(self.told)}">'
            f"<p><b>Guess.</b> {html.escape(self.question)}</p>"
            f'<p class="guess-field" hidden>{field} {html.escape(self.unit)} '
            '<button type="button">That is my guess</button></p>'
            f"<details><summary>Answer</summary>{html.escape(self.told)}"
            "</details></div>"
        )

    def _repr_mimebundle_(self, **_: object) -> dict:
        # Widgets of ipywidgets 7, which Colab has, lack this method.
        model_id = self.widget().model_id
        view = {"version_major": 2, "version_minor": 0, "model_id": model_id}
        return {
            "application/vnd.jupyter.widget-view+json": view,
            "text/plain": f"Guess. {self.question} (Answer: {self.told})",
            "text/html": self.form(),
        }


def guess(
    question: str,
    answer: float | str,
    unit: str = "",
    choices: Sequence[str] | None = None,
    why: str = "",
) -> Guess:
    """Asks the reader before the result, for the last line of a cell.

    Args:
        question: The question, plain text.
        answer: A number, or one of the choices.
        unit: What a number counts, such as `"dB"`.
        choices: Sequence of str to choose from; None for a number.
        why: A sentence that explains the answer and is shown with it.

    Returns:
        A `Guess`, which a notebook shows as a widget.

    Raises:
        ValueError: If the answer is no number and none of the choices.

    Example:
        >>> guess("How many genres?", 6, "genres").reply(5)
        'Close. The answer is 6 genres. Your score: 1 of 1.'
    """
    return Guess(question, answer, unit, choices, why)
