// What the controls say: as text in the address, as the arguments of make_clip, as Python code, in words.

export const LARGEST_SEED = 1_000_000;
const SLIDER = "slider-";

/** Numbers as text that may stand in an address, and back. */
export const packed = (numbers) => btoa(String.fromCharCode(...new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

export function unpacked(text) {
  try {
    const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
    return new Float32Array(bytes.buffer);
  } catch {
    return new Float32Array();
  }
}

/** The values of a preset's controls as the page opens, by name, as text. */
export function defaults({ name, genres, sliders, guidance }) {
  const [first, guest] = [genres[0], genres[Math.min(2, genres.length - 1)]];
  const values = { music: name, genre: first, seed: "0", drawn: first, latent: "", second: "1", share: "0", guest, blend: "0", tempo: "110", guidance: String(guidance) };
  for (const slider of sliders) values[SLIDER + slider] = "0";
  return values;
}

/** The part of the address that stands for values: those that are not as the page opens, and are heard. */
export function asAddress(values, presets) {
  const about = presets.find(({ name }) => name === values.music);
  const usual = { ...defaults(about), music: presets[0].name };
  const isHeard = ([name]) => (name !== "guest" || Number(values.blend)) && (name !== "second" || Number(values.share));
  const changed = Object.entries(values).filter(([name, value]) => value !== usual[name]).filter(isHeard);
  return new URLSearchParams(changed.map(([name, value]) => [name.replace(SLIDER, ""), value])).toString();
}

/** Values of an address; what it does not say, or says wrongly, is the preset's default. */
export function fromAddress(text, presets) {
  const given = new URLSearchParams(text);
  const about = presets.find(({ name }) => name === given.get("music")) ?? presets[0];
  const values = defaults(about);
  for (const name of Object.keys(values)) {
    const value = given.get(name.replace(SLIDER, ""));
    const isKnown = !["genre", "drawn", "guest"].includes(name) || about.genres.includes(value);
    const isNumber = ["genre", "drawn", "guest", "latent", "music"].includes(name) || (value?.trim() && Number.isFinite(Number(value)));
    const fits = name !== "latent" || unpacked(value ?? "").length === about.latent_dim;
    if (value !== null && isKnown && isNumber && fits) values[name] = value;
  }
  values.music = about.name;
  if (values.guest === values.genre) values.guest = about.genres.find((genre) => genre !== values.genre);
  return values;
}

/** Values as the arguments of make_clip. */
export function asSettings(values) {
  const { genre, guest, drawn, latent } = values;
  const [seed, tempo, blend, share, second] = ["seed", "tempo", "blend", "share", "second"].map((name) => Number(values[name]));
  const mixture = { [genre]: Number((1 - blend).toFixed(2)), [guest]: blend };
  const parts = Object.entries(mixture).filter(([, part]) => part > 0);
  // The idea is the seed and the genre it was drawn as: it stays when another genre plays it.
  const settings = { seed, tempo, genre: Object.fromEntries(parts), prior_genre: drawn };
  if (latent) settings.latent = unpacked(latent);
  const sliders = Object.entries(values).filter(([name, value]) => name.startsWith(SLIDER) && Number(value));
  if (sliders.length) settings.sliders = Object.fromEntries(sliders.map(([name, value]) => [name.slice(SLIDER.length), Number(value)]));
  if (share > 0) Object.assign(settings, { morph_to: second, morph: share });
  settings.guidance = Number(values.guidance);
  return settings;
}

/** The sliders that do not do what their name says in the genres that play, and a sentence on each: as Controls.idle_sliders. */
export function idleSliders({ genres, sliders, effects, smallest_effect }, { genre: mixture }) {
  if (!effects) return {};
  const total = Object.values(mixture).reduce((sum, weight) => sum + weight, 0);
  const found = {};
  sliders.forEach((name, row) => {
    const moved = sliders.map((_, column) => genres.reduce((sum, genre, k) => sum + ((mixture[genre] ?? 0) / total) * effects[k][row][column], 0));
    const others = sliders.map((_, column) => column).filter((column) => column !== row);
    const other = others.reduce((most, column) => (Math.abs(moved[column]) > Math.abs(moved[most]) ? column : most));
    if (moved[row] >= Math.max(smallest_effect, Math.abs(moved[other]))) return;
    const signed = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);
    found[name] = `${name} is off in this genre: it would move ${name} by ${signed(moved[row])} and ${sliders[other]} by ${signed(moved[other])}.`;
  });
  return found;
}

function literal(value) {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number") return String(value);
  return `{${Object.entries(value).map(([name, part]) => `${JSON.stringify(name)}: ${part}`).join(", ")}}`;
}

/** Lines of Python that read the latent of a clip of one's own, and what they import. */
function latentCode(latent, own) {
  if (!own) {
    return { imports: ["import base64", "import numpy as np"], names: [], lines: [`latent = np.frombuffer(base64.urlsafe_b64decode("${packed(latent)}=="), "<f4")`] };
  }
  const from = `${literal(own.name)}, ${own.start}`;
  if (!own.isTyped) return { imports: [], names: ["encode_clip"], lines: [`latent = encode_clip(model, ${from})`] };
  return {
    imports: ["import numpy as np"],
    names: ["beat_frame_times", "load_audio", "log_mel"],
    lines: [
      "config = model.audio_config",
      `sound = load_audio(${from.replace(", ", ", config, ")})`,
      `beats = np.arange(config.num_beats + 1) * 60 / ${own.tempo}`,
      "levels = log_mel(sound, beat_frame_times(beats, config), config)",
      "latent = model.encode(config.scale(levels[None])).mode()[0]",
    ],
  };
}

/** The lines of Python that make the same clip; `own` is what is known of the file of its latent. */
export function asCode(settings, about, own) {
  const { latent, ...others } = settings;
  if (others.guidance === about.guidance) delete others.guidance;
  const read = latent ? latentCode(latent, own) : { imports: [], names: [], lines: [] };
  const controls = about.sliders.length ? "shipped_controls(model)" : "None";
  const names = ["ConditionalVAE", ...read.names, "make_clip", ...(about.sliders.length ? ["shipped_controls"] : [])];
  const parts = Object.entries(others).map(([name, value]) => `${name}=${literal(value)}`);
  if (latent) parts.push("latent=latent");
  return [
    ...read.imports,
    `from cvae_music import ${names.join(", ")}`,
    `model = ConditionalVAE.from_preset("${about.name}")`,
    ...read.lines,
    `clip = make_clip(model, ${controls}, ${parts.join(", ")})`,
  ].join("\n");
}

/** The mixture of genres in words. */
export function mixInWords({ genre }) {
  const genres = Object.entries(genre);
  return genres.length === 1 ? genres[0][0] : genres.map(([name, share]) => `${Math.round(100 * share)}% ${name}`).join(", ");
}

export function inWords(settings, own) {
  const turned = Object.entries(settings.sliders ?? {}).map(([name, amount]) => `, ${name} ${amount > 0 ? "+" : ""}${amount}`);
  const morph = settings.morph ? `, ${Math.round(100 * settings.morph)}% towards seed ${settings.morph_to}` : "";
  const drawn = settings.prior_genre in settings.genre ? "" : ` drawn as ${settings.prior_genre}`;
  const idea = settings.latent ? (own?.name ?? "somebody’s own clip") : `seed ${settings.seed}${drawn}`;
  const guided = settings.guidance ? `, guidance ${settings.guidance}` : "";
  return `${mixInWords(settings)}, ${idea}, ${settings.tempo} bpm${turned.join("")}${morph}${guided}`;
}
