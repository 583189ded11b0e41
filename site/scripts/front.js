// The front page: controls to settings, settings to a clip (worker.js), the clip to picture, sound and file.

import { OwnClip } from "./own.js";
import { Player, draw } from "./player.js";
import { LARGEST_SEED, asAddress, asCode, asSettings, fromAddress, idleSliders, inWords, mixInWords } from "./settings.js";
import { Trail } from "./trail.js";
import { waveFile } from "./wave.js";

const RATE = 22050;
const MARGIN = 4096; // samples of its loop to each side of a finished clip
const form = document.getElementById("instrument");
const element = (id) => document.getElementById(id);
const { presets, shared } = JSON.parse(element("presets").textContent);
const player = new Player(RATE, element("head"), element("screen"));

let about = presets[0]; // the preset that plays
let clip = null; // the last one made: { values, settings, samples, levels }
let playing = form.elements.genre.value; // the genre asked for last
let asked = null; // the last clip that was asked for
let busy = false;
let wantsToPlay = false;
let hearsOwn = false;
let gesture = null; // what began with a touch of a control, and ends as it is left

let fault = null; // why the worker cannot start
const calls = new Map();
element("blocked").remove(); // it says that no script runs
const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });

/** Asks the worker; the answer is a promise. */
function call(kind, wish) {
  return new Promise((resolve, reject) => {
    if (fault) return reject(fault);
    const number = calls.size ? Math.max(...calls.keys()) + 1 : 0;
    calls.set(number, { resolve, reject });
    worker.postMessage({ number, kind, about: { ...about, shared }, ...wish });
  });
}

function receive({ data: { number, result, error, loading } }) {
  if (loading) return showLoading(loading);
  const { resolve, reject } = calls.get(number);
  calls.delete(number);
  if (error) reject(new Error(error));
  else resolve(result);
}

function showLoading({ loaded, total }) {
  Object.assign(element("bytes"), { max: total, value: loaded });
  element("megabytes").textContent = `Loading the networks: ${(loaded / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB`;
  element("loading").hidden = loaded >= total;
}

const readValues = () => Object.fromEntries(new FormData(form));

const ownOf = (values) => own.records.get(values.latent);

/** Sets the controls to values, as those of an address. */
function writeValues(values) {
  setMusic(values.music);
  for (const [name, value] of Object.entries(values)) form.elements[name].value = value;
  playing = values.genre;
  own.show(ownOf(values));
}

/** Offers the genres and sliders of a preset. */
function setMusic(name) {
  if (about.name === name) return;
  about = presets.find((preset) => preset.name === name);
  const radio = element("genres").querySelector("label");
  const labels = about.genres.map((genre, k) => {
    const label = radio.cloneNode(true);
    const input = label.querySelector("input");
    Object.assign(input, { value: genre, checked: k === 0 });
    label.querySelector("span").replaceChildren(genre, Object.assign(document.createElement("kbd"), { textContent: k + 1, ariaHidden: "true" }));
    return label;
  });
  element("genres").replaceChildren(element("genres").firstElementChild, ...labels);
  for (const id of ["drawn", "guest"]) element(id).replaceChildren(...about.genres.map((genre) => new Option(genre)));
  for (const slider of form.querySelectorAll("input[id^=slider-]")) {
    slider.disabled = !about.sliders.includes(slider.id.slice(7));
    slider.parentElement.hidden = slider.disabled;
  }
  element("guest").selectedIndex = Math.min(2, about.genres.length - 1);
  element("guidance").value = about.guidance;
  playing = about.genres[0];
}

/** Another kind of music: what both have stays, an own clip is encoded anew. */
async function changeMusic(name) {
  const { latent } = readValues();
  const record = own.records.get(latent);
  setMusic(name);
  element("latent").value = "";
  if (record && record.file === own.file) await own.listen();
  else ask();
}

function say(text, isError = false) {
  element("status").textContent = text;
  element("status").classList.toggle("error", isError);
}

function showValues() {
  for (const output of form.querySelectorAll("output[data-unit]")) {
    output.value = form.elements[output.htmlFor.value].value + output.dataset.unit;
  }
}

/** A mix needs two genres, a morph two seeds: of one and the same, their sliders would move and nothing be heard. */
function keepApart() {
  const { value: genre } = form.elements.genre;
  const guest = element("guest");
  if (guest.value === genre) guest.value = playing === genre ? about.genres.find((other) => other !== genre) : playing;
  playing = genre;
  for (const option of guest.options) option.disabled = option.value === genre;
  const { seed, second, share, latent } = readValues();
  const isOne = Number(share) > 0 && !latent && seed !== "" && Number(seed) === Number(second);
  element("second").setCustomValidity(isOne ? "another seed than the first, or the morph leads nowhere" : "");
}

/** A genre that is asked for alone is heard: where the mix had none of it, the mix ends. */
function leaveMix() {
  if (Number(element("blend").value) === 1) element("blend").value = 0;
}

/** Greys out the sliders that do not work in the genres that play; their values come back with another genre. */
function greyOut() {
  const idle = idleSliders(about, asSettings(readValues()));
  for (const name of about.sliders) {
    const slider = element(`slider-${name}`);
    slider.disabled = name in idle;
    slider.parentElement.classList.toggle("idle", slider.disabled);
  }
  const words = Object.values(idle).join(" ");
  if (element("idle").textContent !== words) element("idle").textContent = words;
}

/** Asks for the clip of the controls as they stand; while one is made, only the last wish is kept. */
function ask(at = performance.now()) {
  keepApart();
  greyOut();
  showValues();
  const wrong = [element("seed"), element("second")].find((field) => !field.checkValidity());
  if (wrong) {
    const expected = wrong.validity.customError ? wrong.validationMessage : `a whole number from 0 to ${LARGEST_SEED}`;
    say(`${wrong.labels[0].textContent} got “${wrong.value}”; expected ${expected}.`, true);
    return;
  }
  asked = { at, gesture, values: readValues() };
  trail.note(asAddress(asked.values, presets), gesture);
  element("leave-own").disabled = !asked.values.latent;
  element("own-genre").textContent = playing;
  if (!clip) offerFinished(asked);
  work();
}

async function work() {
  if (busy) return;
  busy = true;
  for (let wish = null; wish !== asked; ) {
    wish = asked;
    const settings = asSettings(wish.values);
    try {
      const made = await call("clip", { settings });
      clip = { values: wish.values, settings, ...made };
      show(clip, wish.gesture);
      element("download").disabled = false;
      say(`Ready: ${inWords(settings, ownOf(wish.values))}.`);
      performance.mark("clip");
      // For whoever measures or tests: what was made, and how long after the control was moved it was handed to the player.
      form.dispatchEvent(new CustomEvent("clip", { detail: { ...clip, milliseconds: performance.now() - wish.at } }));
    } catch (error) {
      wish.failed = true;
      say(error.message, true);
    }
  }
  busy = false;
}

/** Shows a clip, and plays it where the one before was. */
function show({ values, settings, samples, levels }, gesture) {
  const record = ownOf(values);
  const words = inWords(settings, record);
  draw(element("picture"), levels);
  element("picture").setAttribute("aria-label", `Spectrogram of ${words}: eight beats, 30 Hz to 10 kHz`);
  element("code").textContent = asCode(settings, about, record);
  const title = `${mixInWords(settings)} ${settings.latent ? "of your own" : settings.seed}`;
  trail.keep(asAddress(values, presets), gesture, title, words, levels);
  if (!record) hear(false);
  player.load(hearsOwn ? record.samples : samples);
  if (wantsToPlay && !player.isPlaying) player.play();
}

/** Clips of the page as it opens, one a genre, and their pictures: they sound while the networks are on their way. */
const [pictures, ...sounds] = ["levels.bin", ...presets[0].genres.map((_, number) => `${number}.mp3`)].map(async (name) => {
  const file = new URL(`../instrument/${presets[0].name}/finished/${name}`, import.meta.url);
  return (await fetch(file)).arrayBuffer();
});
for (const file of [pictures, ...sounds]) file.catch(() => null); // the networks make the same clips

/** The samples of a finished clip: once around the loop that its file holds more of. */
async function decoded(sound) {
  const around = await new OfflineAudioContext(1, 1, RATE).decodeAudioData((await sound).slice());
  const { num_frames, frames_per_beat } = presets[0].config;
  const length = Math.round(((num_frames / frames_per_beat) * 60 * RATE) / Number(element("tempo").defaultValue));
  return around.getChannelData(0).slice(MARGIN, MARGIN + length);
}

async function offerFinished(wish) {
  const [first] = presets;
  if (asAddress({ ...wish.values, genre: first.genres[0] }, presets)) return;
  const number = first.genres.indexOf(wish.values.genre);
  try {
    const [samples, bytes] = await Promise.all([decoded(sounds[number]), pictures]);
    if (clip || asked !== wish) return;
    const { num_frames, n_mels, floor_db, ceiling_db } = first.config;
    const cells = num_frames * n_mels;
    const levels = Float32Array.from(new Uint8Array(bytes, number * cells, cells), (value) => floor_db + (value / 255) * (ceiling_db - floor_db));
    const settings = asSettings(wish.values);
    show({ values: wish.values, settings, samples, levels }, wish.gesture);
    if (!wish.failed) say(`From a file, until the networks are there: ${inWords(settings)}.`);
    performance.mark("finished");
  } catch {
    // The networks say what is wrong if they fail too.
  }
}

/** Plays the clip of one's own, or what was made of it, at the same place of the eight beats. */
function hear(isOwn) {
  const record = clip && ownOf(clip.values);
  const isChanged = hearsOwn !== isOwn;
  hearsOwn = isOwn;
  element("hear-own").setAttribute("aria-pressed", String(isOwn));
  element("hear-made").setAttribute("aria-pressed", String(!isOwn));
  if (isChanged && record) player.load(isOwn ? record.samples : clip.samples);
}

/** A clip of one's own was found: it takes the place of the idea, at its own tempo. */
function takeOwn(record) {
  element("latent").value = record.text;
  const tempo = element("tempo");
  tempo.value = Math.round(record.tempo);
  hear(false);
  ask();
}

function togglePlay() {
  wantsToPlay = !wantsToPlay;
  element("play-word").textContent = wantsToPlay ? "Stop" : "Play";
  element("play").classList.toggle("playing", wantsToPlay);
  player.wake(); // the browser lets sound begin while a press is handled
  if (wantsToPlay && player.samples) player.play();
  else player.stop();
}

/** Draws another seed, where the clips of the genre lie that is played. */
function newIdea() {
  const second = Number(element("second").value);
  const drawn = Math.floor(Math.random() * LARGEST_SEED);
  element("seed").value = drawn < second ? drawn : drawn + 1; // never the second seed
  if (Number(element("share").value) === 1) element("share").value = 0; // all of it was the second seed's
  element("drawn").value = form.elements.genre.value;
  element("latent").value = "";
  ask();
}

function leaveOwn() {
  element("latent").value = "";
  ask();
}

function reset() {
  for (const name of ["blend", "share", ...about.sliders.map((slider) => `slider-${slider}`)]) element(name).value = 0;
  element("guidance").value = about.guidance;
  ask();
}

async function copyLink() {
  try {
    await navigator.clipboard.writeText(location.href);
    const own = asked.values.latent ? " It carries the latent of your clip, not its sound." : "";
    say(`Copied: the address of this page as it stands makes this clip again.${own}`);
  } catch {
    say(`Copy the address of this page: it makes this clip again. ${location.href}`);
  }
}

async function copyCode() {
  const code = element("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
    say("Copied: these lines make this clip again.");
  } catch {
    getSelection().selectAllChildren(code);
    say("The lines are selected: copy them.");
  }
}

function download() {
  const { values, samples } = clip;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([waveFile(samples, RATE)], { type: "audio/wav" }));
  const idea = values.latent ? "own" : `seed${values.seed}`;
  link.download = `${values.genre.replaceAll(/\W+/g, "_")}_${idea}_${values.tempo}bpm.wav`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

let byPointer = true; // whether the focus came from a press, as after a click on a button

function press(event) {
  const { target, key } = event;
  if (key === "Tab") byPointer = false;
  const isTyping = target.matches("input:not([type=range], [type=radio]), select, textarea, [contenteditable]");
  if (isTyping || event.ctrlKey || event.altKey || event.metaKey) return;
  const genres = [...element("genres").querySelectorAll("input")];
  const presses = target.matches("button, a, summary") && !byPointer; // there Space and Enter are the browser's
  if (key === " " && presses) return;
  if (key === " " || key.toLowerCase() === "p") {
    if (!event.repeat) togglePlay();
  } else if (key.toLowerCase() === "n") newIdea();
  else if (key.toLowerCase() === "o" && ownOf(readValues())) hear(!hearsOwn);
  else if (genres[Number(key) - 1]) {
    genres[Number(key) - 1].checked = true;
    leaveMix();
    gesture = null;
    ask();
  } else return;
  event.preventDefault();
}

/** Makes the clip of an address again, without another step back. */
function goTo(text, by) {
  gesture = by;
  writeValues(fromAddress(text, presets));
  ask();
  gesture = null;
}

const trail = new Trail(element("last"), element("back"), goTo);
const own = new OwnClip(RATE, call, takeOwn, say);
worker.addEventListener("message", receive);
worker.addEventListener("error", ({ message }) => {
  const unloaded = "one of its scripts did not load; the server has to send .js files as JavaScript (text/javascript)";
  fault = new Error(`The instrument cannot start: ${message ?? unloaded}.`);
  for (const { reject } of calls.values()) reject(fault);
  calls.clear();
});
form.addEventListener("input", (event) => {
  const { target } = event;
  if (target.closest("#own")) return;
  gesture ??= Symbol(target.id);
  if (target.name === "music") return changeMusic(target.value);
  if (["seed", "drawn"].includes(target.id)) element("latent").value = ""; // an idea in place of the own clip
  if (target.name === "genre") leaveMix();
  ask(event.timeStamp);
});
form.addEventListener("change", () => (gesture = null));
form.addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("keydown", press);
document.addEventListener("keyup", (event) => event.key === " " && event.target.matches("button") && byPointer && event.preventDefault());
document.addEventListener("pointerdown", () => (byPointer = true));
element("screen").addEventListener("click", ({ clientX }) => {
  const { left, width } = element("screen").getBoundingClientRect();
  if (!wantsToPlay) togglePlay();
  if (player.samples) player.play((clientX - left) / width);
});
const buttons = { play: togglePlay, another: newIdea, reset, download, "copy-link": copyLink, "copy-code": copyCode, "leave-own": leaveOwn };
for (const [id, answer] of Object.entries(buttons)) element(id).addEventListener("click", () => ((gesture = null), answer()));
element("hear-own").addEventListener("click", () => hear(true));
element("hear-made").addEventListener("click", () => hear(false));
goTo(trail.text, trail.gesture);
