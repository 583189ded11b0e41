// Mel bands: what the networks speak, and the frequencies inside them. After cvae_music/audio/analysis.py.

export const TINY = 1e-10;

/** Rounded as Python rounds: halves to the even neighbour. */
export function rounded(value) {
  const up = Math.round(value);
  return up - value === 0.5 && up % 2 ? up - 1 : up;
}

/** Periodic Hann window. */
export function hannWindow(size) {
  return Float32Array.from({ length: size }, (_, k) => 0.5 - 0.5 * Math.cos((2 * Math.PI * k) / size));
}

/** The edges of bands of equal width on the HTK scale, in Hz: two more than bands. */
function edgesOf({ n_mels, fmin, fmax }) {
  const mel = (hertz) => 2595 * Math.log10(1 + hertz / 700);
  const low = mel(fmin), high = mel(fmax);
  return Array.from({ length: n_mels + 2 }, (_, k) => 700 * (10 ** ((low + ((high - low) * k) / (n_mels + 1)) / 2595) - 1));
}

/** Triangular filters of height 1. No frequency lies in more than two of them, and these are neighbours. */
export class Bands {
  constructor(config, edges = edgesOf(config)) {
    const { n_fft, sample_rate } = config;
    const n_mels = edges.length - 2;
    this.config = config;
    this.count = n_mels;
    this.bins = n_fft / 2 + 1;
    // Of each frequency: the lower of its bands, its weights in that band and in the next, and these as shares of their sum.
    this.lower = new Int32Array(this.bins);
    this.weights = new Float32Array(2 * this.bins);
    this.shares = new Float32Array(2 * this.bins);
    this.area = new Float32Array(n_mels); // sum of a band's weights
    for (let bin = 0, edge = 0; bin < this.bins; bin++) {
      const hertz = (bin * sample_rate) / n_fft;
      if (hertz < edges[0] || hertz >= edges[n_mels + 1]) continue;
      while (hertz >= edges[edge + 1]) edge++;
      const rising = (hertz - edges[edge]) / (edges[edge + 1] - edges[edge]);
      // Between the edges `edge` and `edge + 1` band `edge - 1` falls and band `edge` rises.
      const pair = [[edge - 1, 1 - rising], [edge, rising]].map(([band, weight]) => (band >= 0 && band < n_mels ? weight : 0));
      this.lower[bin] = Math.min(Math.max(edge - 1, 0), n_mels - 2);
      if (edge === 0) pair.reverse(); // band 0 alone, and it is the lower one
      if (edge > n_mels - 1) pair.reverse(); // the last band alone, and it is the upper one
      const sum = Math.max(pair[0] + pair[1], TINY);
      for (const side of [0, 1]) {
        this.weights[2 * bin + side] = pair[side];
        this.shares[2 * bin + side] = pair[side] / sum;
        this.area[this.lower[bin] + side] += pair[side];
      }
    }
  }

  /** Sums of a frame's values over frequencies, weighted, into `found`. */
  gather(values, at, found) {
    found.fill(0);
    for (let bin = 0; bin < this.bins; bin++) {
      const value = values[at + bin];
      found[this.lower[bin]] += value * this.weights[2 * bin];
      found[this.lower[bin] + 1] += value * this.weights[2 * bin + 1];
    }
  }

  /** A frame's values of the bands at one frequency; 0 where no band is. */
  spread(values, bin) {
    return values[this.lower[bin]] * this.shares[2 * bin] + values[this.lower[bin] + 1] * this.shares[2 * bin + 1];
  }
}

/**
 * Power in bands of Hann windows around some samples, silence beyond the ends, as cvae_music's band_power.
 * @param samples Float32Array.
 * @param centres Samples at the middle of the windows.
 * @param bands Bands of the window's size.
 * @param fourier RealFourier of the window's size.
 * @returns Float32Array, frame after frame.
 */
export function bandPower(samples, centres, bands, fourier) {
  const { size } = fourier;
  const window = hannWindow(size);
  const real = new Float32Array(bands.bins), imag = new Float32Array(bands.bins);
  const density = new Float32Array(bands.bins);
  const power = new Float32Array(centres.length * bands.count);
  centres.forEach((centre, frame) => {
    const { packed } = fourier;
    for (let k = 0, from = centre - size / 2; k < size; k++, from++) packed[k] = (samples[from] ?? 0) * window[k];
    fourier.forward(real, imag, 0);
    for (let bin = 0; bin < bands.bins; bin++) density[bin] = real[bin] ** 2 + imag[bin] ** 2;
    bands.gather(density, 0, power.subarray(frame * bands.count, (frame + 1) * bands.count));
  });
  return power;
}

/** Levels in dB within floor and ceiling at given moments (seconds), as cvae_music's log_mel. */
export function logMel(samples, times, bands, fourier) {
  const { sample_rate, floor_db, ceiling_db } = bands.config;
  const power = bandPower(samples, times.map((time) => rounded(time * sample_rate)), bands, fourier);
  const scale = (2 / hannWindow(fourier.size).reduce((sum, value) => sum + value, 0)) ** 2;
  return power.map((value) => Math.min(Math.max(10 * Math.log10(Math.max(value * scale, TINY)), floor_db), ceiling_db));
}
