// The Fourier transform of real windows, forwards and back.

/**
 * Transforms of `size` real samples, by a complex one of half the size in stages of radix 4 (Stockham: no shuffling).
 * `size / 2` is a power of 4.
 */
export class RealFourier {
  constructor(size) {
    const half = size / 2;
    if (!Number.isInteger(Math.log2(half) / 2)) throw new Error(`RealFourier got ${size}; expected twice a power of 4.`);
    this.size = size;
    this.half = half;
    this.cos = Float64Array.from({ length: size }, (_, k) => Math.cos((2 * Math.PI * k) / size));
    this.sin = Float64Array.from({ length: size }, (_, k) => Math.sin((2 * Math.PI * k) / size));
    // Even samples are the real parts, odd ones the imaginary parts: `size` numbers, used by the caller.
    this.packed = new Float64Array(size);
    this.other = new Float64Array(size);
    // Of each stage: cosine and sine of one, two and three steps, for each group.
    this.stages = [];
    for (let length = half; length > 1; length /= 4) {
      const turns = Array.from({ length: length / 4 }, (_, p) => [1, 2, 3].map((step) => (step * p * size) / length));
      this.stages.push(Float64Array.from(turns.flat().flatMap((turn) => [this.cos[turn], this.sin[turn]])));
    }
  }

  /** Complex transform of `packed` in place; `sign` -1 is forwards, +1 back, without the factor. */
  complex(sign) {
    let from = this.packed;
    let to = this.other;
    let stride = 1;
    for (const turns of this.stages) {
      const quarter = turns.length / 6;
      const jump = 2 * stride * quarter;
      const step = 2 * stride;
      for (let p = 0; p < quarter; p++) {
        const c1 = turns[6 * p], s1 = sign * turns[6 * p + 1];
        const c2 = turns[6 * p + 2], s2 = sign * turns[6 * p + 3];
        const c3 = turns[6 * p + 4], s3 = sign * turns[6 * p + 5];
        for (let q = 0; q < stride; q++) {
          const i = 2 * (q + stride * p);
          const ar = from[i], ai = from[i + 1];
          const br = from[i + jump], bi = from[i + jump + 1];
          const cr = from[i + 2 * jump], ci = from[i + 2 * jump + 1];
          const dr = from[i + 3 * jump], di = from[i + 3 * jump + 1];
          const er = ar + cr, ei = ai + ci, fr = ar - cr, fi = ai - ci;
          const gr = br + dr, gi = bi + di;
          const hr = -sign * (bi - di), hi = sign * (br - dr); // a quarter turn
          const o = 2 * (q + stride * 4 * p);
          to[o] = er + gr;
          to[o + 1] = ei + gi;
          let xr = fr + hr, xi = fi + hi;
          to[o + step] = xr * c1 - xi * s1;
          to[o + step + 1] = xr * s1 + xi * c1;
          xr = er - gr;
          xi = ei - gi;
          to[o + 2 * step] = xr * c2 - xi * s2;
          to[o + 2 * step + 1] = xr * s2 + xi * c2;
          xr = fr - hr;
          xi = fi - hi;
          to[o + 3 * step] = xr * c3 - xi * s3;
          to[o + 3 * step + 1] = xr * s3 + xi * c3;
        }
      }
      [from, to] = [to, from];
      stride *= 4;
    }
    this.packed = from;
    this.other = to;
  }

  /** Spectrum of the samples in `packed`, written to `real` and `imag` from `at` on: size / 2 + 1 bins. */
  forward(real, imag, at) {
    this.complex(-1);
    const { packed, half, cos, sin } = this;
    real[at] = packed[0] + packed[1];
    real[at + half] = packed[0] - packed[1];
    imag[at] = imag[at + half] = 0;
    // Bins k and half - k are of the same four numbers: the transforms of the even and of the odd samples.
    for (let k = 1, m = half - 1; k <= m; k++, m--) {
      const ar = packed[2 * k], ai = packed[2 * k + 1], br = packed[2 * m], bi = packed[2 * m + 1];
      const er = 0.5 * (ar + br), ei = 0.5 * (ai - bi);
      const or = 0.5 * (ai + bi), oi = 0.5 * (br - ar);
      const xr = or * cos[k] + oi * sin[k], xi = oi * cos[k] - or * sin[k];
      real[at + k] = er + xr;
      imag[at + k] = ei + xi;
      real[at + m] = er - xr;
      imag[at + m] = xi - ei;
    }
  }

  /** Samples of the spectrum in `real` and `imag` from `at` on, left in `packed`, `half` times as large. */
  inverse(real, imag, at) {
    const { packed, half, cos, sin } = this;
    packed[0] = 0.5 * (real[at] + real[at + half]);
    packed[1] = 0.5 * (real[at] - real[at + half]);
    for (let k = 1, m = half - 1; k <= m; k++, m--) {
      const ar = real[at + k], ai = imag[at + k], br = real[at + m], bi = imag[at + m];
      const er = 0.5 * (ar + br), ei = 0.5 * (ai - bi);
      const xr = 0.5 * (ar - br), xi = 0.5 * (ai + bi);
      const or = xr * cos[k] - xi * sin[k], oi = xr * sin[k] + xi * cos[k];
      packed[2 * k] = er - oi;
      packed[2 * k + 1] = ei + or;
      packed[2 * m] = er + oi;
      packed[2 * m + 1] = or - ei;
    }
    this.complex(1);
  }
}
