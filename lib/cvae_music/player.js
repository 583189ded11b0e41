// The players of sounds: in a notebook, in the studio, on the site. It needs nothing else, so that an output can carry it.
// Each sound gets its spectrogram with a moving head, in place of the browser's own player. Those of one output are played
// one in place of the other, at the same place. Without this script the plain ones stay.

const FLOOR = -70;
// Matplotlib's magma, as the notebooks use it, at nine places.
const MAGMA = ["000004", "1d1147", "51127c", "832681", "b73779", "e75263", "fc8961", "fec488", "fcfdbf"].map((code) =>
  [0, 2, 4].map((at) => parseInt(code.slice(at, at + 2), 16)),
);

// Each as the four bytes of a pixel.
const SHADES = Uint32Array.from({ length: 256 }, (_, shade) => {
  const place = (shade / 255) * (MAGMA.length - 1);
  const low = Math.min(Math.floor(place), MAGMA.length - 2);
  const colour = MAGMA[low].map((value, k) => Math.round(value + (place - low) * (MAGMA[low + 1][k] - value)));
  return new Uint32Array(Uint8Array.of(...colour, 255).buffer)[0];
});

export function draw(canvas, levels) {
  const { width, height } = canvas;
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let column = 0, cell = 0; column < width; column++) {
    for (let row = height - 1; row >= 0; row--, cell++) {
      pixels[row * width + column] = SHADES[Math.round(Math.min(Math.max(1 - levels[cell] / FLOOR, 0), 1) * 255)];
    }
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

const FADE = 0.012; // seconds, from one sound to the next
const GONE = 3000; // milliseconds after which a sound ends whose player was taken off the page

export class Player {
  /**
   * @param rate Samples a second.
   * @param head Element that moves over the picture with the sound.
   * @param screen Element that it moves in.
   */
  constructor(rate, head, screen) {
    Object.assign(this, { rate, head, screen, context: null, playing: null, samples: null, loop: true, onEnd: null });
    this.isStill = matchMedia("(prefers-reduced-motion: reduce)");
  }

  get isPlaying() {
    return this.playing !== null;
  }

  /** Opens the way to the loudspeaker: browsers allow it while a press is handled. */
  wake() {
    this.context ??= new AudioContext();
    this.context.resume();
  }

  /** Another clip: if one plays, the new one goes on at the same place of the eight beats. */
  load(samples) {
    this.samples = samples;
    if (this.isPlaying) this.play(null);
  }

  /** Where in the sound that plays it is, from 0 to 1. */
  place() {
    const { from, duration, offset, loop } = this.playing;
    const place = offset + Math.max(this.context.currentTime - from, 0) / duration;
    return loop ? place % 1 : Math.min(place, 1);
  }

  /** Plays from a place, 0 to 1; in place of the sound that plays, at its place, if that is null. */
  play(offset = 0) {
    this.wake();
    const { context, loop, head, screen } = this;
    const buffer = context.createBuffer(1, this.samples.length, this.rate);
    buffer.copyToChannel(withinFullScale(this.samples), 0);
    const source = new AudioBufferSourceNode(context, { buffer, loop });
    const gain = new GainNode(context, { gain: 0 });
    source.connect(gain).connect(context.destination);
    source.onended = () => {
      if (this.playing?.source !== source) return;
      this.stop();
      this.onEnd?.();
    };
    // All is ready, so that nothing takes time between the end of one sound and the begin of the next.
    const place = offset ?? this.place();
    this.stop();
    const from = context.currentTime;
    gain.gain.linearRampToValueAtTime(1, from + FADE);
    source.start(from, place * buffer.duration);
    this.playing = { source, gain, offset: place, from, duration: buffer.duration, loop, head, screen };
    this.follow();
  }

  stop() {
    if (!this.isPlaying) return;
    const { source, gain, head } = this.playing;
    const end = this.context.currentTime + FADE;
    gain.gain.cancelScheduledValues(this.context.currentTime);
    gain.gain.setTargetAtTime(0, this.context.currentTime, FADE / 4);
    source.stop(end);
    this.playing = null;
    head.hidden = true;
  }

  follow() {
    const sound = this.playing;
    const { head, screen } = sound;
    let seen = performance.now();
    head.hidden = this.isStill.matches;
    const move = (time) => {
      if (this.playing !== sound) return;
      if (screen.isConnected) seen = time;
      if (time - seen > GONE) {
        this.stop();
        this.onEnd?.();
        return;
      }
      head.style.transform = `translateX(${this.place() * screen.clientWidth}px)`;
      requestAnimationFrame(move);
    };
    move(seen);
  }
}


/** Samples turned down only where a sound card would clip them. */
export function withinFullScale(samples) {
  const peak = samples.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  return peak > 1 ? samples.map((value) => value / peak) : samples;
}

const RATE = 22050; // samples a second, of the notebooks' sounds
const COLUMNS = 256; // of a spectrogram
const ROWS = 64; // bands of equal width on the mel scale, from LOWEST to HIGHEST Hz
const LOWEST = 30;
const HIGHEST = 10000;
const FRAME = 2048; // samples of a Fourier transform
const STEP = 1 / 16; // of a clip: half a beat, by an arrow key
const AHEAD = "600px"; // below the screen, a sound is read before it is seen

const player = new Player(RATE); // the only one: one sound plays at a time
const groups = new WeakMap(); // by the element around them
const taken = new WeakSet(); // of <audio> elements
let current = null; // the clip that plays

/** Fourier transform of FRAME numbers, in place. */
function transform(real, imaginary) {
  for (let k = 1, j = 0; k < FRAME; k++) {
    let bit = FRAME >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (k < j) [real[k], real[j]] = [real[j], real[k]];
  }
  for (let half = 1; half < FRAME; half *= 2) {
    for (let k = 0; k < half; k++) {
      const cosine = Math.cos((Math.PI * k) / half);
      const sine = -Math.sin((Math.PI * k) / half);
      for (let a = k; a < FRAME; a += 2 * half) {
        const b = a + half;
        const x = cosine * real[b] - sine * imaginary[b];
        const y = cosine * imaginary[b] + sine * real[b];
        real[b] = real[a] - x;
        imaginary[b] = imaginary[a] - y;
        real[a] += x;
        imaginary[a] += y;
      }
    }
  }
}

/** Levels in dB, column after column, each from low to high: about what the notebooks' log-mel shows. */
function levelsOf(samples) {
  const mel = (hertz) => 2595 * Math.log10(1 + hertz / 700);
  const bin = (row) => {
    const place = mel(LOWEST) + ((mel(HIGHEST) - mel(LOWEST)) * row) / (ROWS + 1);
    return (700 * (10 ** (place / 2595) - 1) * FRAME) / RATE;
  };
  const levels = new Float32Array(COLUMNS * ROWS);
  for (let cell = 0; cell < levels.length; cell += ROWS) {
    const start = Math.round(((cell / ROWS + 0.5) * samples.length) / COLUMNS) - FRAME / 2;
    const real = Float32Array.from({ length: FRAME }, (_, k) => (samples[start + k] ?? 0) * (0.5 - 0.5 * Math.cos((2 * Math.PI * k) / FRAME)));
    const imaginary = new Float32Array(FRAME);
    transform(real, imaginary);
    for (let row = 0; row < ROWS; row++) {
      let most = 1e-9;
      for (let k = Math.round(bin(row + 0.5)); k <= bin(row + 1.5); k++) most = Math.max(most, Math.hypot(real[k], imaginary[k]));
      levels[cell + row] = 20 * Math.log10((4 * most) / FRAME);
    }
  }
  return levels;
}

/** The bytes of a sound; a page may forbid to fetch, so what is in it already is decoded here. */
async function bytesOf(source) {
  if (source.startsWith("data:")) return Uint8Array.from(atob(source.split(",")[1]), (letter) => letter.charCodeAt()).buffer;
  const answer = await fetch(source);
  if (!answer.ok) throw new Error(`${source}: ${answer.status}`);
  return answer.arrayBuffer();
}

function make(name, properties, ...children) {
  const { attributes = {}, ...others } = properties;
  const made = Object.assign(document.createElement(name), others);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  made.append(...children);
  return made;
}

const seconds = (value) => `${value.toFixed(1)} s`;
const within = (place) => Math.min(Math.max(place, 0), 0.999);

class Clip {
  /**
   * @param audio An `<audio controls>`, in a figure or not. A picture in its figure takes the place of the spectrogram:
   *   its `data-inset` says where in it the sound is, as CSS would.
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
    this.figure.dataset.lmSuppressShortcuts = "true"; // keys are not JupyterLab's here
    const picture = this.figure.querySelector("img");
    this.canvas = picture ? "" : make("canvas", { width: COLUMNS, height: ROWS });
    this.head = make("div", { className: "strip-head", hidden: true });
    const about = { role: "slider", "aria-label": `Place in ${this.label}`, "aria-valuemin": 0, "aria-valuemax": 100 };
    this.strip = make("div", { className: "strip", tabIndex: 0, attributes: about }, this.canvas, this.head);
    this.word = make("span", { textContent: letter || "Play" });
    this.button = make("button", { type: "button", className: "play" }, make("span", { className: "sign" }), this.word);
    this.length = make("span", { className: "length" });
    const ending = audio.src.startsWith("data:") ? (audio.src.startsWith("data:audio/mpeg") ? ".mp3" : ".wav") : audio.src.slice(audio.src.lastIndexOf("."));
    const name = (this.figure.dataset.name ?? this.label).replace(/[^\p{L}\p{N}]+/gu, "_").replace(/^_|_$/g, "");
    const file = { href: audio.src, download: name + ending, textContent: "Download", attributes: { "aria-label": `Download ${this.label}` } };
    this.keys = make("div", { className: "clip-keys" }, this.button, this.length, make("a", file));
    if (picture) this.strip.style.inset = picture.dataset.inset;
    this.figure.classList.toggle("wide", Boolean(picture));
    audio.before(picture ? make("div", { className: "pictured" }, picture, this.strip) : this.strip, this.keys);
    audio.hidden = true;
    this.button.addEventListener("click", () => (current === this ? pause() : this.play()));
    this.strip.addEventListener("click", ({ clientX }) => {
      const { left, width } = this.strip.getBoundingClientRect();
      this.play(within((clientX - left) / width));
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
    else if (current === this) this.play(within(to));
    else this.group.rest(within(to));
    event.preventDefault();
  }

  /** Reads the sound and draws it; leaves the browser's own player where that fails. */
  read() {
    this.reading ??= this.load().catch((error) => {
      console.warn(error);
      this.strip.remove();
      this.keys.remove();
      this.audio.hidden = false;
      if (this.style) this.figure.setAttribute("style", this.style);
      this.figure.classList.remove("clip");
    });
    return this.reading;
  }

  async load() {
    const bytes = await bytesOf(this.audio.src);
    const sound = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes);
    const samples = sound.getChannelData(0);
    if (this.canvas) draw(this.canvas, levelsOf(samples));
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
    const before = player.isPlaying ? current : null;
    const goesOn = before?.group === this.group && place === null; // at the place where the other is
    if (before) before.group.place = player.place();
    if (before && before.group !== this.group) before.group.wanted = null;
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
    this.wanted = null; // the clip that was pressed, until it is paused
    this.loop = audios.some((audio) => audio.loop);
    this.repeat = make("button", { type: "button", className: "repeat", textContent: "Loop" });
    this.repeat.addEventListener("click", () => this.setLoop(!this.loop));
    const isOne = audios.length === 1;
    this.clips = audios.map((audio, k) => new Clip(audio, this, isOne || k > 25 ? "" : String.fromCharCode(65 + k)));
    this.repeat.setAttribute("aria-pressed", String(this.loop));
    if (isOne) return this.clips[0].button.after(this.repeat);
    const words = make("span", { textContent: "Press another letter: it goes on at the same place." });
    this.clips.at(-1).figure.after(make("p", { className: "clip-bar" }, this.repeat, words));
  }

  /** Takes up a player that came later. One in place of another goes on where that was, unless it is to be silent. */
  add(audio) {
    const clip = new Clip(audio, this, "");
    const place = this.clips.findIndex(({ label, figure }) => label === clip.label && !figure.isConnected);
    const [old] = place < 0 ? [] : this.clips.splice(place, 1);
    this.clips.push(clip);
    if (!old) return;
    if (old.keys.contains(this.repeat)) clip.button.after(this.repeat);
    if (this.wanted !== old) return;
    this.wanted = clip;
    if (clip.figure.dataset.silent === undefined) clip.play();
    else if (current) pause();
    else this.wanted = null;
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
  clip.group.wanted = null;
  clip.group.rest(place < 1 ? place : 0);
}

player.onEnd = () => {
  const clip = current;
  current = null;
  clip.group.rest(0);
};

const clipOf = new WeakMap();
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

/** Takes up the players of the page that it has not yet. What stands together, or in one `.cvae-group`, is heard together. */
export function attach() {
  const found = new Map();
  for (const audio of document.querySelectorAll(":is(.cvae, .notebook) audio[src]")) {
    if (taken.has(audio)) continue;
    taken.add(audio);
    const output = audio.closest(".cvae-group") ?? (audio.closest("figure") ?? audio).parentElement;
    found.set(output, [...(found.get(output) ?? []), audio]);
  }
  for (const [output, audios] of found) {
    const group = groups.get(output);
    if (group) audios.forEach((audio) => group.add(audio));
    else groups.set(output, new Group(audios));
    for (const clip of groups.get(output).clips) {
      clipOf.set(clip.figure, clip);
      seen.observe(clip.figure);
    }
  }
}

attach();
