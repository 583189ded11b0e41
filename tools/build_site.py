"""Builds the static site in outputs/site: the executed notebooks as pages, a search, and a front page that plays.

    python tools/build_site.py [--output outputs/site]

`make site` calls it, after it has installed what it needs. The decoder and the vocoder that ship are exported once,
by Keras' ONNX export; what the page computes itself (draws, mixes, sliders, phases) is in site/scripts. Nothing on the
site loads from another host.
"""

import argparse
import gzip
import html
import json
import re
import shutil
from pathlib import Path

import bs4
import jinja2
import keras
import latex2mathml.converter
import markupsafe
import nbformat
import numpy as np
import onnx
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments.formatters import HtmlFormatter

from cvae_music import ConditionalVAE, shipped_controls
from cvae_music.audio.vocoder import shipped_vocoder

ROOT = Path(__file__).resolve().parents[1]
SITE, NOTEBOOKS = ROOT / "site", ROOT / "notebooks"
RUNTIME = SITE / "node_modules" / "onnxruntime-web" / "dist"
PRESET = "known_cvae"
SMALLEST = 64  # numbers in a weight worth storing in half precision


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "outputs" / "site")
    output = parser.parse_args().output
    if not RUNTIME.is_dir():
        raise SystemExit(
            "ONNX Runtime Web is missing; expected it in site/node_modules. Run: npm ci --prefix site"
        )
    shutil.rmtree(output, ignore_errors=True)
    for folder in ("scripts", "instrument", "vendor", "notebooks/solutions"):
        (output / folder).mkdir(parents=True)
    for file in [*SITE.glob("scripts/*.js"), *SITE.glob("*.css"), *SITE.glob("*.svg")]:
        shutil.copy(file, output / file.relative_to(SITE))
    model = ConditionalVAE.from_preset(PRESET)
    controls = shipped_controls(model)
    write_instrument(model, controls, output / "instrument")
    copy_runtime(output)
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(SITE / "templates"), autoescape=True
    )
    pages = write_notebooks(templates, output)
    front = {
        "genres": model.genres,
        "sliders": list(controls.attribute_directions),
        "pages": pages,
        "root": "",
    }
    for name in ("index", "search"):
        (output / f"{name}.html").write_text(
            templates.get_template(f"{name}.html").render(front), encoding="utf-8"
        )
    size = (
        sum(file.stat().st_size for file in output.rglob("*") if file.is_file()) / 1e6
    )
    print(
        f"{output}: {len(list(output.rglob('*.html')))} pages, {size:.1f} MB. Look at it, until Ctrl+C:"
    )
    print(f"    python -m http.server --bind 127.0.0.1 --directory {output} 8000")


def write_instrument(model, controls, folder):
    """The networks of the front page, and the numbers that its scripts need beside them."""
    latent, weights = (
        keras.Input((model.latent_dim,), name="latent"),
        keras.Input((model.num_genres,), name="weights"),
    )
    decoder = keras.Model([latent, weights], model.decode_latent(latent, weights))
    export(
        decoder,
        [np.zeros((1, model.latent_dim)), np.zeros((1, model.num_genres))],
        folder / "decoder.onnx",
    )
    config = model.audio_config
    vocoder = shipped_vocoder(config)
    levels = keras.Input((None, config.n_mels), name="levels")  # dB
    network = keras.Model(
        levels, vocoder.network((levels + 40.0) / 20.0)
    )  # as Vocoder.call, without the curve
    export(network, np.zeros((1, 32, config.n_mels)), folder / "vocoder.onnx")
    density, lower = model.latent_density, np.tril_indices(model.latent_dim)
    shares, means, factors = (np.asarray(value) for value in density.weights)
    used = shares > 0
    arrays = {
        "means": means[used],
        "factors": factors[used][:, lower[0], lower[1]],
        "directions": np.stack(list(controls.attribute_directions.values())),
    }
    stops = np.cumsum([array.size for array in arrays.values()]).tolist()
    places = {
        name: {"start": stop - arrays[name].size, "stop": stop}
        for name, stop in zip(arrays, stops, strict=True)
    }
    np.concatenate([array.ravel() for array in arrays.values()]).astype("<f4").tofile(
        folder / "instrument.bin"
    )
    about = {
        "preset": PRESET,
        "genres": list(model.genres),
        "latent_dim": model.latent_dim,
        "sliders": list(controls.attribute_directions),
        "config": config.get_config(),
        "shares": [row[row > 0].tolist() for row in shares.astype(float)],
        "arrays": places,
    }
    (folder / "instrument.json").write_text(json.dumps(about), encoding="utf-8")


def export(network, example, path):
    """Writes a network as ONNX, its weights in half precision where nothing is lost: so they ship, so they are exact.

    Args:
        network: `keras.Model`.
        example: What it can be called on; Keras exports no model that was never called.
        path: File to write.
    """
    network(example)
    network.export(path, format="onnx", verbose=False)
    model = onnx.load(path)
    graph, first = model.graph, []
    for tensor in list(graph.initializer):
        value = onnx.numpy_helper.to_array(tensor)
        half = (
            value.astype(np.float16)
            if value.dtype == np.float32 and value.size >= SMALLEST
            else None
        )
        if half is not None and np.array_equal(half.astype(np.float32), value):
            graph.initializer.remove(tensor)
            graph.initializer.append(
                onnx.numpy_helper.from_array(half, f"{tensor.name}/half")
            )
            first.append(
                onnx.helper.make_node(
                    "Cast",
                    [f"{tensor.name}/half"],
                    [tensor.name],
                    to=onnx.TensorProto.FLOAT,
                )
            )
    nodes = []
    for node in graph.node:
        if (
            node.op_type == "Erfc"
        ):  # TensorFlow's gelu; tf2onnx leaves it as it is, ONNX has no such operation
            one, erf = (
                onnx.numpy_helper.from_array(np.float32(1.0), f"{node.name}/one"),
                f"{node.name}/erf",
            )
            graph.initializer.append(one)
            nodes.append(onnx.helper.make_node("Erf", node.input, [erf]))
            node = onnx.helper.make_node("Sub", [one.name, erf], node.output)
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(first + nodes)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def copy_runtime(output):
    """ONNX Runtime for the processor alone. Packed: a static server would send 14 MB where 4 do."""
    shutil.copy(RUNTIME / "ort.wasm.bundle.min.mjs", output / "vendor")
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


def write_notebooks(templates, output):
    """Every notebook as a page, solutions beside their notebooks, and search.json.

    Returns:
        List of dicts, one a notebook in their order: `number`, `title`, `address`.
    """
    styles = HtmlFormatter(style="xcode").get_style_defs(".highlight")
    (output / "code.css").write_text(styles + "\n", encoding="utf-8")
    paths = sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
    notebooks = {
        path: nbformat.read(path, as_version=4)
        for path in [*paths, *sorted(NOTEBOOKS.glob("solutions/*.ipynb"))]
    }
    pages = [page_of(path, notebooks[path]) for path in paths]
    index, exporter, template = [], Exporter(), templates.get_template("notebook.html")
    for path, notebook in notebooks.items():
        page = page_of(path, notebook)
        own = next(
            (k for k, other in enumerate(pages) if other["number"] == page["number"]),
            None,
        )
        is_solution = path not in paths
        soup = bs4.BeautifulSoup(
            exporter.from_notebook_node(notebook)[0], "html.parser"
        )
        adapt(soup, path, notebooks)
        index += search_entries(page, soup)
        context = {
            "page": page,
            "body": markupsafe.Markup(soup),
            "root": "../" * page["address"].count("/"),
            "sections": sections(soup),
            "notebook": pages[own] if is_solution else None,
            "solution": None if is_solution else solution_of(path, notebooks),
            "previous": None if is_solution or own == 0 else pages[own - 1],
            "next": None if is_solution or own + 1 == len(pages) else pages[own + 1],
        }
        (output / page["address"]).write_text(
            template.render(context), encoding="utf-8"
        )
    (output / "search.json").write_text(
        json.dumps(index, ensure_ascii=False), encoding="utf-8"
    )
    return pages


def page_of(path, notebook):
    """`number`, `title` and `address` of a notebook's page."""
    title = next(
        re.search(r"^# (.+)$", cell.source, re.M)
        for cell in notebook.cells
        if cell.source.startswith("# ")
    )
    address = path.relative_to(ROOT).with_suffix(".html").as_posix()
    return {"number": path.name[:2], "title": title[1], "address": address}


def solution_of(path, notebooks):
    solution = path.parent / "solutions" / path.name
    return page_of(solution, notebooks[solution]) if solution in notebooks else None


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
        if (path.parent / target).resolve() in notebooks:
            link["href"] = (
                target.removesuffix(".ipynb")
                + ".html"
                + (f"#{anchor}" if anchor else "")
            )
        else:
            link.unwrap()  # a file of the project that is no page here
    for picture in soup.find_all("img"):
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
            entries[-1]["text"] += " " + html.unescape(
                re.sub(r"\s+", " ", block.get_text())
            )
    return entries


if __name__ == "__main__":
    main()
