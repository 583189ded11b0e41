// A clip of one's own: a file that is dropped or chosen, a region of it, the latent it has. Nothing of it is sent.

import { READ_SECONDS } from "./beats.js";
import { draw } from "./player.js";
import { packed } from "./settings.js";

const element = (id) => document.getElementById(id);
const LARGEST_FILE = 100e6; // bytes; all of it is decoded
const USUAL_RATE = 44100; // of what is no WAV file: the browser converts others, far above what the networks hear
const COLUMNS = 512; // of the picture of a file

export class OwnClip {
  /**
   * @param rate Samples a second.
   * @param call Function of (kind, wish) that asks the worker.
   * @param onClip Called with a record of the clip: name, start, tempo, samples, text (its latent) and more.
   * @param say Function of (text, isError).
   */
  constructor(rate, call, onClip, say) {
    Object.assign(this, { rate, call, onClip, say, file: null, records: new Map(), wish: 0 });
    element("file").addEventListener("change", ({ target }) => target.files[0] && this.open(target.files[0]));
    for (const name of ["dragover", "drop"]) {
      document.addEventListener(name, (event) => {
        if (!event.dataTransfer?.types.includes("Files")) return;
        event.preventDefault();
        if (name === "drop") this.open(event.dataTransfer.files[0]);
        document.body.classList.toggle("dropping", name === "dragover");
      });
    }
    document.addEventListener("dragleave", ({ relatedTarget }) => relatedTarget || document.body.classList.remove("dropping"));
    element("from").addEventListener("input", () => this.showRegion());
    element("from").addEventListener("change", () => this.listen());
    element("beats").addEventListener("change", () => this.listen());
    const place = ({ clientX }) => {
      const { left, width } = element("whole").getBoundingClientRect();
      element("from").value = ((clientX - left) / width) * this.seconds;
      this.showRegion();
    };
    element("whole").addEventListener("pointerdown", (event) => {
      event.target.setPointerCapture(event.pointerId);
      place(event);
      event.target.onpointermove = place;
    });
    element("whole").addEventListener("pointerup", ({ target }) => {
      target.onpointermove = null;
      this.listen();
    });
  }

  get seconds() {
    return this.file ? this.file.channels[0].length / this.file.rate : 0;
  }

  async open(file) {
    const wish = ++this.wish;
    this.say(`Reading ${file.name}.`);
    try {
      if (file.size > LARGEST_FILE) throw new Error(`${file.name} holds ${Math.round(file.size / 1e6)} MB; expected at most ${LARGEST_FILE / 1e6} MB. Cut it shorter.`);
      const sound = await this.decode(file);
      if (wish !== this.wish) return;
      const channels = Array.from({ length: sound.numberOfChannels }, (_, k) => sound.getChannelData(k));
      this.file = { name: file.name, channels, rate: sound.sampleRate };
      element("own-stage").hidden = false;
      Object.assign(element("from"), { max: Math.max(this.seconds - 1, 0).toFixed(1), value: 0 });
      element("beats").value = "";
      const picture = this.call("overview", { samples: channels[0], rate: sound.sampleRate, frames: COLUMNS });
      await this.listen();
      const levels = await picture;
      if (this.file.channels === channels) draw(element("whole"), levels);
    } catch (error) {
      if (wish === this.wish) this.say(error.message, true);
    }
  }

  async decode(file) {
    const bytes = await file.arrayBuffer();
    try {
      return await new OfflineAudioContext(1, 1, rateOf(bytes)).decodeAudioData(bytes);
    } catch {
      throw new Error(`${file.name} is no sound that this browser reads; expected WAV, MP3, FLAC, OGG or M4A.`);
    }
  }

  /** Finds the clip where the region begins, and its latent. */
  async listen() {
    const wish = ++this.wish;
    const { name, channels, rate } = this.file;
    const start = Number(element("from").value), typed = Number(element("beats").value);
    this.showRegion();
    if (!element("beats").checkValidity()) {
      this.say(`Its tempo got “${element("beats").value}”; expected ${element("beats").min} to ${element("beats").max} beats a minute, or nothing to have it tracked.`, true);
      return;
    }
    const first = Math.round(start * rate);
    const heard = channels.map((channel) => channel.slice(first, first + READ_SECONDS * rate));
    this.say(`Listening to ${name}.`);
    try {
      const found = await this.call("listen", { channels: heard, rate, tempo: typed });
      if (wish !== this.wish) return;
      const record = { ...found, name, start, isTyped: typed > 0, typed: element("beats").value, file: this.file, text: packed(found.latent) };
      this.records.set(record.text, record);
      this.show(record);
      this.onClip(record);
    } catch (error) {
      if (wish === this.wish) this.say(error.message, true);
    }
  }

  /** Shows where a clip was found in its file, and how. */
  show(record) {
    if (!record || record.file !== this.file) return;
    this.shown = record;
    element("from").value = record.start;
    element("beats").value = record.typed;
    const { tempo, isTyped, isTracked } = record;
    const how = isTyped ? "the tempo you typed" : isTracked ? "beats found" : "no steady beat found: a grid of 120; type its tempo if you know it";
    element("about-own").textContent = `${record.name}: ${tempo.toFixed(1)} bpm, ${how}.`;
    this.showRegion();
  }

  /** The box around the eight beats, and what the slider says. */
  showRegion() {
    const start = Number(element("from").value);
    element("from-value").value = `${start.toFixed(1)} s`;
    const { shown } = this;
    const isFound = shown?.file === this.file && shown.start === start;
    const [from, length] = isFound ? [start + shown.from, shown.samples.length / this.rate] : [start, 4];
    const percent = (seconds) => `${Math.min((100 * seconds) / this.seconds, 100)}%`;
    Object.assign(element("region").style, { left: percent(from), width: percent(Math.min(length, this.seconds - from)) });
  }
}

/** Samples a second of a WAV file, so that nobody converts them on the way; the usual rate of any other. */
function rateOf(bytes) {
  const view = new DataView(bytes);
  const isWave = bytes.byteLength > 44 && view.getUint32(0) === 0x52494646 && view.getUint32(8) === 0x57415645; // RIFF, WAVE
  for (let at = 12; isWave && at + 16 < bytes.byteLength; at += 8 + view.getUint32(at + 4, true) + (view.getUint32(at + 4, true) & 1)) {
    const rate = view.getUint32(at + 12, true);
    if (view.getUint32(at) === 0x666d7420 && rate >= 8000 && rate <= 96000) return rate; // "fmt "
  }
  return USUAL_RATE;
}
