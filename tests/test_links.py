"""No link of a page or a notebook is dead. Nothing is fetched: addresses elsewhere are checked for their form.

The pages that `make site` builds are checked by tests/browser/test_site.py.
"""

import json
import re
from urllib.parse import unquote, urlsplit

import pytest

PAGES = (
    *("*.md", "docs/*.md", "data/*.md", "lib/**/*.md", "examples/**/*.md"),
    *("notebooks/*.md", "notebooks/*.ipynb", "notebooks/solutions/*.ipynb"),
)
CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]*`", re.M | re.S)
COMMENT = re.compile(r"<!--.*?-->", re.S)
INLINE = re.compile(
    r"\]\(\s*<?([^\s()<>]*(?:\([^\s()]*\)[^\s()<>]*)*)>?(?:\s+\"[^\"]*\")?\s*\)"
)
OTHERS = re.compile(
    r"(?:href|src)=[\"']([^\"']+)[\"']|^\[[^\]]+\]:\s*(\S+)|<(https?:[^>\s]+)>", re.M
)
ADDRESS = re.compile(r"https?://([\w-]+\.)+[a-z]{2,}(:\d+)?([/?#][^\s<>\"|\\^`{}]*)?")


def text_of(path):
    """What a page says: its Markdown, or that of a notebook's cells."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    cells = json.loads(text)["cells"]
    return "\n\n".join(
        "".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"
    )


def links_of(text):
    """Targets of all links and pictures, outside of code and comments."""
    text = COMMENT.sub("", CODE.sub("", text))
    others = ["".join(found) for found in OTHERS.findall(text)]
    return [target for target in [*INLINE.findall(text), *others] if target]


def anchors_of(text):
    """What a link may name after #: headings as GitHub and as Jupyter write them, and ids."""
    found = set(re.findall(r"\b(?:id|name)=[\"']([^\"']+)[\"']", text))
    fenceless = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.M | re.S)
    for heading in re.findall(r"^#{1,6}\s+(.+?)\s*#*$", fenceless, re.M):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        count = sum(
            re.fullmatch(rf"{re.escape(slug)}(-\d+)?", a) is not None for a in found
        )
        found |= {f"{slug}-{count}" if count else slug, shown.replace(" ", "-")}
    return found


def fault(path, target):
    """What is wrong with a link of a page; empty where nothing is."""
    if re.match(r"(mailto|data|attachment):", target):
        return ""
    if "://" in target or target.startswith("//"):
        return "" if ADDRESS.fullmatch(target) else "no address"
    parts = urlsplit(target)
    to = path.parent / unquote(parts.path) if parts.path else path
    if not to.exists():
        return "no such file"
    if parts.fragment and to.suffix in (".md", ".ipynb"):
        if unquote(parts.fragment) not in anchors_of(text_of(to)):
            return "no such heading"
    return ""


def test_links_are_found_where_a_reader_sees_them():
    text = (
        "[a](b.md) ![c](d.png) [e](f_(g).md 'x')\n`[no](no.md)` <!-- [no](no) -->\n"
        '```\n[no](no.md)\n```\n<a href="h#i">j</a> <https://k.org/l>\n[m]: n.md\n'
    )
    text = text.replace("'x'", '"x"')
    expected = ["b.md", "d.png", "f_(g).md", "h#i", "https://k.org/l", "n.md"]
    assert links_of(text) == expected


def test_headings_are_named_as_on_a_page():
    text = "# Why two `tables` differ?\n## A [link](b.md)\n## A link\n```\n# no\n```\n"
    assert anchors_of(text) >= {"why-two-tables-differ", "a-link", "a-link-1", "A-link"}
    assert "no" not in anchors_of(text)


@pytest.mark.parametrize(
    "target, found",
    [
        ("b.md#here-it-is", ""),
        ("#there", ""),
        ("b.md#gone", "no such heading"),
        ("c.md", "no such file"),
        ("https://example.org/a_(b)?c=1#d", ""),
        ("https://example", "no address"),
        ("https://exa mple.org", "no address"),
        ("htp://example.org", "no address"),
        ("mailto:a@example.org", ""),
    ],
)
def test_a_dead_link_is_told(tmp_path, target, found):
    page = tmp_path / "a.md"
    page.write_text("## There\n")
    (tmp_path / "b.md").write_text("# Here it is\n")
    assert fault(page, target) == found


def test_no_link_is_dead(root):
    dead = []
    count = 0
    for path in sorted(path for pattern in PAGES for path in root.glob(pattern)):
        for target in links_of(text_of(path)):
            count += 1
            if wrong := fault(path, target):
                dead.append(f"{path.relative_to(root)}: {target}: {wrong}")
    assert dead == [] and count > 200


def test_addresses_in_the_templates_of_the_site_have_their_form(root):
    for path in (root / "site" / "templates").glob("*"):
        for target in re.findall(r"https?://[^\s\"'<>]+", path.read_text("utf-8")):
            assert ADDRESS.fullmatch(target), f"{path.name}: {target}"
