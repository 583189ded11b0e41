"""Builds the static site in outputs/site: the executed notebooks as pages, a search, and a front page that plays.

    python tools/build_site.py [--output outputs/site]

`make site` calls it, after it has installed what it needs. The networks of the presets that ship are exported once,
see `site_networks.py`; what the page computes itself (draws, mixes, sliders, phases) is in site/scripts. Nothing on the
site loads from another host.
"""

import argparse
import base64
import gzip
import html
import json
import re
import shutil
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import bs4
import jinja2
import latex2mathml.converter
import markupsafe
import nbformat
import numpy as np
import site_networks
import site_pages
from matplotlib.figure import Figure
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments.formatters import HtmlFormatter

from cvae_music import players, saving

ROOT = Path(__file__).resolve().parents[1]
SITE, NOTEBOOKS = ROOT / "site", ROOT / "notebooks"
DESCRIPTION = (
    "A conditional variational autoencoder that plays in the browser: one idea in "
    "every genre, your own clip as another, and {} notebooks that build it."
)
DESCRIPTION_OF_PAGE = "A notebook with its code, sounds and pictures, as it was run."
RUNTIME = SITE / "node_modules" / "onnxruntime-web" / "dist"


def main():
    # Names of folders and music may hold signs that a console cannot show.
    sys.stdout.reconfigure(errors="backslashreplace")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "outputs" / "site")
    parser.add_argument(
        "--preset",
        action="append",
        default=[],
        help="file of save_to_preset to offer too; the presets that ship are there",
    )
    parser.add_argument(
        "--networks",
        type=Path,
        default=ROOT / "outputs" / "networks",
        help="where exported networks are kept for the next time",
    )
    parser.add_argument(
        "--address",
        default="",
        help="where the site will stand, ending in /; previews of links need it",
    )
    options = parser.parse_args()
    output = options.output
    if not RUNTIME.is_dir():
        raise SystemExit(
            "ONNX Runtime Web is missing; expected it in site/node_modules. "
            "Run: npm ci --prefix site"
        )
    shutil.rmtree(output, ignore_errors=True)
    for folder in ("instrument", "vendor"):
        (output / folder).mkdir(parents=True)
    presets = site_networks.write_presets(
        [*site_networks.shipped(), *options.preset],
        output / "instrument",
        options.networks,
    )
    copy_runtime(output)
    for file in (
        ROOT / "LICENSE",
        ROOT / "LICENSE-text",
        saving.WEIGHTS / "ATTRIBUTION.md",
    ):
        shutil.copy(file, output / f"{file.stem}.txt")
    write_preview(presets[0], output)
    pages = write_pages(output, address=options.address)
    shared = [
        output / "instrument" / name for name in ("vocoder.onnx", "runtime.wasm.gz")
    ]
    sizes = {file.name: file.stat().st_size for file in shared}
    front = {
        "presets": presets,
        "shared": {"name": "shared", "bytes": sizes},
        "pages": pages,
        "root": "",
    }
    page = make_templates(pages, options.address).get_template("index.html")
    (output / "index.html").write_text(page.render(front), encoding="utf-8")
    files = [file for file in output.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files) / 1e6
    num_pages = len(list(output.rglob("*.html")))
    print(f"{output}: {num_pages} pages, {size:.1f} MB. Look at it, until Ctrl+C:")
    print(f"    python -m http.server --bind 127.0.0.1 --directory {output} 8000")


def project():
    """Name, version and repository of the project, for the foot of each page."""
    about = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    urls = about["project"].get("urls", {})
    name = about["project"]["name"]
    repository = urls.get("Repository") or urls.get("repository")
    return {"name": name, "version": version(name), "repository": repository}


def make_templates(pages, address=""):
    """The templates of the site, with what all pages say of themselves."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(SITE / "templates"), autoescape=True
    )
    templates.globals |= {
        "project": project(),
        "address": address,
        "description": DESCRIPTION.format(len(pages)),
    }
    return templates


def write_preview(about, output):
    """Writes preview.jpg, which a pasted link shows: one idea in six genres."""
    config = about["config"]
    shape = (-1, config["num_frames"], config["n_mels"])
    source = output / "instrument" / about["name"] / "finished" / "levels.bin"
    levels = np.fromfile(source, np.uint8).reshape(shape)[:6]
    fig = Figure(figsize=(12, 6.3), dpi=100, facecolor="#14102a", layout="constrained")
    axes = fig.subplots(2, 3).ravel()
    for ax in axes:
        ax.set_axis_off()
    for ax, level, genre in zip(axes, levels, about["genres"], strict=False):
        ax.imshow(level.T, origin="lower", cmap="magma", aspect="auto")
        ax.set_title(genre, color="white", fontsize=22)
    fig.savefig(output / "preview.jpg", pil_kwargs={"quality": 85})


def copy_runtime(output):
    """ONNX Runtime for the processor alone. Packed: a static server would send 14 MB where 4 do."""
    module = output / "vendor" / "ort.wasm.bundle.min.js"  # many servers have no .mjs
    shutil.copy(RUNTIME / "ort.wasm.bundle.min.mjs", module)
    packed = gzip.compress(
        (RUNTIME / "ort-wasm-simd-threaded.wasm").read_bytes(), mtime=0
    )
    (output / "instrument" / "runtime.wasm.gz").write_bytes(packed)


class Renderer(IPythonRenderer):
    """Formulas as MathML, which browsers show by themselves."""

    def inline_math(self, body):
        return mathml(body, "inline")

    def block_math(self, body):
        return mathml(body, "block")


def mathml(latex, display):
    """A formula as MathML, with the space after a function's name, and none after a sign, that TeX would leave."""
    found = latex2mathml.converter.convert(latex, display=display)
    found = re.sub(
        r"(<mi>(?:log|exp|tanh|sin|cos)</mi>)(?!<mo)",
        r'\1<mspace width="0.17em" />',
        found,
    )
    return re.sub(
        r"(<mo[^>]*>(?:&#x00028;|&#x0003D;|&#x0002C;|,|\(|=)</mo>)<mo>&#x02212;",
        r'\1<mo form="prefix">&#x02212;',
        found,
    )


class Exporter(HTMLExporter):
    """Cells as HTML, without nbconvert's own page around them."""

    def __init__(self):
        super().__init__(
            template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True
        )

    def default_filters(self):
        yield from super().default_filters()
        yield (
            "markdown2html",
            lambda source: MarkdownWithMath(renderer=Renderer(escape=False)).render(
                source
            ),
        )


def write_pages(output, folder=NOTEBOOKS, address=""):
    """Writes all but the front page: notebooks, their solutions, glossary, search.

    Args:
        output: Folder of the site.
        folder: Folder of the executed notebooks, `glossary.md` and `solutions/`.
        address: Where the site will stand, ending in `/`, or nothing.

    Returns:
        List of dicts, one a notebook in their order: `number`, `title`, `address`.
    """
    for name in ("scripts", "notebooks/solutions"):
        (output / name).mkdir(parents=True, exist_ok=True)
    for file in [*SITE.glob("scripts/*.js"), *SITE.glob("*.css"), *SITE.glob("*.svg")]:
        shutil.copy(file, output / file.relative_to(SITE))
    # One source of the players: a notebook carries the same script in its outputs.
    library = Path(players.__file__).parent
    shutil.copy(library / "player.js", output / "scripts")
    shutil.copy(library / "player.css", output)
    light, dark = (
        HtmlFormatter(style=style).get_style_defs(".highlight")
        for style in ("xcode", "github-dark")
    )
    styles = f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n"
    (output / "code.css").write_text(styles, encoding="utf-8")
    paths = sorted(folder.glob("[0-9]*.ipynb"))
    solutions = sorted(folder.glob("solutions/[0-9]*.ipynb"))
    notebooks = {
        path: nbformat.read(path, as_version=4) for path in [*paths, *solutions]
    }
    about = {path: page_of(path, notebooks[path], folder) for path in notebooks}
    templates = make_templates(paths, address)
    glossary = site_pages.read_glossary(folder / "glossary.md")

    def write(name, template, **context):
        root = "../" * name.count("/")
        page = templates.get_template(template).render(context, root=root)
        (output / name).write_text(page, encoding="utf-8")

    index, exporter = [], Exporter()
    for path, notebook in notebooks.items():
        page = about[path]
        titles = site_pages.take_titles(notebook)
        cells = exporter.from_notebook_node(notebook)[0]
        soup = bs4.BeautifulSoup(cells, "html.parser")
        adapt(soup, path, notebooks)
        root = "../" * page["address"].count("/")
        site_pages.prepare(soup, titles, root, glossary)
        site_pages.store_media(soup, output, page["address"])
        index += search_entries(page, soup)
        around = {"notebook": about.get(folder / path.name)}
        if path in paths:
            place = paths.index(path)
            around = {
                "solution": about.get(folder / "solutions" / path.name),
                "previous": about[paths[place - 1]] if place else None,
                "next": about[paths[place + 1]] if path != paths[-1] else None,
            }
        write(
            page["address"],
            "notebook.html",
            page=page,
            body=markupsafe.Markup(soup),
            about=first_words(soup),
            sections=sections(soup),
            **around,
        )
    write("notebooks/glossary.html", "glossary.html", terms=glossary)
    write("search.html", "search.html")
    index += [glossary_entry(entry) for entry in glossary]
    (output / "search.json").write_text(
        json.dumps(index, ensure_ascii=False), encoding="utf-8"
    )
    return [about[path] for path in paths]


def page_of(path, notebook, folder):
    """`number`, `title` and `address` of a notebook's page."""
    title = next(
        re.search(r"^# (.+)$", cell.source, re.M)
        for cell in notebook.cells
        if cell.cell_type == "markdown" and cell.source.startswith("# ")
    )
    name = path.relative_to(folder).with_suffix(".html").as_posix()
    return {
        "number": path.name.partition("_")[0],
        "title": title[1],
        "address": f"notebooks/{name}",
    }


def first_words(soup):
    """What a notebook promises, for the preview of a link to its page."""
    for text in soup.find_all("p"):
        words = " ".join(text.get_text().split())
        if words.startswith("What you will hear"):
            return words
    return DESCRIPTION_OF_PAGE


def sections(soup):
    return [
        {"anchor": heading["id"], "title": heading_text(heading)}
        for heading in soup.find_all("h2", id=True)
    ]


def heading_text(heading):
    return heading.get_text().removesuffix("¶").strip()


def adapt(soup, path, notebooks):
    """Makes the cells of a notebook part of the site: its links, what would load from elsewhere, what a keyboard must reach."""
    for link in soup.find_all("a", href=True):
        target, _, anchor = link["href"].partition("#")
        if not target or "://" in target or target.startswith("mailto:"):
            continue
        if target.endswith("glossary.md"):
            link["href"] = (
                target.removesuffix(".md") + ".html" + f"#{anchor}" * bool(anchor)
            )
        elif (path.parent / target).resolve() in notebooks:
            link["href"] = (
                target.removesuffix(".ipynb")
                + ".html"
                + (f"#{anchor}" if anchor else "")
            )
        else:
            link.unwrap()  # a file of the project that is no page here
    for picture in soup.find_all("img"):
        kind, _, content = picture.get("src", "").partition(";base64,")
        if (
            kind == "data:image/svg+xml"
        ):  # nbconvert writes an alt text that says nothing
            drawing = base64.b64decode(content).decode()
            texts = re.findall(r"<(?:title|desc)>(.*)</", drawing)
            picture["alt"] = ". ".join(map(html.unescape, texts))
        if not picture.get("src", "").startswith("data:"):
            picture.replace_with(picture.get("alt", ""))  # such as a badge
        elif not picture.get("alt"):
            raise ValueError(
                f"{path.name} has a picture without alt text; expected some, see plots.show_figure."
            )
    for heading in soup.select("h1 .anchor-link, h2 .anchor-link, h3 .anchor-link"):
        heading["aria-label"] = f"Link to: {heading_text(heading.parent)}"
    for block in soup.select("pre, math[display=block]"):
        block["tabindex"] = "0"  # it may be wider than the screen, and scrolls
    for table in soup.find_all("table"):
        table.wrap(
            soup.new_tag(
                "div",
                attrs={
                    "class": "wide",
                    "tabindex": "0",
                    "role": "region",
                    "aria-label": "table",
                },
            )
        )
        for corner in table.find_all("th"):
            if not corner.get_text(strip=True):
                corner.name = "td"  # a heading that says nothing
    for style in soup.select("style[scoped]"):
        style.decompose()  # how pandas would have tables look


def search_entries(page, soup):
    """What the search finds: the text of each section of a page, code included."""
    entries = []
    for block in soup.select("h1, h2, h3, p, li, pre, td, th, figcaption"):
        if block.name in ("h1", "h2", "h3"):
            anchor, title = block.get("id", ""), heading_text(block)
            entries.append(
                {
                    "page": page["address"],
                    "number": page["number"],
                    "title": page["title"],
                    "section": title,
                    "anchor": anchor,
                    "text": "",
                }
            )
        elif entries:
            words = "".join(
                text for text in block.strings if not text.find_parent("math")
            )  # a formula without its layout says nothing
            entries[-1]["text"] += " " + html.unescape(re.sub(r"\s+", " ", words))
    return entries


def glossary_entry(entry):
    """What the search finds of one term of the glossary."""
    return {
        "page": "notebooks/glossary.html",
        "number": "",
        "title": "Glossary",
        "section": entry["term"],
        "anchor": entry["anchor"],
        "text": entry["meaning"],
    }


if __name__ == "__main__":
    main()
