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
  }

  /** Complex transform of `packed` in place; `sign` -1 is forwards, +1 back, without the factor. */
  complex(sign) {
    const { cos, sin, half, size } = this;
    let from = this.packed;
    let to = this.other;
    for (let length = half, stride = 1; length > 1; length /= 4, stride *= 4) {
      const quarter = length / 4;
      for (let p = 0; p < quarter; p++) {
        const turn = 2 * p * stride; // of `size` steps around the circle
        const c1 = cos[turn];
        const s1 = sign * sin[turn];
        const c2 = cos[(2 * turn) % size];
        const s2 = sign * sin[(2 * turn) % size];
        const c3 = cos[(3 * turn) % size];
        const s3 = sign * sin[(3 * turn) % size];
        for (let q = 0; q < stride; q++) {
          const i = 2 * (q + stride * p);
          const jump = 2 * stride * quarter;
          const ar = from[i], ai = from[i + 1];
          const br = from[i + jump], bi = from[i + jump + 1];
          const cr = from[i + 2 * jump], ci = from[i + 2 * jump + 1];
          const dr = from[i + 3 * jump], di = from[i + 3 * jump + 1];
          const er = ar + cr, ei = ai + ci, fr = ar - cr, fi = ai - ci;
          const gr = br + dr, gi = bi + di;
          const hr = -sign * (bi - di), hi = sign * (br - dr); // a quarter turn
          const o = 2 * (q + stride * 4 * p);
          const step = 2 * stride;
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
    for (let k = 1; k < half; k++) {
      const m = 2 * (half - k);
      const er = 0.5 * (packed[2 * k] + packed[m]), ei = 0.5 * (packed[2 * k + 1] - packed[m + 1]);
      const or = 0.5 * (packed[2 * k + 1] + packed[m + 1]), oi = -0.5 * (packed[2 * k] - packed[m]);
      real[at + k] = er + or * cos[k] + oi * sin[k];
      imag[at + k] = ei + oi * cos[k] - or * sin[k];
    }
  }

  /** Samples of the spectrum in `real` and `imag` from `at` on, left in `packed`. */
  inverse(real, imag, at) {
    const { packed, half, cos, sin } = this;
    packed[0] = 0.5 * (real[at] + real[at + half]);
    packed[1] = 0.5 * (real[at] - real[at + half]);
    for (let k = 1; k < half; k++) {
      const a = at + k, b = at + half - k;
      const er = 0.5 * (real[a] + real[b]), ei = 0.5 * (imag[a] - imag[b]);
      const xr = 0.5 * (real[a] - real[b]), xi = 0.5 * (imag[a] + imag[b]);
      const or = xr * cos[k] - xi * sin[k], oi = xr * sin[k] + xi * cos[k];
      packed[2 * k] = er - oi;
      packed[2 * k + 1] = ei + or;
    }
    this.complex(1);
    const scale = 1 / half;
    for (let k = 0; k < this.size; k++) this.packed[k] *= scale;
  }
}
