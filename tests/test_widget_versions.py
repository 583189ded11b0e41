"""The studio sets nothing that the widgets of ipywidgets 7 do not have."""

import html
import inspect

import ipywidgets as widgets
import open_studio
import pytest
import studio_page

from cvae_music.studio import panel

# What ipywidgets 7.7 and 7.8 know, beside `layout`, `style` and their tooltip.
LABELLED = "description disabled value"
NUMBER = f"{LABELLED} continuous_update max min step"
CHOICE = "description disabled index label options value"
SEVEN = {
    "Accordion": "box_style children selected_index titles",  # by `set_title`, in 7
    "BoundedFloatText": NUMBER,
    "BoundedIntText": NUMBER,
    "Button": "button_style description disabled icon",
    "Checkbox": f"{LABELLED} indent",
    "Dropdown": CHOICE,
    "FileUpload": f"{LABELLED} accept button_style data error icon metadata multiple",
    "FloatSlider": f"{NUMBER} orientation readout readout_format",
    "HBox": "box_style children",
    "HTML": "description placeholder value",
    "Select": f"{CHOICE} rows",
    "Text": f"{LABELLED} continuous_update placeholder",
    "Textarea": f"{LABELLED} continuous_update placeholder rows",
    "VBox": "box_style children",
}
STYLES = {"button_color", "description_width", "font_weight", "handle_color"}
LAYOUTS = set(
    "align_content align_items align_self border bottom display flex flex_flow "
    "grid_area grid_auto_columns grid_auto_flow grid_auto_rows grid_column grid_gap "
    "grid_row grid_template_areas grid_template_columns grid_template_rows height "
    "justify_content justify_items left margin max_height max_width min_height "
    "min_width object_fit object_position order overflow padding right top visibility "
    "width".split()
)
PARTS = {"layout", "style"}
# `description_tooltip` becomes this one in ipywidgets 8, and is a name of its own in 7.
TOOLTIPS = {"tooltip", "description_tooltip"}


def walk(widget):
    """A widget and all that it holds."""
    yield widget
    for child in getattr(widget, "children", ()):
        yield from walk(child)


def was_set(thing):
    """Names of the traits of a widget that are not as a new one has them."""
    names = {name for name in thing.trait_names(sync=True) if name[0] != "_"}
    defaults = thing.trait_defaults()
    return {name for name in names if getattr(thing, name) != defaults.get(name)}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CVAE_MUSIC_OUTPUT", str(tmp_path_factory.mktemp("output")))
        page = studio_page.MusicChoice(open_studio.PRESETS)
        page.studio.keep("A")
        page.studio.keep("B")
        page.studio.compare()
        yield page


def test_widgets_set_what_ipywidgets_7_has(page):
    strangers = set()
    kinds = set()
    for widget in walk(page):
        kind = next(base for base in type(widget).__mro__ if base.__name__ in SEVEN)
        assert getattr(widgets, kind.__name__) is kind
        kinds.add(kind.__name__)
        known = {*SEVEN[kind.__name__].split(), *PARTS, *TOOLTIPS}
        strangers |= {(kind.__name__, name) for name in was_set(widget) - known}
        strangers |= {("layout", name) for name in was_set(widget.layout) - LAYOUTS}
        if hasattr(widget, "style"):
            strangers |= {("style", name) for name in was_set(widget.style) - STYLES}
    assert strangers == set()
    assert kinds == set(SEVEN)  # nothing is listed that is not used


def test_titles_are_set_in_the_way_of_both_versions():
    source = inspect.getsource(panel)
    assert ".set_title(" in source and "titles=" not in source


def test_what_ipywidgets_7_does_not_show_is_said_in_words(page):
    page.studio.swap("house")
    shown = page.studio.panel
    idle = [row for row in shown.rows.values() if row.children[0].disabled]
    assert idle  # their tooltips are those of ipywidgets 8
    words = html.unescape(shown.idle.value)
    for row in idle:
        assert row.children[0].description in words
