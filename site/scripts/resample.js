// Another sample rate, as soxr makes it at its usual quality: flat to 91 % of the lower rate's band, then silent.

const PASS = 0.913; // of half the lower rate
const ATTENUATION = 100; // dB beyond half the lower rate

/** Modified Bessel function of order 0. */
function bessel(x) {
  let sum = 1, term = 1;
  for (let k = 1; term > 1e-12 * sum; k++) sum += term *= (x / (2 * k)) ** 2;
  return sum;
}

const divisor = (a, b) => (b ? divisor(b, a % b) : a);

/** Samples at another rate; both are whole numbers of Hz. The first sample stays where it is. */
export function resample(samples, from, to) {
  if (from === to) return samples;
  const phases = to / divisor(from, to), step = from / divisor(from, to);
  const low = Math.min(from, to);
  const slope = (1 - PASS) * 0.5 * low; // Hz from the band that passes to silence
  const half = Math.ceil((ATTENUATION - 8) / (2.285 * 2 * Math.PI * (slope / from)) / 2); // Kaiser's length of a filter
  const beta = 0.1102 * (ATTENUATION - 8.7), cutoff = (low - slope) / from; // the middle of the slope, in cycles of two samples
  const taps = 2 * half + 1;
  const filters = new Float32Array(phases * taps);
  for (let phase = 0; phase < phases; phase++) {
    for (let tap = 0; tap < taps; tap++) {
      const x = tap - half - phase / phases;
      const inside = 1 - (x / (half + 1)) ** 2;
      const sinc = x === 0 ? 1 : Math.sin(Math.PI * cutoff * x) / (Math.PI * cutoff * x);
      filters[phase * taps + tap] = (cutoff * sinc * bessel(beta * Math.sqrt(Math.max(inside, 0)))) / bessel(beta);
    }
  }
  const padded = new Float32Array(samples.length + 2 * half + 1);
  padded.set(samples, half);
  const found = new Float32Array(Math.round((samples.length * to) / from));
  for (let k = 0; k < found.length; k++) {
    const start = Math.floor((k * step) / phases), filter = ((k * step) % phases) * taps;
    let sum = 0;
    for (let tap = 0; tap < taps; tap++) sum += padded[start + tap] * filters[filter + tap];
    found[k] = sum;
  }
  return found;
}
