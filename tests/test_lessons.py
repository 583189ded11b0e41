"""Numbers of lessons are looked for in the outputs of their section; guesses answer."""

import ipywidgets as widgets
import lessons
import nbformat.v4 as v4
import pytest

from cvae_lab.notebook.guesses import Guess, guess


def notebook(*cells):
    return v4.new_notebook(cells=list(cells))


def lesson(text):
    return v4.new_markdown_cell(text, metadata={"tags": ["lesson"]})


def printed(text):
    return v4.new_code_cell("", outputs=[v4.new_output("stream", text=text)])


TABLE = v4.new_code_cell(
    "",
    outputs=[
        v4.new_output(
            "display_data",
            {"text/html": "<table><td>-7.354</td><td>1,440</td><td>0.836</td></table>"},
        )
    ],
)


@pytest.mark.parametrize(
    "text",
    [
        "The error is 7.4 dB.",
        "It is 7.35 dB after 1,440 steps.",
        "In 84 % of swaps, or 0.84.",
        "Notebook 04 and section 3 say so, in 2014.",
        "Of `latent[:32]` and [a link](04_x.ipynb#5).",
    ],
)
def test_numbers_rounded_as_written_are_found(text):
    assert lessons.problems_of(notebook(TABLE, lesson(text))) == []


@pytest.mark.parametrize(
    "text, nearest",
    [("It is 7.45 dB.", -7.354), ("In 83 % of swaps.", -7.354), ("3 of them.", 0.836)],
)
def test_others_are_named_with_the_nearest(text, nearest):
    (problem,) = lessons.problems_of(notebook(TABLE, lesson(text)))
    assert f"nearest number there is {nearest}" in problem


def test_a_lesson_may_not_use_outputs_of_another_section_but_the_answer_may():
    heading = v4.new_markdown_cell("## 2. Next")
    answer = lesson("## The answer\n\nIt is 7.4 dB.")
    other = lesson("It is 7.4 dB.")
    assert len(lessons.problems_of(notebook(TABLE, heading, printed("1"), other))) == 1
    assert lessons.problems_of(notebook(TABLE, heading, answer)) == []


def test_a_remark_after_an_output_is_held_against_it_and_an_introduction_is_not():
    remark = v4.new_markdown_cell("It is 7.5 dB.")
    (problem,) = lessons.problems_of(notebook(TABLE, remark))
    assert "7.5 is in no output" in problem
    assert len(lessons.problems_of(notebook(TABLE, remark, lesson("So.")))) == 1
    assert lessons.problems_of(notebook(TABLE, remark, printed("1"))) == []
    links = v4.new_markdown_cell("<!-- links: made --> 04")
    assert lessons.problems_of(notebook(TABLE, links)) == []


def test_sounds_and_pictures_are_no_numbers():
    player = '<audio src="data:audio/mpeg;base64,7+7/7"><script>atob("+7/")</script>'
    cell = v4.new_code_cell(
        "", outputs=[v4.new_output("display_data", {"text/html": player})]
    )
    assert len(lessons.problems_of(notebook(cell, lesson("There are 7.")))) == 1


@pytest.fixture(autouse=True)
def no_guesses(monkeypatch):
    monkeypatch.setattr(Guess, "asked", [])


def test_a_guess_says_how_far_off_it_was_and_keeps_the_score():
    first = guess("How loud?", -20.0, "dB")
    assert first.reply(-18) == ("Close. The answer is -20 dB. Your score: 1 of 1.")
    second = guess("Which genre?", "jazz", choices=["jazz", "rock"])
    assert second.reply("rock").startswith("Not this time. The answer is jazz.")
    assert second.reply("rock").endswith("1 of 2.")
    assert guess("How many?", 1440).reply(10).startswith("Off by 1,430.")
    again = guess("How loud?", -20.0, "dB")  # the cell was run again
    assert [one.question for one in Guess.asked].count("How loud?") == 1
    assert again.reply(0).endswith("Your score: 0 of 3.")


def test_a_guess_is_a_widget_and_a_form():
    bundle = guess("Is 1 < 2?", "yes", choices=["yes", "no"])._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "Is 1 &lt; 2?" in bundle["text/html"]
    assert 'data-answer="yes"' in bundle["text/html"]


def test_a_guess_is_shown_by_ipywidgets_7_too(monkeypatch):
    monkeypatch.delattr(widgets.Widget, "_repr_mimebundle_")  # Colab has 7
    asked = guess("How many?", 3.0)
    box = asked.widget()
    monkeypatch.setattr(asked, "widget", lambda: box)
    shown = asked._repr_mimebundle_()["application/vnd.jupyter.widget-view+json"]
    assert shown["model_id"] == box.model_id


def test_a_guess_explains_its_answer():
    asked = guess("How loud is silence?", -70.0, "dB", why="That is the <floor>.")
    told = "-70 dB. That is the <floor>."
    assert f"The answer is {told} Your score" in asked.reply(0)
    assert told in asked._repr_mimebundle_()["text/plain"]
    form = asked.form()
    assert form.count("-70 dB. That is the &lt;floor&gt;.") == 2


def test_the_button_answers():
    box = guess("How many?", 3.0).widget()
    field, button = box.children[1].children
    field.value = 3.0
    button.click()
    assert "The answer is 3." in box.children[2].value


def test_an_answer_that_cannot_be_given_is_refused():
    with pytest.raises(ValueError, match="expected one of the choices"):
        guess("Which?", "pop", choices=["jazz"])
    with pytest.raises(ValueError, match="without choices"):
        guess("Which?", "pop")
