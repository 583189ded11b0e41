// The front page: controls to settings, settings to a clip (worker.js), the clip to picture, sound and file.

import { Player, waveFile } from "./player.js";
import { draw } from "./picture.js";

const RATE = 22050;
const LARGEST_SEED = 1_000_000;
const form = document.getElementById("instrument");
const element = (id) => document.getElementById(id);
const player = new Player(RATE, element("head"), element("picture").parentElement);

let clip = null; // the last one made: { settings, samples, levels }
let asked = { number: 0, at: 0 }; // the last clip that was asked for
let busy = false;
let wantsToPlay = false;

/** What the controls say, as the arguments of make_clip. */
function readSettings() {
  const value = (id) => Number(element(id).value);
  const genre = form.elements.genre.value;
  const guest = element("guest").value;
  const blend = guest === genre ? 0 : value("blend");
  const settings = { seed: value("seed"), tempo: value("tempo"), genre: { [genre]: Number((1 - blend).toFixed(2)) }, prior_genre: genre };
  if (blend === 1) settings.genre = {};
  if (blend > 0) settings.genre[guest] = blend;
  const sliders = [...form.querySelectorAll("[id^=slider-]:not(output)")].map((slider) => [slider.id.slice(7), Number(slider.value)]);
  const turned = sliders.filter(([, amount]) => amount !== 0);
  if (turned.length) settings.sliders = Object.fromEntries(turned);
  if (value("share") > 0) Object.assign(settings, { morph_to: value("second"), morph: value("share") });
  return settings;
}

/** The line of Python that makes the same clip. */
function asCode(settings) {
  const literal = (value) => {
    if (typeof value === "string") return `"${value}"`;
    if (typeof value === "number") return String(value);
    return `{${Object.entries(value).map(([name, part]) => `"${name}": ${part}`).join(", ")}}`;
  };
  const parts = Object.entries(settings).map(([name, value]) => `${name}=${literal(value)}`);
  return [
    "from cvae_music import ConditionalVAE, make_clip, shipped_controls",
    'model = ConditionalVAE.from_preset("known_cvae")',
    `clip = make_clip(model, shipped_controls(model), ${parts.join(", ")})`,
  ].join("\n");
}

function inWords(settings) {
  const genres = Object.entries(settings.genre);
  const mix = genres.length === 1 ? genres[0][0] : genres.map(([name, share]) => `${Math.round(100 * share)}% ${name}`).join(", ");
  const turned = Object.entries(settings.sliders ?? {}).map(([name, amount]) => `, ${name} ${amount > 0 ? "+" : ""}${amount}`);
  const morph = settings.morph ? `, ${Math.round(100 * settings.morph)}% towards seed ${settings.morph_to}` : "";
  return `${mix}, seed ${settings.seed}, ${settings.tempo} bpm${turned.join("")}${morph}`;
}

function say(text, isError = false) {
  element("status").textContent = text;
  element("status").classList.toggle("error", isError);
}

function showValues() {
  for (const output of form.querySelectorAll("output")) {
    output.value = form.elements[output.htmlFor.value].value + output.dataset.unit;
  }
}

/** Asks for the clip of the controls as they stand; while one is made, only the last wish is kept. */
function ask(at = performance.now()) {
  showValues();
  const wrong = [...form.querySelectorAll("input[type=number]")].find((field) => !field.checkValidity());
  if (wrong) {
    say(`${wrong.labels[0].textContent} got “${wrong.value}”; expected a whole number from 0 to ${LARGEST_SEED}.`, true);
    return;
  }
  asked = { number: asked.number + 1, at };
  if (!busy) send();
}

function send() {
  busy = true;
  const settings = readSettings();
  worker.postMessage({ number: asked.number, at: asked.at, settings });
}

function receive({ data: { number, at, settings, clip: made, error } }) {
  busy = false;
  if (error) say(error, true);
  else {
    clip = { settings, ...made };
    const words = inWords(settings);
    draw(element("picture"), clip.levels);
    element("picture").setAttribute("aria-label", `Spectrogram of ${words}: eight beats, 30 Hz to 10 kHz`);
    element("code").textContent = asCode(settings);
    element("download").disabled = false;
    player.load(clip.samples);
    if (wantsToPlay && !player.isPlaying) player.play();
    say(`Ready: ${words}.`);
    // For whoever measures or tests: what was made, and how long after the control was moved it was handed to the player.
    form.dispatchEvent(new CustomEvent("clip", { detail: { ...clip, milliseconds: performance.now() - at } }));
  }
  if (number !== asked.number) send();
}

function togglePlay() {
  wantsToPlay = !wantsToPlay;
  element("play-word").textContent = wantsToPlay ? "Stop" : "Play";
  element("play").classList.toggle("playing", wantsToPlay);
  player.wake(); // the browser lets sound begin while a press is handled
  if (wantsToPlay && clip) player.play();
  else player.stop();
}

function anotherSeed() {
  element("seed").value = Math.floor(Math.random() * (LARGEST_SEED + 1));
  ask();
}

function reset() {
  for (const name of ["blend", "share", ...[...form.querySelectorAll("[id^=slider-]:not(output)")].map(({ id }) => id)]) element(name).value = 0;
  ask();
}

function download() {
  const { genre } = form.elements;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([waveFile(clip.samples, RATE)], { type: "audio/wav" }));
  link.download = `${genre.value}_seed${clip.settings.seed}_${clip.settings.tempo}bpm.wav`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function press(event) {
  const typing = event.target.matches("input[type=number], select");
  if (typing || event.ctrlKey || event.altKey || event.metaKey) return;
  const genres = [...form.elements.genre];
  if (event.key === "p") togglePlay();
  else if (event.key === "n") anotherSeed();
  else if (genres[Number(event.key) - 1]) {
    genres[Number(event.key) - 1].checked = true;
    ask();
  } else return;
  event.preventDefault();
}

const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
worker.addEventListener("message", receive);
worker.addEventListener("error", (event) => say(`The instrument cannot start in this browser: ${event.message ?? "no module workers"}.`, true));
form.addEventListener("input", (event) => ask(event.timeStamp));
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("keydown", press);
element("play").addEventListener("click", togglePlay);
element("another").addEventListener("click", anotherSeed);
element("reset").addEventListener("click", reset);
element("download").addEventListener("click", download);
ask(0); // counted from the opening of the page
