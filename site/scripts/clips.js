// The players of a notebook: each sound gets its spectrogram with a moving head, in place of the browser's own player.
// Those of one output are played one in place of the other, at the same place. Without this script the plain ones stay.

import { Bands, logMel } from "./bands.js";
import { RealFourier } from "./fourier.js";
import { draw } from "./picture.js";
import { Player } from "./player.js";

const RATE = 22050; // samples a second, of the notebooks' sounds
const COLUMNS = 256; // of a spectrogram
const CONFIG = { n_fft: 2048, sample_rate: RATE, n_mels: 64, fmin: 30, fmax: 10000, floor_db: -70, ceiling_db: 0 };
const STEP = 1 / 16; // of a clip: half a beat, by an arrow key
const AHEAD = "600px"; // below the screen, a sound is read before it is seen

const bands = new Bands(CONFIG);
const fourier = new RealFourier(CONFIG.n_fft);
const player = new Player(RATE); // the only one: one sound plays at a time
let current = null; // the clip that plays

function make(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

const seconds = (value) => `${value.toFixed(1)} s`;

class Clip {
  /**
   * @param audio An `<audio controls>` of the notebook, in a figure or not.
   * @param group The Group that it is heard with.
   * @param letter How it is called there, "" if it is alone.
   */
  constructor(audio, group, letter) {
    Object.assign(this, { audio, group, samples: null });
    this.label = audio.getAttribute("aria-label") ?? "sound";
    this.figure = audio.closest("figure");
    if (!this.figure) {
      this.figure = make("figure", {}, make("figcaption", { textContent: this.label }));
      audio.replaceWith(this.figure);
      this.figure.append(audio);
    }
    this.style = this.figure.getAttribute("style");
    this.figure.removeAttribute("style");
    this.figure.classList.add("clip");
    this.canvas = make("canvas", { width: COLUMNS, height: CONFIG.n_mels });
    this.head = make("div", { className: "strip-head", hidden: true });
    this.strip = make("div", { className: "strip", tabIndex: 0, role: "slider" }, this.canvas, this.head);
    const about = { "aria-label": `Place in ${this.label}`, "aria-valuemin": 0, "aria-valuemax": 100 };
    for (const [name, value] of Object.entries(about)) this.strip.setAttribute(name, value);
    this.word = make("span", { textContent: letter || "Play" });
    const sign = make("span", { className: "sign" });
    this.button = make("button", { type: "button", className: "play" }, sign, this.word);
    this.length = make("span", { className: "length" });
    const ending = audio.src.slice(audio.src.lastIndexOf("."));
    const name = this.label.replaceAll(/[^\p{L}\p{N}]+/gu, "_").replaceAll(/^_|_$/g, "");
    const file = make("a", { href: audio.src, download: `${name}${ending}`, textContent: "Download" });
    file.setAttribute("aria-label", `Download ${this.label}`);
    this.keys = make("div", { className: "clip-keys" }, this.button, this.length, file);
    audio.before(this.strip, this.keys);
    audio.hidden = true;
    this.button.addEventListener("click", () => (current === this ? pause() : this.play()));
    this.strip.addEventListener("click", ({ clientX }) => {
      const { left, width } = this.strip.getBoundingClientRect();
      this.play(Math.min(Math.max((clientX - left) / width, 0), 0.999));
    });
    this.strip.addEventListener("keydown", (event) => this.press(event));
    this.tell();
  }

  press(event) {
    const { key } = event;
    const steps = { ArrowLeft: -STEP, ArrowDown: -STEP, ArrowRight: STEP, ArrowUp: STEP };
    const to = { Home: 0, End: 0.999 }[key] ?? this.group.now() + (steps[key] ?? NaN);
    if (key === " " || key === "Enter") this.button.click();
    else if (Number.isNaN(to)) return;
    else if (current === this) this.play(Math.min(Math.max(to, 0), 0.999));
    else this.group.rest(Math.min(Math.max(to, 0), 0.999));
    event.preventDefault();
  }

  /** Reads the sound and draws it; leaves the browser's own player where that fails. */
  read() {
    this.reading ??= this.load().catch(() => {
      this.strip.remove();
      this.keys.remove();
      this.audio.hidden = false;
      if (this.style) this.figure.setAttribute("style", this.style);
      this.figure.classList.remove("clip");
    });
    return this.reading;
  }

  async load() {
    const answer = await fetch(this.audio.src);
    if (!answer.ok) throw new Error(`${this.audio.src}: ${answer.status}`);
    const sound = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(await answer.arrayBuffer());
    const samples = sound.getChannelData(0);
    const times = Array.from({ length: COLUMNS }, (_, k) => ((k + 0.5) * sound.duration) / COLUMNS);
    draw(this.canvas, logMel(samples, times, bands, fourier));
    this.samples = samples;
    this.length.textContent = seconds(sound.duration);
    this.tell();
  }

  /** Plays from a place, 0 to 1; from where its group is, if none is given. */
  async play(place = null) {
    player.wake(); // while the press is handled
    this.group.wanted = this;
    await this.read();
    if (!this.samples || this.group.wanted !== this) return; // no sound, or another was pressed meanwhile
    const before = current;
    const goesOn = before?.group === this.group && place === null; // at the place where the other is
    if (before) before.group.place = player.place();
    this.group.place = place ?? this.group.place;
    current = this;
    Object.assign(player, { head: this.head, screen: this.strip, samples: this.samples, loop: this.group.loop });
    player.play(goesOn ? null : this.group.place);
    for (const clip of [...(before?.group.clips ?? []), ...this.group.clips]) clip.tell();
    for (const other of this.group.clips) other.read(); // to be ready when it is pressed
  }

  /** Says to screen readers, and by the button, what is the case. */
  tell() {
    const isPlaying = current === this;
    const place = this.group.place;
    this.figure.classList.toggle("playing", isPlaying);
    this.button.setAttribute("aria-label", `${isPlaying ? "Pause" : "Play"} ${this.label}`);
    this.button.setAttribute("aria-pressed", String(isPlaying));
    this.strip.setAttribute("aria-valuenow", String(Math.round(100 * place)));
    const length = this.samples ? this.samples.length / RATE : 0;
    this.strip.setAttribute("aria-valuetext", `${seconds(place * length)} of ${seconds(length)}`);
    if (isPlaying) return;
    this.head.hidden = !(place > 0);
    this.head.style.transform = `translateX(${place * this.strip.clientWidth}px)`;
  }
}

/** The sounds of one output. They share the place in the sound, and whether it repeats. */
class Group {
  constructor(audios) {
    this.place = 0;
    this.loop = audios.some((audio) => audio.loop);
    const isOne = audios.length === 1;
    this.clips = audios.map((audio, k) => new Clip(audio, this, isOne || k > 25 ? "" : String.fromCharCode(65 + k)));
    this.repeat = make("button", { type: "button", className: "repeat", textContent: "Loop" });
    this.repeat.setAttribute("aria-pressed", String(this.loop));
    this.repeat.addEventListener("click", () => this.setLoop(!this.loop));
    const [first] = this.clips;
    const bar = make("p", { className: "clip-bar" }, this.repeat);
    if (!isOne) bar.append(make("span", { textContent: "Press another letter: it goes on at the same place." }));
    if (isOne) first.button.after(this.repeat);
    else this.clips.at(-1).figure.after(bar);
  }

  now() {
    return current?.group === this ? player.place() : this.place;
  }

  /** Sets the place where the next press goes on. */
  rest(place) {
    this.place = place;
    for (const clip of this.clips) clip.tell();
  }

  setLoop(loop) {
    this.loop = loop;
    this.repeat.setAttribute("aria-pressed", String(loop));
    if (current?.group !== this) return;
    player.loop = loop;
    player.play(null);
  }
}

function pause() {
  const clip = current;
  const place = player.place();
  player.stop();
  current = null;
  clip.group.rest(place < 1 ? place : 0);
}

player.onEnd = () => {
  const clip = current;
  current = null;
  clip.group.rest(0);
};

const seen = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      clipOf.get(target).read();
    }
  },
  { rootMargin: AHEAD },
);
const clipOf = new Map();
const groups = new Map();
for (const audio of document.querySelectorAll(".notebook audio[src]")) {
  const output = audio.closest(".hear, .output_html") ?? audio.parentElement;
  groups.set(output, [...(groups.get(output) ?? []), audio]);
}
for (const audios of groups.values()) {
  for (const clip of new Group(audios).clips) {
    clipOf.set(clip.figure, clip);
    seen.observe(clip.figure);
  }
}
