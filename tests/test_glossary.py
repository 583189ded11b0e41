"""The glossary: every term has an anchor, none is defined twice, the order is the alphabet's."""

import re
import unicodedata

import pytest

ENTRY = re.compile(r'- <a id="([a-z0-9-]+)"></a>\*\*([^*]+)\*\*: (.+)')


@pytest.fixture(scope="module")
def entries(root):
    """Anchor, term and definition of each line."""
    text = (root / "notebooks" / "glossary.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("- ")]
    unread = [line for line in lines if not ENTRY.fullmatch(line)]
    assert unread == [], "expected - <a id=...></a>**term**: definition"
    return [ENTRY.fullmatch(line).groups() for line in lines]


def plain(term):
    """A term in small letters without accents."""
    letters = unicodedata.normalize("NFKD", term.replace("–", "-"))
    return letters.encode("ascii", "ignore").decode().lower()


def test_anchors_are_the_terms(entries):
    for anchor, term, _ in entries:
        assert anchor == plain(term).replace(" ", "-"), term


def test_no_term_is_defined_twice(entries):
    terms = [plain(term) for _, term, _ in entries]
    assert len(set(terms)) == len(terms) >= 60
    assert terms == sorted(terms)


def test_definitions_are_one_or_two_short_sentences(entries):
    for _, term, definition in entries:
        sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z])", definition)
        assert definition.endswith(".") and len(sentences) <= 2, term
        assert 4 <= len(definition.split()) <= 45, term


def test_names_that_were_given_up_do_not_come_back(root):
    text = (root / "notebooks" / "glossary.md").read_text(encoding="utf-8").lower()
    for old in ("prior obedience", "listener", "sceptic", "cloud", "deaf", "cured"):
        assert old not in text, old
