"""Drawings: what the script makes, readable on a phone, safe where style sheets are dropped, true to the networks."""

import base64
import itertools
import re
import xml.etree.ElementTree as ElementTree

import drawings
import numpy as np
import pytest
from PIL import Image

from cvae_lab.notebook.drawings import FOLDER, drawing

NAMES = [draw.__name__ for draw in drawings.DRAWINGS]
SMALLEST = 11  # pixels of text on a screen of 360
PHONE = 360
SVG = "{http://www.w3.org/2000/svg}"
# What the sanitisers of GitHub and nbviewer let through, as far as it is used here. The
# style sheet is dropped, which leaves the light colours.
TAGS = set("svg title desc style rect circle polygon path g text".split())
ATTRIBUTES = set(
    "class cx cy d fill font-family font-size font-weight height points r rx stroke "
    "stroke-dasharray stroke-linejoin stroke-width text-anchor transform viewBox width "
    "x y".split()
)
WITHOUT_EFFECT = {"role", "shape-rendering", "style"}  # if they are dropped


@pytest.fixture(scope="module", params=NAMES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def svg(name):
    return (FOLDER / f"{name}.svg").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tree(svg):
    return ElementTree.fromstring(svg)


def text_boxes(tree):
    """Text, left, top, right and bottom of each line of text, in units."""
    for text in tree.iter(f"{SVG}text"):
        size = float(text.get("font-size"))
        bold = text.get("font-weight") == "bold"
        width = drawings.text_width(text.text, size, bold)
        share = {"start": 0.0, "middle": 0.5, "end": 1.0}[text.get("text-anchor")]
        left = float(text.get("x")) - share * width
        base = float(text.get("y"))
        yield text.text, left, base - 0.75 * size, left + width, base + 0.22 * size


def luminance(colour):
    values = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(
        values <= 0.03928, values / 12.92, ((values + 0.055) / 1.055) ** 2.4
    )
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(first, second):
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_file_is_what_the_script_makes(name, svg):
    made = getattr(drawings, name)().svg()
    if made == svg:
        return
    # Another processor may round a level to the next colour, here and there.
    parts = [re.split(r' d="([^"]*)"', text) for text in (made, svg)]
    fix = "Run: python tools/drawings.py"
    assert parts[0][::2] == parts[1][::2], f"{name}.svg is not what is drawn. {fix}"
    lengths = [sum(map(len, part[1::2])) for part in parts]
    assert np.isclose(*lengths, rtol=0.01), f"{name}.svg is not what is drawn. {fix}"


def test_every_drawing_has_its_files_and_no_other():
    files = sorted(path.name for path in FOLDER.iterdir())
    assert files == sorted(f"{name}.{end}" for name in NAMES for end in ("svg", "png"))


def test_png_was_made_of_this_svg(name, svg):
    with Image.open(FOLDER / f"{name}.png") as image:
        shown, (width, height) = image.text["svg"], image.size
    fix = "Install Chromium, then run: python tools/drawings.py"
    assert shown == drawings.digest(svg), f"{name}.png is of another SVG. {fix}"
    box = [float(value) for value in re.search(r'viewBox="([^"]*)"', svg)[1].split()]
    assert abs(width / height - box[2] / box[3]) < 0.01


def test_alt_text_says_what_is_seen(tree):
    title, seen = tree.find(f"{SVG}title").text, tree.find(f"{SVG}desc").text
    assert tree.get("role") == "img" and list(tree)[0].tag == f"{SVG}title"
    assert 1 <= len(title.split()) <= 12 and 12 <= len(seen.split()) <= 90
    assert seen.endswith(".") and "  " not in seen


def test_titles_differ():
    titles = [drawing(name).alt.partition(".")[0] for name in NAMES]
    assert len(set(titles)) == len(titles)


def test_text_is_large_enough_on_a_phone(tree):
    units = float(tree.get("viewBox").split()[2])
    sizes = [float(text.get("font-size")) for text in tree.iter(f"{SVG}text")]
    assert sizes and min(sizes) * PHONE / units >= SMALLEST


def test_text_stays_inside_and_apart(tree):
    _, _, width, height = map(float, tree.get("viewBox").split())
    boxes = list(text_boxes(tree))
    for text, left, top, right, bottom in boxes:
        assert left > 4 and right < width - 4 and top > 0 and bottom < height, text
    for one, other in itertools.combinations(boxes, 2):
        across = min(one[3], other[3]) - max(one[1], other[1])
        down = min(one[4], other[4]) - max(one[2], other[2])
        assert across <= 0 or down <= 0, f"{one[0]!r} lies on {other[0]!r}"


def test_few_words(tree):
    shown = " ".join(text.text for text in tree.iter(f"{SVG}text"))
    assert len(re.findall(r"[A-Za-z-]{2,}", shown)) <= 55


def test_only_what_a_sanitiser_lets_through(tree):
    for element in tree.iter():
        assert element.tag.removeprefix(SVG) in TAGS
        assert set(element.attrib) <= ATTRIBUTES | WITHOUT_EFFECT
        if element.tag.removeprefix(SVG) in {"rect", "circle", "polygon", "text"}:
            assert element.get("fill"), "it would be black without a style sheet"


def test_text_can_be_read_in_light_and_dark():
    for role, (fill, line, dark_fill, dark_line) in drawings.ROLES.items():
        if role == "paper":
            continue
        for paper in (drawings.ROLES["paper"][0], fill if role != "ink" else "#ffffff"):
            assert contrast(line, paper) >= 4.5, role
        for paper in (
            drawings.ROLES["paper"][2],
            dark_fill if role != "ink" else "#000000",
        ):
            assert contrast(dark_line, paper) >= 4.5, role
        for ink, background in ((1, fill), (3, dark_fill)):
            if role != "ink":
                assert contrast(drawings.ROLES["ink"][ink], background) >= 4.5, role


def test_a_text_that_does_not_fit_is_refused():
    d = drawings.Drawing("A title", "What is seen.", 100)
    with pytest.raises(ValueError, match="Write less, or widen the box"):
        d.box(10, 10, 60, 30, "much too long for it", "net")
    with pytest.raises(ValueError, match="leaves the drawing"):
        d.label(470, 50, "beyond the edge")
    with pytest.raises(ValueError, match="another height"):
        d.label(100, 99, "too low")


def test_notebooks_show_svg_png_and_alt_text():
    shown, metadata = drawing("film_block")._repr_mimebundle_()
    assert shown["image/svg+xml"].startswith("<svg ")
    assert base64.b64decode(shown["image/png"]).startswith(b"\x89PNG")
    assert shown["text/plain"].startswith("The residual block with FiLM. ")
    assert metadata == {"image/png": {"alt": shown["text/plain"]}}
    with pytest.raises(ValueError, match="'film'; expected one of .*'film_block'"):
        drawing("film")


def test_shapes_are_those_of_the_networks():
    from cvae_music.models.networks import build_conditional_decoder, build_encoder

    sizes = ((128, 128), 32, 8, 208, 3)
    networks = (
        ("encoder", build_encoder(*sizes), ("patch", "half_beat", "beat")),
        (
            "conditional_decoder",
            build_conditional_decoder(*sizes, num_genres=6),
            ("beats", "half_2_out", "quarter_1_out", "log_mel"),
        ),
    )
    for name, network, layers in networks:
        told = drawing(name).svg
        for layer in layers:
            _, tokens, channels = network.get_layer(layer).output.shape
            assert f">{tokens} × {channels}<" in told, f"{name}: {layer}"


def test_loss_drawing_has_the_terms_of_the_library():
    from cvae_music import ConditionalVAE

    terms = set(ConditionalVAE.metric_names) - {"loss", "rms_db", "kl_weight"}
    assert terms == {"reconstruction", "kl"}, "drawings.LOSS_TERMS shows these two"
    told = {name for _, name, _ in drawings.LOSS_TERMS}
    assert told == {"reconstruction", "β × KL divergence"}
