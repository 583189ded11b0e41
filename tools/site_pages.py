"""What a notebook becomes on the site beside its cells: plumbing folded, sound above, terms explained, figures that scroll."""

import base64
import hashlib
import re
import struct

import bs4

TERM = re.compile(r'^- <a id="([^"]+)"></a>\*\*(.+?)\*\*: (.+)$', re.M)
TITLE = re.compile(r"# ?@title (.+)\n?")
FOLDED = {"parameters": "Parameters of this notebook", "setup": "Set-up"}
HEARD_FIRST = 3  # players above the first section
ENDINGS = {
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/ogg": "ogg",
    "image/gif": "gif",
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/svg+xml": "svg",
}
NO_TERMS = (
    "a",
    "code",
    "pre",
    "math",
    "h1",
    "h2",
    "h3",
    "figcaption",
    "summary",
    "details",
    "button",
)


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


def take_titles(notebook):
    """Takes the titles of folded cells out of their code, in place.

    Args:
        notebook: The notebook; lines such as `# @title Picture: the loss` go.

    Returns:
        Dict from the id of each cell that is to be folded to its title.
    """
    titles = {}
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        title = title_of(cell)
        if title:
            titles[cell.get("id")] = title
            cell.source = TITLE.sub("", cell.source, count=1)
    return titles


def title_of(cell):
    """The title that a cell is folded under, or None where it stays open."""
    named = TITLE.match(cell.source)
    if named:
        return named[1].strip()
    tags = cell.metadata.get("tags", ())
    for tag, title in FOLDED.items():
        if tag in tags:
            return title
    lines = cell.source.splitlines()
    if "fold" in tags or cell.metadata.get("jupyter", {}).get("source_hidden"):
        return f"Code, {len(lines)} line{'s' if len(lines) > 1 else ''}"
    statements = [
        line for line in lines if line and not line.startswith(("#", " ", ")"))
    ]
    starts = ("import ", "from ", "session =")
    if statements and all(line.startswith(starts) for line in statements):
        return "Imports"
    return None


def prepare(soup, titles, root, glossary):
    """Prepares the cells of a notebook for reading without a kernel, in place.

    Args:
        soup: Its cells as HTML of nbconvert's `basic` template.
        titles: Dict of `take_titles`.
        root: Way from the page to the root of the site, as `../`.
        glossary: List of `read_glossary`.
    """
    leave_out_setup(soup)
    fold(soup, titles)
    put_sound_first(soup, root)
    let_figures_scroll(soup)
    explain_terms(soup, root, glossary)


def leave_out_setup(soup):
    """Removes what only somebody who runs the notebook needs to read."""
    for text in soup.select("p > em:first-child"):
        if text.get_text().startswith("No library, says the set-up cell?"):
            text.parent.decompose()
    for text in soup.find_all("p"):
        if not re.match(r"\s*(Previous|Next): ", text.get_text()):
            continue
        # The page has its own way to the one before and the next.
        solutions = text.find("a", string="Solutions")
        text.clear()
        if solutions:
            text.extend([solutions, " of the exercises."])
        else:
            text.decompose()
    for script in soup.find_all("script"):
        script.decompose()  # of the players; the page loads it once
    for output in soup.select(".output_text"):
        if output.get_text().strip().startswith("interactive("):
            output.decompose()  # a widget, which stands here as its first picture


def fold(soup, titles):
    """Folds the code of some cells under their titles; outputs stay."""
    for cell in soup.select(".code_cell"):
        title = titles.get(cell.get("id", "").removeprefix("cell-id="))
        block = cell.find(class_="input")
        if not title or block is None:
            continue
        if title == FOLDED["setup"]:
            block.decompose()  # it finds the library, which a reader here needs not
            continue
        block.name = "details"
        summary = soup.new_tag("summary")
        summary.string = title
        block.insert(0, summary)
        if not block.find("pre").get_text(strip=True):
            block.decompose()  # nothing but a title


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
    """Lets a figure be wider than a phone: its labels would be too small to be read."""
    for picture in soup.find_all("img"):
        if picture["src"].startswith("data:image/svg"):
            picture["class"] = "drawing"  # its letters are large: it shrinks
            continue
        frame = soup.new_tag("div", attrs={"class": "figure", "tabindex": "0"})
        picture.wrap(frame)


def explain_terms(soup, root, glossary):
    """Links the first occurrence of each term of the glossary; hovering explains it."""
    if not glossary:
        return
    meanings = {entry["term"].lower(): entry for entry in glossary}
    anchors = {entry["anchor"]: entry for entry in glossary}
    for link in soup.select('a[href*="glossary.html#"]'):  # the text's own links
        entry = anchors.get(link["href"].partition("#")[2])
        if entry:
            link["class"], link["title"] = "term", entry["meaning"]
            meanings.pop(entry["term"].lower(), None)
    words = sorted(map(re.escape, meanings), key=len, reverse=True) or ["(?!)"]
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


def store_media(soup, output, address):
    """Moves sounds and pictures out of a page into files that load when they are seen.

    Args:
        soup: The page, or its cells; sources become relative addresses, in place.
        output: Folder of the site.
        address: Address of the page, from the root of the site.
    """
    folder = output / "media"
    folder.mkdir(exist_ok=True)
    for tag in soup.select('img[src^="data:"], audio[src^="data:"]'):
        kind, _, content = tag["src"].removeprefix("data:").partition(";base64,")
        content = base64.b64decode(content)
        name = f"{hashlib.sha256(content).hexdigest()[:16]}.{ENDINGS[kind]}"
        (folder / name).write_bytes(content)
        tag["src"] = "../" * address.count("/") + f"media/{name}"
        if tag.name == "audio":
            tag["preload"] = "none"
        else:
            tag["loading"] = "lazy"
        if kind == "image/png":  # so that the page keeps its length while they load
            width, height = struct.unpack(">II", content[16:24])
            tag["width"], tag["height"] = (
                tag.get("width", width),
                tag.get("height", height),
            )
            tag["style"] = f"--natural: {tag['width']}px"
