"""The openly licensed recordings that the real presets are trained on: fetched, split by artist, attributed.

    python tools/open_music.py FOLDER                # fetch the music (Debian 12; 3 GB of packages, 0.5 GB are kept)
    python tools/open_music.py --attribution         # write lib/cvae_music/weights/ATTRIBUTION.md

`data/open_music.csv` lists every track with its licence and the line of the package that grants it. FOLDER gets
`train`, `validation` and `test`, each with `<style>/<artist>/<track>.ogg`, ready for `open_collection`. No artist is in
two splits, with one exception: one artist recorded 37 of the 44 folk tracks, so folk is split by track.
"""

import argparse
import csv
import io
import itertools
import random
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[1]
CATALOGUE = ROOT / "data" / "open_music.csv"
NOTICES = ROOT / "data" / "open_music_notices.md"
ATTRIBUTION = ROOT / "lib" / "cvae_music" / "weights" / "ATTRIBUTION.md"
SPLITS = ("train", "validation", "test")
SHARES = {"validation": 0.1, "test": 0.12}  # of the minutes of a style
LARGEST = 0.25  # who made more of a style than this is in its training split
BY_TRACK = ("folk",)
TRIALS = 20000
STEMS = "+"  # in the catalogue: between the files of a recording that is kept in parts
INNER = "x/"  # in the catalogue: inside an archive of the package
ARCHIVES = (".zip", ".pk3")
ADDRESSES = {
    "CC-BY-3.0": "https://creativecommons.org/licenses/by/3.0/",
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC-BY-SA-3.0": "https://creativecommons.org/licenses/by-sa/3.0/",
    "CC-BY-SA-4.0": "https://creativecommons.org/licenses/by-sa/4.0/",
}


def read_catalogue():
    """Rows of `data/open_music.csv`, dictionaries."""
    with open(CATALOGUE, encoding="utf-8") as file:
        return list(csv.DictReader(file))


def unpack(package, names, folder):
    """Downloads a Debian package and keeps some of its files, and its copyright file.

    Args:
        package: Name of the package.
        names: Paths to keep; those that begin with `x/` are inside an archive in the package.
        folder: Where they go, under the same paths.
    """
    copyright_file = f"usr/share/doc/{package}/copyright"
    names = {*names, copyright_file}
    subprocess.run(["apt-get", "download", "-qq", package], cwd=folder, check=True)
    (deb,) = folder.glob(f"{package}_*.deb")
    command = ["dpkg-deb", "--fsys-tarfile", deb.name]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE) as process:
        with tarfile.open(fileobj=process.stdout, mode="r|") as package_files:
            for member in package_files:
                name = member.name.removeprefix("./")
                if member.isfile() and name in names:
                    write(folder / package / name, package_files.extractfile(member))
                elif name.endswith(ARCHIVES) and any(map(is_inner, names)):
                    content = package_files.extractfile(member).read()
                    with zipfile.ZipFile(io.BytesIO(content)) as archive:
                        for inner in set(archive.namelist()):
                            if INNER + inner in names:
                                path = folder / package / (INNER + inner)
                                write(path, archive.open(inner))
    deb.unlink()


def is_inner(name):
    return name.startswith(INNER)


def write(path, file):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as target:
        shutil.copyfileobj(file, target)


def copy_or_mix(sources, target):
    """Copies a recording, or adds up its stems where a game keeps one for each player."""
    if len(sources) == 1:
        shutil.copyfile(sources[0], target)
        return
    stems = [soundfile.read(source, always_2d=True) for source in sources]
    length = min(len(samples) for samples, _ in stems)
    mix = sum(samples[:length].mean(axis=1) for samples, _ in stems)
    mix *= min(1.0, 0.99 / np.abs(mix).max())
    soundfile.write(target, mix, stems[0][1])


def assign_splits(rows, seed=0):
    """Finds a split of artists in which every style has about the wanted shares of its minutes.

    Args:
        rows: Rows of the catalogue.
        seed: Seed of the random assignments, of which the best is taken.

    Returns:
        Dictionary from slug to split.
    """
    rng = random.Random(seed)
    minutes = defaultdict(float)
    for row in rows:
        minutes[row["style"], group_of(row)] += float(row["duration_s"]) / 60
    totals = defaultdict(float)
    for (style, _), length in minutes.items():
        totals[style] += length
    groups = sorted({group for _, group in minutes})
    large = {
        group for (style, group), n in minutes.items() if n > LARGEST * totals[style]
    }
    weights = [1.0 - sum(SHARES.values()), *SHARES.values()]

    def penalty(splits):
        found = defaultdict(float)
        for (style, group), length in minutes.items():
            found[style, splits[group]] += length / totals[style]
        return sum(
            (found[style, split] - share) ** 2
            for style in totals
            for split, share in SHARES.items()
        )

    best = min(
        (
            {
                group: "train" if group in large else rng.choices(SPLITS, weights)[0]
                for group in groups
            }
            for _ in range(TRIALS)
        ),
        key=penalty,
    )
    return {row["slug"]: best[group_of(row)] for row in rows}


def group_of(row):
    return row["slug"] if row["style"] in BY_TRACK else row["artist"]


def build(folder, packages):
    """Lays the music out in `folder`; packages are unpacked where they are not yet."""
    rows = read_catalogue()
    packages.mkdir(parents=True, exist_ok=True)
    splits = assign_splits(rows)
    by_package = itertools.groupby(
        sorted(rows, key=lambda row: row["package"]), lambda row: row["package"]
    )
    for package, tracks in by_package:
        tracks = list(tracks)
        names = [name for track in tracks for name in track["path"].split(STEMS)]
        if not all((packages / package / name).exists() for name in names):
            unpack(package, names, packages)
        for track in tracks:
            place = folder / splits[track["slug"]] / track["style"]
            if track["style"] not in BY_TRACK:
                place /= re.sub(r"[^\w .-]", "_", track["artist"])
            place.mkdir(parents=True, exist_ok=True)
            sources = [packages / package / name for name in track["path"].split(STEMS)]
            ending = ".flac" if len(sources) > 1 else sources[0].suffix
            target = place / f"{track['slug']}{ending}"
            if not target.exists():
                copy_or_mix(sources, target)
    for style in sorted({row["style"] for row in rows}):
        for split in SPLITS:
            here = [
                row
                for row in rows
                if row["style"] == style and splits[row["slug"]] == split
            ]
            length = sum(float(row["duration_s"]) for row in here) / 60
            artists = ", ".join(sorted({row["artist"] for row in here}))
            print(
                f"{style:11} {split:10} {len(here):3} tracks {length:4.0f} min: {artists}"
            )


def attribution(rows):
    """The table that ships beside the weights, as Markdown; `rows` are those of the catalogue."""
    num_trained = list(assign_splits(rows).values()).count("train")
    lines = [
        "# The music behind the presets `real_*`",
        "",
        f"The weights of these presets were made with the {len(rows)} recordings below: {num_trained} for training, the others to",
        "choose and to measure. Clips drawn from the weights are derived from this music in the careful reading of its",
        "licences. The changes: each recording was cut to clips, and these were resampled and used as said. None of the",
        "authors endorses this project. The weights are under",
        f"[CC BY-SA 4.0]({ADDRESSES['CC-BY-SA-4.0']}). The code has a licence of its own.",
        "",
        "This file is written by `python tools/open_music.py --attribution` from `data/open_music.csv`. The last column",
        "names the Debian 12 package that holds the recording, and the line of its copyright file that grants the licence.",
        "",
        "| title | artist | style | licence | source |",
        "|---|---|---|---|---|",
    ]
    for row in sorted(
        rows, key=lambda row: (row["style"], row["artist"], row["title"])
    ):
        licence = row["licence"].removeprefix("LicenseRef-").replace("-", " ", 1)
        if row["licence"] in ADDRESSES:
            licence = f"[{row['licence']}]({ADDRESSES[row['licence']]})"
        cells = (
            row["title"],
            row["artist"],
            row["style"],
            licence,
            f"{row['package']}, {row['licence_source']}",
        )
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    return "\n".join(lines) + "\n\n" + NOTICES.read_text(encoding="utf-8")


def main():
    # Names of folders and music may hold signs that a console cannot show.
    sys.stdout.reconfigure(errors="backslashreplace")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument(
        "--packages", type=Path, help="unpacked packages; FOLDER-packages if left out"
    )
    parser.add_argument("--attribution", action="store_true")
    options = parser.parse_args()
    if options.folder:
        packages = options.packages or options.folder.with_name(
            f"{options.folder.name}-packages"
        )
        build(options.folder, packages)
    if options.attribution:
        ATTRIBUTION.write_text(attribution(read_catalogue()), encoding="utf-8")


if __name__ == "__main__":
    main()
