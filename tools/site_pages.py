"""What a notebook becomes on the site beside its cells: plumbing folded, sound above, terms explained, figures that scroll."""

import re

import bs4

TERM = re.compile(r'^- <a id="([^"]+)"></a>\*\*(.+?)\*\*: (.+)$', re.M)
HEARD_FIRST = 3  # players above the first section
NO_TERMS = ("a", "code", "pre", "math", "h1", "h2", "h3", "figcaption", "summary")


def read_glossary(path):
    """Reads the terms of a glossary.

    Returns:
        List of dicts in its order: `anchor`, `term` and `meaning`, plain text.
    """
    found = TERM.findall(path.read_text(encoding="utf-8"))
    return [
        {"anchor": anchor, "term": term, "meaning": meaning.replace("`", "")}
        for anchor, term, meaning in found
    ]


def prepare(soup, notebook, root, glossary):
    """Prepares the cells of a notebook for reading without a kernel, in place.

    Args:
        soup: Its cells as HTML of nbconvert's `basic` template.
        notebook: The notebook, for what the HTML leaves out of it.
        root: Way from the page to the root of the site, as `../`.
        glossary: List of `read_glossary`.
    """
    leave_out_setup(soup)
    fold(soup, {cell.get("id"): cell for cell in notebook.cells})
    put_sound_first(soup, root)
    let_figures_scroll(soup)
    explain_terms(soup, root, glossary)


def leave_out_setup(soup):
    """Removes what only somebody who runs the notebook needs."""
    for cell in soup.select(".celltag_setup"):
        cell.decompose()
    for text in soup.select("p > em:first-child"):
        if text.get_text().startswith("No library, says the set-up cell?"):
            text.parent.decompose()
    for output in soup.select(".output_text"):
        if output.get_text().strip().startswith("interactive("):
            output.decompose()  # a widget, which stands here as its first picture


def fold(soup, cells):
    """Folds code that teaches nothing under a title: parameters, imports, harness."""
    for block in soup.select(".code_cell > .input"):
        source = block.get_text().strip()
        if not source:
            continue
        cell = cells.get(block.parent.get("id", "").removeprefix("cell-id="), {})
        title = title_of(source, cell.get("metadata", {}))
        if title:
            block.name = "details"
            summary = soup.new_tag("summary")
            summary.string = title
            block.insert(0, summary)


def title_of(source, metadata):
    """The title that a cell is folded under, or None where it stays open."""
    if "parameters" in metadata.get("tags", ()):
        return "Parameters of this notebook"
    lines = source.splitlines()
    named = re.match(r"# ?@title (.+)", lines[0])
    if named:
        return named[1].strip()
    if metadata.get("jupyter", {}).get("source_hidden"):
        return f"Code, {len(lines)} lines"
    statements = [
        line for line in lines if line and not line.startswith(("#", " ", ")"))
    ]
    if all(line.startswith(("import ", "from ", "session =")) for line in statements):
        return "Imports"
    return None


def put_sound_first(soup, root):
    """Shows the last players before the exercises below the title, too."""
    headings = soup.find_all("h2")
    exercises = [h for h in headings if h.get_text().startswith("Exercises")]
    groups = soup.select(".output_html")
    if exercises:
        groups = exercises[0].find_all_previous(class_="output_html")[::-1]
    groups = [group for group in groups if group.find("audio")]
    # The last that compares some, or else the last.
    groups.sort(key=lambda group: len(group.find_all("audio")) >= HEARD_FIRST)
    title = soup.find("h1")
    if title is None or not groups:
        return
    where = groups[-1].find_parent(class_="cell")
    where["id"] = where.get("id", "last-sound").replace("=", "-")
    links = (
        f'<a href="#{where["id"]}">How it is made</a>',
        f'<a href="{root}index.html">Play the model in this browser</a>',
    )
    hear = soup.new_tag("div", attrs={"class": "hear"})
    words = f"<p>Hear what comes out. {' · '.join(links)}</p>"
    hear.append(bs4.BeautifulSoup(words, "html.parser"))
    for player in groups[-1].find_all("audio")[:HEARD_FIRST]:
        figure = player.find_parent("figure") or player
        hear.append(bs4.BeautifulSoup(str(figure), "html.parser"))
    title.insert_after(hear)


def let_figures_scroll(soup):
    """Lets a figure be wider than a phone: shrunk, its labels could not be read."""
    for picture in soup.find_all("img"):
        frame = soup.new_tag("div", attrs={"class": "figure", "tabindex": "0"})
        picture.wrap(frame)


def explain_terms(soup, root, glossary):
    """Links the first occurrence of each term of the glossary; hovering explains it."""
    if not glossary:
        return
    meanings = {entry["term"].lower(): entry for entry in glossary}
    words = sorted(map(re.escape, meanings), key=len, reverse=True)
    pattern = re.compile(rf"\b({'|'.join(words)})(s?)\b", re.I)
    for text in list(soup.find_all(string=pattern)):
        if text.find_parent(["p", "li"]) is None or text.find_parent(NO_TERMS):
            continue
        pieces = []
        end = 0
        for match in pattern.finditer(text):
            entry = meanings.pop(match[1].lower(), None)
            if entry is None:
                continue
            address = f"{root}notebooks/glossary.html#{entry['anchor']}"
            attrs = {"class": "term", "href": address, "title": entry["meaning"]}
            link = soup.new_tag("a", attrs=attrs)
            link.string = match[0]
            pieces += [text[end : match.start()], link]
            end = match.end()
        if pieces:
            text.replace_with(*pieces, text[end:])
