// What cvae_music's make_clip does, in the page: the same settings give the same clip.

import { TINY } from "./bands.js";
import { Inversion } from "./inversion.js";
import { Generator } from "./random.js";

/** A latent on the way from one to another, along the arc. */
export function slerp(first, second, share) {
  const length = (latent) => Math.max(Math.hypot(...latent), 1e-12);
  const far = [length(first), length(second)];
  const cosine = first.reduce((sum, value, k) => sum + value * second[k], 0) / (far[0] * far[1]);
  const angle = Math.acos(Math.min(Math.max(cosine, -1), 1));
  if (angle > Math.PI - 1e-6) throw new Error("The two seeds lie in opposite directions. Choose another second seed.");
  const sine = Math.max(Math.sin(angle), 1e-12);
  const [a, b] = [1 - share, share].map((part) => (angle < 1e-6 ? part : Math.sin(part * angle) / sine));
  const distance = (1 - share) * far[0] + share * far[1];
  return first.map((value, k) => distance * ((a * value) / far[0] + (b * second[k]) / far[1]));
}

export class Instrument {
  /**
   * @param about What the page knows of a preset.
   * @param numbers Float32Array, contents of its numbers.bin.
   * @param networks { decode(latents, weights, clips), vocode(levels, frames) }, async.
   */
  constructor(about, numbers, networks) {
    Object.assign(this, about);
    this.array = (name) => numbers.subarray(about.arrays[name].start, about.arrays[name].stop);
    this.networks = networks;
    this.inversion = new Inversion(about.config, networks.vocode);
  }

  /** The latent that a seed stands for, drawn where the training clips of a genre lie. */
  draw(seed, genre) {
    const size = this.latent_dim;
    const generator = new Generator(seed);
    const index = this.genres.indexOf(genre);
    const shares = this.shares[index];
    const total = shares.reduce((sum, share) => sum + share, 0);
    const pointer = generator.random();
    let component = 0;
    for (let sum = shares[0] / total; sum <= pointer && component < shares.length - 1; ) sum += shares[++component] / total;
    const row = this.shares.slice(0, index).reduce((sum, other) => sum + other.length, component);
    const noise = Float64Array.from({ length: size }, () => generator.normal());
    const factors = this.array("factors").subarray((row * size * (size + 1)) / 2); // lower triangles, row after row
    return Float32Array.from({ length: size }, (_, k) => {
      let sum = this.array("means")[row * size + k];
      for (let j = 0; j <= k; j++) sum += factors[(k * (k + 1)) / 2 + j] * noise[j];
      return sum;
    });
  }

  /** The latent and the genre weights that settings stand for. */
  locate({ seed, prior_genre, genre: mixture, latent = this.draw(seed, prior_genre), morph_to, morph = 0, sliders = {} }) {
    if (morph > 0) latent = slerp(latent, this.draw(morph_to, prior_genre), morph);
    const total = Object.values(mixture).reduce((sum, weight) => sum + weight, 0);
    const weights = Float32Array.from(this.genres, (genre) => (mixture[genre] ?? 0) / total);
    const { length } = this.genres;
    for (const [name, amount] of Object.entries(sliders)) {
      const steps = this.array("directions").subarray(this.sliders.indexOf(name) * length * latent.length);
      latent = latent.map((value, k) => {
        return weights.reduce((sum, weight, genre) => sum + amount * weight * steps[genre * latent.length + k], value);
      });
    }
    return { latent, weights };
  }

  /** Levels in dB of genres that play one idea together: decoded as each genre, powers added by weight. */
  async levels(latent, weights, guidance = this.guidance) {
    const { floor_db, ceiling_db, num_frames, n_mels } = this.config;
    const playing = [...weights.keys()].filter((genre) => weights[genre] > 0);
    const latents = new Float32Array(playing.length * latent.length);
    const labels = new Float32Array(playing.length * weights.length).fill(-guidance / weights.length);
    playing.forEach((genre, k) => {
      latents.set(latent, k * latent.length);
      labels[k * weights.length + genre] += 1 + guidance; // as ConditionalVAE.guide
    });
    const scaled = await this.networks.decode(latents, labels, playing.length);
    const cells = num_frames * n_mels;
    const clipped = (level) => Math.min(Math.max(level, floor_db), ceiling_db);
    const levels = scaled.map((value) => clipped(((value + 1) * (ceiling_db - floor_db)) / 2 + floor_db));
    if (playing.length === 1) return levels;
    return Float32Array.from({ length: cells }, (_, cell) => {
      const power = playing.reduce((sum, genre, k) => sum + weights[genre] * 10 ** (0.1 * levels[k * cells + cell]), 0);
      return clipped(10 * Math.log10(Math.max(power, TINY)));
    });
  }

  /** A clip of settings, named as the arguments of make_clip: { samples, levels }. */
  async makeClip(settings) {
    const { latent, weights } = this.locate(settings);
    const levels = await this.levels(latent, weights, settings.guidance);
    const samples = await this.inversion.toAudio(levels, settings.tempo, new Generator(settings.seed));
    return { samples, levels };
  }
}
