"""A small driver of the system's Firefox, by WebDriver BiDi over its own port.

Playwright drives Firefox builds of its own, which no package brings, and asks the
system's for commands that its long-term releases do not know. What a person does in the
tests is little: open a page, press keys and buttons, look. Where there is no sound card
Firefox's clock of sounds stands still, so PulseAudio gives it one that nobody hears.
"""

import contextlib
import itertools
import json
import os
import re
import shutil
import subprocess
import time

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
SOUND = shutil.which("pulseaudio")
# Sound without a press, as Chromium is told; no page of its own at the first start.
PREFERENCES = {
    "media.autoplay.default": 0,
    "browser.aboutwelcome.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
    "app.normandy.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "extensions.getAddons.cache.enabled": False,
}


class Page:
    """The only page of a Firefox; `complaints` are errors since it was opened last."""

    def __init__(self, socket, patience):
        self.socket = socket
        self.patience = patience  # seconds
        self.numbers = itertools.count(1)
        self.complaints = []
        self.send("session.new", capabilities={})
        (context,) = self.send("browsingContext.getTree")["contexts"]
        self.context = context["context"]
        self.send("session.subscribe", events=["log.entryAdded"])

    def send(self, method, **parameters):
        """Sends a command; returns its result."""
        number = next(self.numbers)
        command = {"id": number, "method": method, "params": parameters}
        self.socket.send(json.dumps(command))
        while True:
            answer = json.loads(self.socket.recv(self.patience))
            if answer.get("method") == "log.entryAdded":
                entry = answer["params"]
                if entry["level"] == "error":
                    calls = entry.get("stackTrace", {}).get("callFrames", [])
                    places = [f"{call['url']}:{call['lineNumber']}" for call in calls]
                    self.complaints.append(" ".join([entry["text"], *places]))
            elif answer.get("id") == number:
                assert answer["type"] == "success", answer
                return answer["result"]

    def open(self, address, script=""):
        """Opens a page, then runs a script in it.

        Not by script.addPreloadScript: with it Firefox 140 now and then logs an error of
        its own, "Permission denied to access property", even where a page has no script.
        """
        self.complaints.clear()  # of another test, or of its first try
        about = {"context": self.context, "url": address}
        self.send("browsingContext.navigate", **about, wait="complete")
        self.evaluate(f"(() => {{{script}}})()")

    def resize(self, width, height):
        viewport = {"width": width, "height": height}
        about = {"context": self.context, "viewport": viewport}
        self.send("browsingContext.setViewport", **about)

    def evaluate(self, expression):
        """Value of an expression of JavaScript, a promise or not, by way of JSON."""
        found = self.send(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await ({expression})))()",
            target={"context": self.context},
            awaitPromise=True,
        )
        assert found["type"] == "success", found["exceptionDetails"]["text"]
        text = found["result"].get("value")
        return None if text is None else json.loads(text)

    def wait_for(self, expression):
        """Waits until an expression is true."""
        end = time.monotonic() + self.patience
        while not self.evaluate(f"Boolean({expression})"):
            assert time.monotonic() < end, f"never true: {expression}"
            time.sleep(0.1)

    def click(self, selector, across=0.5):
        """Presses the mouse on an element, at a share of its width."""
        element = f"document.querySelector({json.dumps(selector)})"
        self.wait_for(f"{element}?.getClientRects().length")
        place = self.evaluate(f"""(() => {{
            {element}.scrollIntoView({{block: "center", behavior: "instant"}});
            const box = {element}.getBoundingClientRect();
            return [box.x + {across} * box.width, box.y + box.height / 2];
        }})()""")
        x, y = map(round, place)
        actions = [
            {"type": "pointerMove", "x": x, "y": y},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        self.act({"type": "pointer", "id": "mouse", "actions": actions})

    def press(self, key):
        actions = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        self.act({"type": "key", "id": "keys", "actions": actions})

    def act(self, source):
        self.send("input.performActions", context=self.context, actions=[source])


@contextlib.contextmanager
def running(command, folder, sign, patience, **environment):
    """Runs a program; gives what a pattern finds in its log, once it is there."""
    folder.mkdir(exist_ok=True)
    log = folder / "log.txt"
    with log.open("w") as output:
        program = subprocess.Popen(
            command, stdout=output, stderr=output, env=os.environ | environment
        )
    try:
        end = time.monotonic() + patience
        while not (found := sign()):
            assert program.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.2)
        yield found
    finally:
        program.terminate()
        try:
            program.wait(20)
        except subprocess.TimeoutExpired:
            program.kill()


@contextlib.contextmanager
def opened(folder, patience=60):
    """A page of a headless Firefox with a profile and a sound card of its own.

    Args:
        folder: Empty folder for both.
        patience: Seconds to wait for anything.
    """
    from websockets.sync.client import connect

    sounds = folder / "sounds"
    profile = folder / "profile"
    card = sounds / "card"
    play = [SOUND, "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]
    play += ["--load=module-null-sink"]
    play += [f"--load=module-native-protocol-unix socket={card} auth-anonymous=1"]
    show = [FIREFOX, "--headless", "--remote-debugging-port=0", "--no-remote"]
    show += ["--profile", str(profile)]
    lines = [
        f"user_pref({json.dumps(name)}, {json.dumps(value)});"
        for name, value in PREFERENCES.items()
    ]

    profile.mkdir()
    (profile / "user.js").write_text("\n".join(lines))

    def find_port():
        log = (profile / "log.txt").read_text()
        return re.search(r"BiDi listening on (\S+)", log)

    with (
        running(play, sounds, card.exists, patience),
        running(
            show, profile, find_port, patience, PULSE_SERVER=f"unix:{card}"
        ) as port,
        connect(f"{port[1]}/session", max_size=None) as socket,
    ):
        yield Page(socket, patience)
