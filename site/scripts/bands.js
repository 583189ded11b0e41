// Mel bands: what the networks speak, and the frequencies inside them. After cvae_music/audio/analysis.py.

export const TINY = 1e-10;

/** Periodic Hann window. */
export function hannWindow(size) {
  return Float32Array.from({ length: size }, (_, k) => 0.5 - 0.5 * Math.cos((2 * Math.PI * k) / size));
}

/** Triangular filters on the HTK scale. No frequency lies in more than two of them, and these are neighbours. */
export class Bands {
  constructor(config) {
    const { n_fft, n_mels, sample_rate, fmin, fmax } = config;
    this.config = config;
    this.count = n_mels;
    this.bins = n_fft / 2 + 1;
    const mel = (hertz) => 2595 * Math.log10(1 + hertz / 700);
    const low = mel(fmin), high = mel(fmax);
    const edges = Array.from({ length: n_mels + 2 }, (_, k) => 700 * (10 ** ((low + ((high - low) * k) / (n_mels + 1)) / 2595) - 1));
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
