# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Can you tell which clip is real?
#
# <!-- links: made by tools/badges.py -->
# Next: [01 prepare audio](01_prepare_audio.ipynb).
#
# *No library, says the set-up cell? **On Colab,** set `repository_zip` below to the address of the project's zip, or
# drag the zip into the Files pane and set `"/content/<its name>"`. **On Kaggle,** choose Add Input and take the data set
# of the project, or switch Internet on and set `repository_zip`. **In VS Code or on a laptop,** keep this file in the
# project's folder, run `make lab` there, or `make setup` and choose `.venv` as the kernel.*
# <!-- end of links -->
#
# **What you will hear at the end:** short loops of six genres that a network made, next to real ones. You will take a
# blind test and get a score.
#
# **What you need to know:** nothing. Nothing is trained here, and later notebooks explain every model. You can play
# without reading the code.
#
# > **Time:** 0.5 minutes on 2 CPU cores. Last full run: 2026-11-29.
#
# Run the cells from top to bottom (Shift+Enter). Code that draws and plays is folded. Your own music comes in
# notebooks 04 and 10.

# %% tags=["parameters"]
data = "known"  # here it only names the folder of results
seed = 0  # mixes A and B in section 4; each clip has a seed of its own
repository_zip = ""  # where the library is; leave it empty on a laptop

# %% tags=["setup"]
import sys
from glob import glob
from importlib.util import find_spec as find

sys.path = ["lib", "../lib", "../../lib", *sys.path, *glob("*/lib"), *glob("/kaggle/input/**/lib", recursive=True)]
find("cvae_lab") or repository_zip and get_ipython().run_line_magic("pip", f"install -q --no-deps {repository_zip}")
_ = find("cvae_lab") or sys.exit("No library: Colab, set repository_zip; Kaggle, Add Input; VS Code, laptop: make lab")

# %%
import cvae_lab as lab
import cvae_music as cm

session = lab.start_session(data, seed=seed)

# %%
import dataclasses
import functools
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import pandas as pd
from IPython.display import HTML, display

import known_music

# %% [markdown]
# ## 1. Make a clip
#
# `open_model` loads a trained network, a function whose many numbers were fitted to examples. `make_clip` asks it for
# a [clip](glossary.md#clip), which is eight beats of one genre. The seed decides every random choice, so another seed
# gives another clip. Change the genre, the seed or the tempo, and run both cells again.

# %%
# The models that ship with the series, whatever `data` is. "cvae" is short for
# conditional VAE (notebook 04). None: a model that ships needs no music to train on.
shipped = dataclasses.replace(session, data="known")
cured = lab.open_model("cvae", None, shipped)  # section 3 says why it has this name
genres = list(cured.genres)
clip = cm.make_clip(cured, genre="jazz", seed=17, tempo=120.0)
print("genres:", ", ".join(genres))

# %% tags=["fold"]
# @title Picture and sound: a new clip
seen = "Upright stripes are drums, flat lines are notes of a jazz clip."
cm.show_clips(clip, cured.audio_config, name="00_first", alt=seen, num_columns=1)

# %% [markdown]
# The picture shows time from left to right, counted in beats, and frequency from bottom to top. Bright means loud:
# the scale beside the picture gives the level in [decibels](glossary.md#decibel) (dB), and 0 dB is the loudest.
# Flat lines are notes, upright stripes are drums. Notebook 01 teaches you the rest.
#
# The drawing shows the way from a sound to a new sound; start at the top left. A sound file holds samples, 22,050
# numbers a second (117,600 for eight beats at 90 a minute). They become a picture, the [log-mel](glossary.md#log-mel).
# A network, the [encoder](glossary.md#encoder), packs the picture into 96 numbers, the [latent](glossary.md#latent). A
# second network, the [decoder](glossary.md#decoder), makes a new picture from the latent and the genre that you ask
# for. The picture lacks two things that a sound needs, exact frequencies and phases. A third network, the
# [vocoder](glossary.md#vocoder), says how loud each exact frequency is. The [phases](glossary.md#phase) say where in
# its swing each wave stands. They are estimated, too. For a new clip we draw the latent at random and start at the
# green box, without the encoder.

# %% tags=["fold"]
# @title Drawing: from sound to a new sound
lab.drawing("whole_way")

# %% [markdown]
# ## 2. Change the genre, keep the idea
#
# Now we draw one latent and decode it six times. Only the genre that we ask for changes. Each genre brings its own
# drums and instruments. Listen for what stays, such as the bass, the lowest bright line. In most of the pictures it
# rises half-way between 0 and 2 on the time axis, falls at 4, and rises again half-way between 4 and 6. A label may
# say *turned down*. Such a clip was too loud for a sound file, so we made it softer.

# %%
# A random latent like those of jazz clips, the same as in section 1 (how: notebook 03)
idea = cm.draw_latent(cured, seed=17, prior_genre="jazz")
versions = [
    cm.make_clip(cured, genre=name, latent=idea, seed=17, tempo=120.0) for name in genres
]

# %% tags=["fold"]
# @title Picture and sound: one latent in six genres
seen = "Six pictures with different drum stripes; the levels change at the same beats."
cm.show_clips(versions, cured.audio_config, name="00_genres", alt=seen)

# %% [markdown]
# ## 3. Hear a model that does not listen
#
# A network can be told a genre and still not play it. Here are two models that were told the genre of every clip
# while they learned. The decoder of the **deaf model** gets the genre as six further numbers beside the 96 of the
# latent. It hardly learned to use them, because the latent also tells the genre. The **cured model** is the one
# that you have heard. It gets the genre in another way, and its training punishes a wrong genre. Notebooks 04 and
# 05 build both.
#
# We take a house clip that neither has met. Each model encodes it and decodes the latent as *strings*, which have no
# drums.

# %%
deaf = lab.open_model("deaf", None, shipped)
config = cured.audio_config
table = known_music.draw_factors(120, seed=2026)  # what to compose, see section 5
# Each clip is composed here, so there is no file to name.
where = {"path": "", "start": 0.0, "clip_id": "unseen", "grid": "known"}
unseen = [cm.load_window(row | where, config) for row in table.to_dict("records")]
levels = np.stack([clip.log_mel for clip in unseen])  # (120, 128, 128), in dB
print(f"{len(levels)} clips that no model has met")


def as_genre(model, clips, asked):
    """Encodes clips and decodes their latents with the genres asked for, in dB."""
    # scale, unscale: from dB to -1 ... 1, and back; mode(): each clip's most likely latent
    latents = model.encode(config.scale(clips)).mode()  # (clips, 96)
    return config.unscale(model.decode(latents, asked))  # (clips, 128, 128)

# %%
def sounding(log_mel, tempo, label):
    """A picture with the sound that is made of it."""
    samples = cm.to_audio(log_mel, config, tempo, seed=seed)
    return {"log_mel": log_mel, "samples": samples, "tempo": tempo, "label": label}


tempo = unseen[0].tempo
strings = np.array([genres.index("strings")])
three = [sounding(levels[0], tempo, "the house clip")]
for name, model in (("deaf", deaf), ("cured", cured)):
    played = as_genre(model, levels[:1], strings)[0]
    three.append(sounding(played, tempo, f"{name} model, asked for strings"))

# %% tags=["fold"]
# @title Picture and sound: deaf and cured
seen = "The deaf model repeats the drum stripes of the house clip, the cured one has none."
cm.show_clips(three, config, name="00_deaf_or_cured", alt=seen)

# %% [markdown]
# One clip may be an accident, so we ask for 120 clips. A [judge](glossary.md#judge), a network that took no part in
# the training, names the genre of each clip that a model makes. First we ask for the clip's own genre, then for
# another one. The table gives the share of clips in which the judge hears the genre asked for; 1 is all.

# %%
judge = lab.load_judge(Path(lab.__file__).parent / "weights" / "known_judge_cnn.npz")
own = np.array([genres.index(name) for name in table["genre"]])
# Another genre for each clip, the five others in turn.
steps = 1 + np.arange(len(own)) // len(genres) % (len(genres) - 1)
other = (own + steps) % len(genres)


def heard_as(log_mel, asked):
    """Share of the clips in which the judge hears the genre asked for."""
    return np.mean(judge.predict(config.scale(log_mel)) == asked)


rows = {"real clips": {"own genre": heard_as(levels, own)}}
for name, model in (("deaf model", deaf), ("cured model", cured)):
    rows[name] = {
        "own genre": heard_as(as_genre(model, levels, own), own),
        "another genre": heard_as(as_genre(model, levels, other), other),
    }
obeyed = pd.DataFrame(rows).T

# %% tags=["fold"]
# @title Guess: how often the deaf model obeys
lab.guess(
    "In how many percent of its clips does the deaf model play the other genre that "
    "we asked for?",
    float(100 * obeyed.loc["deaf model", "another genre"]),
    "%",
    why="In the picture above it keeps the old genre, which the latent shows.",
)

# %%
obeyed.round(3)  # NaN, no number: a real clip cannot be asked for another genre

# %% [markdown] tags=["lesson"]
# **What we learned.** Asked for another genre, the deaf model obeys in 0.8 % of 120 clips (one clip), the cured one
# in 100 %. A genre chosen by chance would be right in one clip of six. The deaf model does worse than chance. In the
# picture it keeps the old genre. Asked for the clip's own genre, both models are right in 100 %. So the deaf model
# looks healthy until somebody asks it for a change. The judge also names 100 % of the real clips right, so it can
# tell these genres apart. The numbers do not say how good a clip sounds. Notebook 04 measures the same on other
# clips.

# %% [markdown]
# ## 4. Which clip is real?
#
# Each pair has one real clip and one that the cured model made, of the same genre and tempo. *Real* means composed by
# a program, see section 5. To be fair, the sound of the real clip is also made from its picture. This makes the
# starts of its notes a little softer.

# %% tags=["fold"]
# @title Helper: a pair of one real and one made clip
# Genres take turns in the table; shuffled, the number of a pair says nothing.
order = np.random.default_rng(seed).permutation(len(table))


@functools.cache
def pair_of(number):
    """Two clips of one genre in random order, which of them is real, and the genre."""
    row = table.iloc[order[number]]
    real = sounding(levels[order[number]], row["tempo"], "real")
    made = cm.make_clip(
        cured, genre=row["genre"], seed=1000 + order[number], tempo=row["tempo"]
    )
    made = vars(made) | {"label": "made", "seed": None}
    is_first = np.random.default_rng([seed, number]).random() < 0.5
    pair = (real, made) if is_first else (made, real)
    letter = "A" if is_first else "B"
    return {"A": pair[0], "B": pair[1], "real": letter, "genre": row["genre"]}


def play_pair(number):
    pair = pair_of(number)
    players = [
        cm.player(pair[letter]["samples"], config, f"pair {number}, {letter}").data
        for letter in "AB"
    ]
    display(HTML("".join(players)))

# %% tags=["fold"]
# @title Sound: pair 1
play_pair(1)

# %% tags=["fold"]
# @title Guess: pair 1
lab.guess("Pair 1: which clip is real?", pair_of(1)["real"], choices=["A", "B"])

# %% tags=["fold"]
# @title Sound: pair 2
play_pair(2)

# %% tags=["fold"]
# @title Guess: pair 2
lab.guess("Pair 2: which clip is real?", pair_of(2)["real"], choices=["A", "B"])

# %% tags=["fold"]
# @title Sound: a pair whose genre you name
play_pair(10)

# %% tags=["fold"]
# @title Guess: the genre of pair 10
lab.guess(
    "Pair 10: which genre was the model asked for?",
    pair_of(10)["genre"],
    choices=genres,
)

# %% [markdown]
# For more pairs, move the slider, answer both questions, and press the button. (Where Python is not running, the
# three pairs above stand in.)

# %% tags=["fold"]
# @title Helper: the score of the blind test
answers = {}


def reply(number, real, genre):
    """Counts the first answer to a pair, and says what was right."""
    pair = pair_of(number)
    answers.setdefault(number, (real == pair["real"], genre == pair["genre"]))
    real_right, genre_right = np.sum(list(answers.values()), axis=0)
    return (
        f"Real was {pair['real']}, the genre was {pair['genre']}. Your score in "
        f"{len(answers)} pairs: real {real_right}, genre {genre_right}."
    )

# %% tags=["fold", "widget"]
# @title Turn: the blind test, with a score
number = widgets.IntSlider(20, 20, 119, description="pair", continuous_update=False)
real = widgets.ToggleButtons(options=["A", "B"], description="real is")
genre = widgets.Dropdown(options=genres, description="genre")
button = widgets.Button(description="That is my guess")
said = widgets.HTML()
button.on_click(lambda _: setattr(said, "value", reply(number.value, real.value, genre.value)))
widgets.interact(play_pair, number=number)
display(widgets.HBox([real, genre, button]), said)

# %% tags=["fold"]
# @title Picture: the first pairs, and which clip is real
revealed = []
for pair_number in (1, 2):
    for letter in "AB":
        shown = pair_of(pair_number)[letter]
        label = f"pair {pair_number}, {letter}: {shown['label']}"
        revealed.append(shown | {"label": label})
seen = "Two pairs of spectrograms, each of a real and a made clip of one genre."
cm.show_clips(revealed, config, name="00_pairs", alt=seen, num_columns=2)

# %% [markdown]
# Made pictures are often a little blurred. So here is a rule: the clip with the sharper picture is the real one.
# [Sharpness](glossary.md#sharpness), here in dB, says how much neighbouring rows of the picture differ; more is
# sharper. The table gives its mean over the real and over the made clips of 120 pairs, 20 of each genre, and the
# share of pairs in which the rule is right.

# %%
latents = np.stack(
    [cm.draw_latent(cured, 1000 + k, name) for k, name in enumerate(table["genre"])]
)
made = config.unscale(cured.decode(latents, own))
sharp = pd.DataFrame(
    {
        "genre": table["genre"],
        "real": [lab.sharpness(picture) for picture in levels],
        "made": [lab.sharpness(picture) for picture in made],
    }
)
sharp["rule is right"] = sharp["real"] > sharp["made"]
print(f"{len(sharp)} pairs")

# %% tags=["fold"]
# @title Guess: the score of the rule
lab.guess(
    "Chance is right in 50 % of the pairs. In how many percent is the rule right?",
    float(100 * sharp["rule is right"].mean()),
    "%",
    why="Made clips are a little blurred, and the rule looks for that.",
)

# %%
by_genre = sharp.groupby("genre")[["real", "made", "rule is right"]].mean()
by_genre.loc["all"] = sharp[["real", "made", "rule is right"]].mean()
by_genre.astype(float).round(3)

# %% [markdown] tags=["lesson"]
# **What we learned.** The rule finds the real clip in 89 % of 120 pairs, because in every genre made clips are less
# sharp on average. If you are right more often than the rule in many pairs, you hear more than sharpness (in few
# pairs it may be luck). For rock the rule is right in 80 %, for reggae in 90 %. That is a difference of two pairs in
# 20, so it does not show that rock is harder. Notebook 09 asks what makes clips sharper.

# %% [markdown]
# ## 5. Open the composer
#
# The real clips, which later notebooks call the *embedded music*, come from the [composer](glossary.md#composer), a
# small program of this project. For each clip it draws nine [factors](glossary.md#factor), such as tempo and key,
# and plays them in one of six genres. Key and mode say which seven notes a clip uses. A seed decides the rest, such as
# the melody. Because every factor is known, later notebooks can check what a network has learned about it. Turn the
# factors yourself; the table below the data card explains them. BPM means beats a minute.

# %% tags=["fold"]
# @title Helper: a slider for each factor
def slider_of(low, high):
    """A slider that starts at the low end of counts and in the middle of ranges."""
    if isinstance(low, int):
        return widgets.IntSlider(low, min=low, max=high, continuous_update=False)
    return widgets.FloatSlider(
        (low + high) / 2,
        min=low,
        max=high,
        step=(high - low) / 20,
        continuous_update=False,
    )


ranges = known_music.FACTOR_RANGES
sliders = {name: slider_of(*ends) for name, ends in ranges.items()}
start = {name: slider.value for name, slider in sliders.items()}
start |= {"genre": "house", "seed": 0}


def composed(**factors):
    clip = cm.load_window(factors | where, config)
    return vars(clip) | {"label": f"{factors['genre']}, {clip.tempo:.0f} BPM"}

# %% tags=["fold", "widget"]
# @title Turn: the composer
@widgets.interact(genre=list(known_music.GENRES), seed=slider_of(0, 50), **sliders)
def turn(**factors):
    cm.show_clips(composed(**factors), config, num_columns=1)

# %% [markdown]
# Where Python is not running, the pictures below stand in. Each differs from the first, the start of the sliders, in
# one factor, the last one in the genre. A slower tempo makes the clip longer.

# %% tags=["fold"]
# @title Picture and sound: one factor at a time
changes = {
    "as at the start": {},
    "tempo 80 BPM": {"tempo": 80.0},
    "brightness 1": {"brightness": 1.0},
    "density 0": {"density": 0.0},
    "register 1": {"register": 1},
    "genre reggae": {"genre": "reggae"},
}
six = [composed(**(start | change)) | {"label": name} for name, change in changes.items()]
seen = "Low density removes notes, brightness fills the top, reggae moves the stripes."
cm.show_clips(six, config, name="00_composer", alt=seen, seconds=True)

# %% tags=["fold"]
# @title Guess: factors and genre
lab.guess(
    "Of the nine factors, how many are drawn differently for different genres?",
    0,
    "factors",
    why="All are drawn alike, so that no factor gives the genre away.",
)

# %% [markdown]
# **The data card of this music.**
#
# - *What it is:* mono loops of eight beats, 22,050 samples a second. A program computes them; no recording of anybody
#   is in them.
# - *Genres:* house, rock, jazz, chiptune, reggae and strings, in equal numbers. Each is one arrangement with its own
#   drums, instruments, rhythms and chords.
# - *Factors:* drawn in the same way for every genre, so that no tempo or key gives the genre away. The table gives
#   their ranges. A level of −17 dB is louder than one of −23 dB.
# - *Clips:* later notebooks work with 2,400 clips (seed 0). The shipped models learned from 3,840 clips of the same
#   composer. None of these is among the test clips, with which the later notebooks measure. This notebook composes
#   others (seed 2026).
# - *Meant for:* checking what a model has learned, and a first run without a download.
# - *Not meant for:* claims about real music. No musician of these genres has checked the arrangements.

# %% tags=["fold"]
# @title Table: the factors and their ranges
meaning = {
    "tempo": "beats a minute",
    "key": "semitones above C",
    "mode": "0 minor, 1 major",
    "brightness": "how strong high frequencies are",
    "density": "share of the optional notes that play",
    "progression": "which chord sequence of the genre",
    "pattern": "which rhythm of the genre",
    "register": "0 melody low, 1 an octave higher",
    "level_db": "loudness in dB, 0 is full scale",
}
card = pd.DataFrame(known_music.FACTOR_RANGES, index=["lowest", "highest"]).T
card["meaning"] = card.index.map(meaning)
card

# %% [markdown]
# ## 6. The same method on recordings
#
# Does the method work on recordings, too? A model that is built like the cured one was trained on 149 openly licensed
# recordings of four styles. It makes a clip of each style.

# %%
real_model = cm.ConditionalVAE.from_preset("real_cvae")
styles = list(real_model.genres)
of_styles = [cm.make_clip(real_model, genre=name, seed=5) for name in styles]
unnamed = cm.make_clip(real_model, genre=styles[-1], seed=6)
print("styles:", ", ".join(styles))

# %% tags=["fold"]
# @title Sound: a clip without a name
cm.player(unnamed.samples, real_model.audio_config, "which style was asked for?")

# %% tags=["fold"]
# @title Guess: the style
lab.guess("Which style was the model asked for?", styles[-1], choices=styles)

# %% tags=["fold"]
# @title Picture and sound: a new clip of each style
seen = "Four pictures, blurrier than those of composed music, with faint beats."
cm.show_clips(of_styles, real_model.audio_config, name="00_styles", alt=seen, num_columns=2)

# %% [markdown]
# The judge is a network that others trained on other music. Only its last step was fitted here, to recordings that
# our model learned from. It hears the sound and names the style of 96 clips each of three kinds: of recordings that
# the model did *not* learn from, of new clips, and of *swapped* clips. The latents of the new clips are drawn from all
# styles alike. A swapped clip is a recording that was encoded, and decoded as another style, as in section 3. The
# table gives the share that is named as asked, for recordings the share that is named right. More is better, and
# [chance](glossary.md#chance) is 0.25. With 96 clips a share is uncertain by about 0.05 (one standard error). The
# recordings are not here, so the table was measured before.

# %%
# MSD_musicnn is the judge. Guidance is how strongly the model stresses a style
# (notebook 05). It was chosen with this judge and another, on other recordings.
measured = lab.read_rows("guidance").query("model == 'real_cvae' and split == 'test'")
measured = measured.set_index("guidance").loc[real_model.guidance]
judged = {
    "recordings": measured["real_MSD_musicnn"],
    "new clips": measured["fresh_MSD_musicnn"],
    "swapped clips": measured["swap_MSD_musicnn"],
}
pd.Series(judged, name="share named as asked").astype(float).round(2).to_frame()

# %% [markdown] tags=["lesson"]
# **What we learned.** On recordings the model obeys more often than chance, but not always. The judge names 86 % of
# the recordings right, 65 % of the new clips, and 55 % of the swapped clips. So a result on composed music says
# little about recordings until it is measured there, too. This is one model and one judge. Notebook 04 asks four
# other judges.

# %% [markdown]
# ## 7. Where to go from here
#
# The series asks how such a model works (02 to 04), how it fails (04, 06), and what cures it (05). Two words of the
# drawing: a *VAE* is an encoder and a decoder, trained so that new latents can be drawn, and in a *posterior
# collapse* its latent says nothing. Take one of four paths, the columns of the drawing. A mark is a notebook to
# read.
#
# - **Listener:** 00, 01, 04, 08. You hear what the models do and play one like an instrument.
# - **Models:** 00, 02 to 07, 09. You write every network yourself, and what it is trained for.
# - **Audio:** 00, 01, 11. You follow the sound into the picture and back.
# - **Own music:** 00, 04, 10. You train a model on files of your own.
#
# Without notebooks 02 and 03, read sections 1, 2 and 6 of notebook 04. The others explain how its networks are built.

# %% tags=["fold"]
# @title Drawing: the notebooks and four paths
lab.drawing("notebook_map")

# %% [markdown]
# ## Questions

# %% tags=["fold"]
# @title Question: the deaf model
lab.guess(
    "A model rebuilds clips well, each in its own genre. Does it play another genre on demand?",
    "nobody knows until it is asked for another genre",
    choices=[
        "yes",
        "no",
        "nobody knows until it is asked for another genre",
    ],
)

# %% tags=["fold"]
# @title Question: a fair test
lab.guess(
    "Why did the real clips of the blind test go through the picture, too?",
    "the trip changes the sound, and would give the real clip away",
    choices=[
        "to make them louder",
        "to make them shorter",
        "the trip changes the sound, and would give the real clip away",
    ],
)

# %% [markdown] tags=["lesson"]
# ## The answer
#
# A rule can in 89 % of 120 pairs, because made pictures are less sharp. Your own score stands in section 4.
# [Obedience](glossary.md#obedience), playing the genre asked for, is easier to judge. Asked for another genre, the
# cured model plays it in 100 % of the clips, the deaf one in 0.8 %. Trained on recordings, such a model plays the style
# asked for in 65 % of new clips, says a judge that names 86 % of recordings right.

# %% [markdown]
# <!-- links: made by tools/badges.py -->
# Next: [01 prepare audio](01_prepare_audio.ipynb).
# <!-- end of links -->
