"""The page of `make studio`: one studio for each kind of music, and a list to choose from."""

import ipywidgets as widgets

import cvae_music as cm
from cvae_music.studio.panel import message
from cvae_music.studio.settings import FILES

TITLE = """<h1>Studio</h1>
<p>Keep the idea, change the genre. Press Play, then a genre; move a slider.</p>"""
# Knobs, and groups of knobs, whose values belong to one model.
OF_ONE_MODEL = (
    "source",
    "style",
    "on_map",
    "map",
    "dimensions",
    "genre",
    "prior_genre",
    "guidance",
)


def open_studio(source):
    """Opens the studio of a preset, or of a model of one's own.

    Args:
        source: Name of a preset, or the paths of a model and of its controls.

    Returns:
        `Studio`, whose code runs as it stands.
    """
    if isinstance(source, str):
        return cm.Studio.from_preset(source)
    model, controls = source
    return cm.Studio(
        cm.load_model(model),
        cm.load_controls(controls),
        setup=FILES.format(model, controls),
    )


def in_both(before, studio):
    """What a studio of other music takes over from the one before: what both have.

    Args:
        before: The `Studio` that was shown.
        studio: The one to show, whose sound is to change.

    Returns:
        Dict for `Studio.put`.
    """
    old, new = before.panel.state(), studio.panel.state()
    state = {}
    for key in old:
        group = key if isinstance(key, str) else key[0]
        if key in new and group not in OF_ONE_MODEL:
            state[key] = old[key]
    playing = [key for key in old if key[0] == "genre" and old[key]]
    if playing and all(key in new for key in playing):
        state |= {key: old.get(key, 0.0) for key in new if key[0] == "genre"}
    return state


class MusicChoice(widgets.VBox):
    """Shows the studio of one kind of music, below a list of all.

    Each is opened when it is first chosen, with the model that was trained on it. Seed,
    tempo and sliders stay, an own clip is encoded anew, and what plays goes on playing.

    Args:
        sources: Dict of the name of a kind of music to its source, see `open_studio`.
            The first is shown.
    """

    def __init__(self, sources):
        self.sources = sources
        self.studios = {}
        self.music = widgets.Dropdown(options=list(sources), description="Music:")
        self.status = widgets.HTML()
        self.title = widgets.HTML(TITLE)
        super().__init__()
        self.add_class("cvae-group")  # so that the sound of one follows the other's
        self.shown = self.music.value
        self.show(self.studio_of(self.shown))
        self.music.observe(lambda change: self.choose(change["new"]), "value")

    @property
    def studio(self):
        """The `Studio` that is shown."""
        return self.studios[self.shown]

    def studio_of(self, name):
        """The studio of a kind of music, opened when it is first asked for."""
        if name not in self.studios:
            studio = open_studio(self.sources[name])
            studio.panel.box.remove_class("cvae-group")
            self.studios[name] = studio
        return self.studios[name]

    def choose(self, name):
        """Shows the studio of other music; says why where it cannot be opened."""
        if name == self.shown:
            return
        self.status.value = message(f"Opening {name}, some seconds …")
        try:
            studio = self.studio_of(name)
        except Exception as error:  # unseen, it would leave the page waiting for ever
            self.music.value = self.shown
            self.status.value = message(f"{name} cannot be opened: {error}", "alert")
            return
        self.hand_over(studio)
        self.shown = name
        self.show(studio)
        self.status.value = ""

    def hand_over(self, studio):
        """Sets a studio as the one before it is, as far as both have the same."""
        before = self.studio
        panel = studio.panel
        panel.silent.value = before.panel.silent.value
        own = before.own.get("latent")
        panel.set({"source": ""})
        if own:
            panel.start.value = own.start
            panel.path.value = ""
            panel.path.value = str(own.path)  # which is read at once
        studio.put(in_both(before, studio))

    def show(self, studio):
        self.children = [self.title, self.music, self.status, studio.panel.box]
