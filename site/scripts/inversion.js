// From log-mel back to sound, as cvae_music's to_audio does it by default ("learned_bands").

import { Bands, TINY, hannWindow, rounded } from "./bands.js";
import { RealFourier } from "./fourier.js";
import { asNoise, fastGriffinLim, integratedPhases } from "./phases.js";

const LONGEST_STEP = 0.375; // of the window; longer steps between frames get frames in between
const CONTEXT = 16; // frames to each side that the vocoder sees
const SPREAD_ROUNDS = 4;
const PHASE_ROUNDS = 8;
const BAND_ROUNDS = 6;

/** Short-time Fourier transform of a loop at given moments, and its least-squares inverse. */
class Loop {
  constructor(centres, length, fourier) {
    this.centres = centres;
    this.length = length;
    this.fourier = fourier;
    this.size = fourier.size;
    this.bins = this.size / 2 + 1;
    this.window = hannWindow(this.size);
    const weight = this.overlapAdd(() => this.window);
    let most = 0;
    for (let k = 0; k < length; k++) if (weight[k] > most) most = weight[k];
    // The last factor is the inverse transform's own.
    for (let k = 0; k < length; k++) weight[k] = 1 / Math.max(weight[k], 1e-3 * most) / fourier.half;
    this.weight = weight;
  }

  spectra() {
    const cells = this.centres.length * this.bins;
    return { real: new Float32Array(cells), imag: new Float32Array(cells) };
  }

  /** Where the window around a centre begins in the loop. */
  start(centre) {
    return (((centre - this.size / 2) % this.length) + this.length) % this.length;
  }

  /** Spectra of a loop, written into arrays that are no longer needed, if there are some. */
  forward(samples, found = this.spectra()) {
    const { size, window, fourier, length, bins, centres } = this;
    for (let frame = 0; frame < centres.length; frame++) {
      const { packed } = fourier;
      for (let k = 0, from = this.start(centres[frame]); k < size; from = 0) {
        // To the end of the window, or of the loop, which then goes on from its beginning.
        for (const stop = Math.min(size, k + length - from); k < stop; k++, from++) packed[k] = samples[from] * window[k];
      }
      fourier.forward(found.real, found.imag, frame * bins);
    }
    return found;
  }

  inverse({ real, imag }) {
    const samples = this.overlapAdd((frame) => {
      this.fourier.inverse(real, imag, frame * this.bins);
      return this.fourier.packed;
    });
    for (let k = 0; k < samples.length; k++) samples[k] *= this.weight[k];
    return samples;
  }

  /** Adds up windowed frames; `frameOf(number)` gives the samples of one. */
  overlapAdd(frameOf) {
    const { size, window, length } = this;
    const sum = new Float32Array(length);
    for (let number = 0; number < this.centres.length; number++) {
      const frame = frameOf(number);
      for (let k = 0, to = this.start(this.centres[number]); k < size; to = 0) {
        for (const stop = Math.min(size, k + length - to); k < stop; k++, to++) sum[to] += frame[k] * window[k];
      }
    }
    return sum;
  }
}

/** Turns log-mel pictures into sound; made once, with a function that runs the vocoder's network. */
export class Inversion {
  /**
   * @param config The constants of an AudioConfig.
   * @param vocode Async function of (levels in dB, frames): the network's { correction, uncertainty }.
   */
  constructor(config, vocode) {
    this.config = config;
    this.vocode = vocode;
    this.bands = new Bands(config);
    this.fourier = new RealFourier(config.n_fft);
    this.scale = hannWindow(config.n_fft).reduce((sum, value) => sum + value, 0) / 2;
  }

  /** Samples of a loop with these levels (dB, frame after frame), its tempo exact. */
  async toAudio(levels, tempo, generator) {
    const { loop, power, finer } = this.frames(levels, tempo);
    const { magnitude, uncertainty } = await this.magnitudes(power, loop.centres.length);
    const noise = asNoise(magnitude, uncertainty, loop, generator);
    for (let cell = 0; cell < magnitude.length; cell++) magnitude[cell] *= this.scale;
    const phase = integratedPhases(magnitude, loop, generator);
    const start = loop.spectra();
    for (let cell = 0; cell < magnitude.length; cell++) {
      // A transform counts from the beginning of the window, half a turn a bin earlier.
      const size = (cell % loop.bins) & 1 ? -magnitude[cell] : magnitude[cell];
      start.real[cell] = noise.holds[cell] ? magnitude[cell] * noise.real[cell] : size * Math.cos(phase[cell]);
      start.imag[cell] = noise.holds[cell] ? magnitude[cell] * noise.imag[cell] : size * Math.sin(phase[cell]);
    }
    return this.holdBands(fastGriffinLim(magnitude, start, loop, PHASE_ROUNDS), power, loop, finer);
  }

  /** The frames to make sound from, close enough to each other to overlap. */
  frames(levels, tempo) {
    const { frames_per_beat, sample_rate, n_fft, n_mels, floor_db } = this.config;
    const count = levels.length / n_mels;
    const step = (60 / tempo / frames_per_beat) * sample_rate;
    const finer = Math.ceil(step / (LONGEST_STEP * n_fft));
    const centres = Array.from({ length: count * finer }, (_, k) => rounded(k * (step / finer)));
    const power = new Float32Array(count * finer * n_mels);
    for (let frame = 0; frame < count * finer; frame++) {
      const here = Math.floor(frame / finer) * n_mels;
      const next = (here + n_mels) % levels.length;
      const share = (frame % finer) / finer;
      for (let band = 0; band < n_mels; band++) {
        const level = levels[here + band] + share * (levels[next + band] - levels[here + band]);
        power[frame * n_mels + band] = level <= floor_db + 0.01 ? 0 : 10 ** (level / 10);
      }
    }
    return { loop: new Loop(centres, rounded(count * step), this.fourier), power, finer };
  }

  /** Magnitudes of all frequencies whose bands are those given, and how uncertain they are. */
  async magnitudes(power, frames) {
    const { bands, config } = this;
    const { bins, count } = bands;
    const around = new Float32Array((frames + 2 * CONTEXT) * count);
    for (let frame = 0; frame < frames + 2 * CONTEXT; frame++) {
      const from = ((frame - CONTEXT + frames * CONTEXT) % frames) * count;
      for (let band = 0; band < count; band++) {
        const level = 10 * Math.log10(Math.max(power[from + band], TINY));
        around[frame * count + band] = Math.min(Math.max(level, config.floor_db), config.ceiling_db);
      }
    }
    const { correction, uncertainty } = await this.vocode(around, frames + 2 * CONTEXT);
    const first = CONTEXT * bins;
    const magnitude = new Float32Array(frames * bins);
    const curve = new Float32Array(count);
    const found = new Float32Array(count);
    const floor = 10 ** (config.floor_db / 10);
    for (let frame = 0; frame < frames; frame++) {
      const own = power.subarray(frame * count, (frame + 1) * count);
      const line = magnitude.subarray(frame * bins, (frame + 1) * bins);
      own.forEach((value, band) => (curve[band] = Math.log(Math.max(value, floor) / Math.max(bands.area[band], TINY))));
      for (let bin = 0; bin < bins; bin++) {
        const inside = bands.shares[2 * bin] + bands.shares[2 * bin + 1] > 0;
        const logarithm = 0.5 * bands.spread(curve, bin) + correction[first + frame * bins + bin];
        line[bin] = inside ? Math.exp(2 * Math.min(logarithm, 3)) : 0;
      }
      for (let round = 0; round < SPREAD_ROUNDS; round++) {
        bands.gather(line, 0, found);
        for (let band = 0; band < count; band++) found[band] = own[band] / Math.max(found[band], TINY);
        for (let bin = 0; bin < bins; bin++) line[bin] *= bands.spread(found, bin);
      }
      for (let bin = 0; bin < bins; bin++) line[bin] = Math.sqrt(line[bin]);
    }
    return { magnitude, uncertainty: uncertainty.subarray(first, first + frames * bins) };
  }

  /** Brings the bands of a loop closer to those wanted; frames in between are a guess and follow. */
  holdBands(samples, power, loop, finer) {
    const { bands, scale } = this;
    const { bins, count } = bands;
    const density = new Float32Array(bins);
    const found = new Float32Array(count);
    const spectra = loop.spectra();
    const { real, imag } = spectra;
    for (let round = 0; round < BAND_ROUNDS; round++) {
      loop.forward(samples, spectra);
      for (let frame = 0; frame < loop.centres.length; frame += finer) {
        const at = frame * bins;
        for (let bin = 0; bin < bins; bin++) density[bin] = real[at + bin] ** 2 + imag[at + bin] ** 2;
        bands.gather(density, 0, found);
        for (let band = 0; band < count; band++) {
          const ratio = (power[frame * count + band] * scale ** 2) / Math.max(found[band], TINY);
          found[band] = Math.min(Math.max(ratio, 1e-4), 1e4);
        }
        for (let bin = 0; bin < bins; bin++) {
          const factor = Math.sqrt(bands.spread(found, bin));
          real[at + bin] *= factor;
          imag[at + bin] *= factor;
        }
      }
      samples = loop.inverse(spectra);
    }
    return samples;
  }
}
