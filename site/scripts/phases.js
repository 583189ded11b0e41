// Phases for given magnitudes. After cvae_music/audio/phases.py, where the reasons and the sources stand.

import { TINY } from "./bands.js";

const TURN = 2 * Math.PI;
const HANN_GAMMA = 0.25645;
const NOISE_FROM = [0.4, 0.5];
const TOLERANCE = 1e-3;
const MOMENTUM = 0.99;

/**
 * Makes noise of what is uncertain: magnitudes are multiplied in place by those of white noise.
 * Returns the noise as spectra, and where its phases hold.
 */
export function asNoise(magnitude, uncertainty, loop, generator) {
  const samples = new Float32Array(loop.length);
  for (let k = 0; k < samples.length; k++) samples[k] = generator.normal32();
  const noise = loop.forward(samples);
  const [low, high] = NOISE_FROM;
  let power = 0;
  const size = new Float32Array(magnitude.length);
  for (let cell = 0; cell < size.length; cell++) {
    const squared = noise.real[cell] ** 2 + noise.imag[cell] ** 2;
    size[cell] = Math.sqrt(squared);
    power += squared;
  }
  const mean = Math.sqrt(power / size.length);
  const holds = new Uint8Array(size.length);
  for (let cell = 0; cell < size.length; cell++) {
    const share = Math.min(Math.max((uncertainty[cell] - low) / (high - low), 0), 1);
    if (share > 0) magnitude[cell] *= Math.max(size[cell] / mean, 0.03) ** share;
    if (share > 0.5) {
      holds[cell] = 1;
      noise.real[cell] /= Math.max(size[cell], TINY);
      noise.imag[cell] /= Math.max(size[cell], TINY);
    }
  }
  return { ...noise, holds };
}

/** Cells by magnitude, the largest first; of equals the first. */
class Heap {
  constructor(magnitude) {
    this.magnitude = magnitude;
    this.cells = new Int32Array(magnitude.length + 1);
    this.size = 0;
  }

  before(a, b) {
    const difference = this.magnitude[a] - this.magnitude[b];
    return difference > 0 || (difference === 0 && a < b);
  }

  push(cell) {
    const { cells } = this;
    let place = this.size++;
    while (place > 0) {
      const above = (place - 1) >> 1;
      if (!this.before(cell, cells[above])) break;
      cells[place] = cells[above];
      place = above;
    }
    cells[place] = cell;
  }

  pop() {
    const { cells } = this;
    const top = cells[0];
    const moved = cells[--this.size];
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= this.size) break;
      if (child + 1 < this.size && this.before(cells[child + 1], cells[child])) child++;
      if (!this.before(cells[child], moved)) break;
      cells[place] = cells[child];
      place = child;
    }
    cells[place] = moved;
    return top;
  }
}

/** Phase-gradient heap integration around a loop: follows the phase from the loudest cells outwards. */
export function integratedPhases(magnitude, loop, generator) {
  const { bins, centres, size } = loop;
  const frames = centres.length;
  const phase = new Float32Array(magnitude.length);
  for (let cell = 0; cell < phase.length; cell++) phase[cell] = generator.random32() * TURN;
  let loudest = 0;
  for (let cell = 0; cell < phase.length; cell++) if (magnitude[cell] > loudest) loudest = magnitude[cell];
  if (loudest === 0) return phase;
  const threshold = TOLERANCE * loudest;
  const logarithm = new Float32Array(phase.length);
  const done = new Uint8Array(phase.length);
  for (let cell = 0; cell < phase.length; cell++) {
    logarithm[cell] = Math.log(Math.max(magnitude[cell], 0.1 * threshold));
    if (magnitude[cell] < threshold) done[cell] = 1;
  }
  const steps = centres.map((centre, k) => (k + 1 < frames ? centres[k + 1] : centres[0] + loop.length) - centre);
  const gamma = HANN_GAMMA * size ** 2;
  const meanStep = loop.length / frames;
  const alongTime = (0.5 * meanStep * size) / gamma;
  const alongBins = (-0.5 * gamma) / (meanStep * size);
  const peaks = Array.from({ length: frames }, (_, frame) => {
    let peak = frame * bins;
    for (let cell = peak; cell < (frame + 1) * bins; cell++) if (magnitude[cell] > magnitude[peak]) peak = cell;
    return peak;
  });
  peaks.sort((a, b) => magnitude[b] - magnitude[a]);
  const heap = new Heap(magnitude);
  for (let start = 0; start < frames + done.length; start++) {
    const seed = start < frames ? peaks[start] : start - frames;
    if (done[seed]) continue;
    done[seed] = 1;
    heap.push(seed);
    while (heap.size) {
      const cell = heap.pop();
      const frame = (cell / bins) | 0;
      const k = cell - frame * bins;
      const row = frame * bins;
      const after = ((frame + 1) % frames) * bins;
      const before = ((frame + frames - 1) % frames) * bins;
      const low = Math.max(k - 1, 0);
      const high = Math.min(k + 1, bins - 1);
      for (let side = 0; side < 2; side++) {
        const other = side === 0 ? after : before;
        const to = other + k;
        if (done[to]) continue;
        const slope = logarithm[row + high] - logarithm[row + low] + logarithm[other + high] - logarithm[other + low];
        const step = side === 0 ? steps[frame] : steps[other / bins];
        const change = (TURN * ((step * k) % size)) / size + 0.5 * alongTime * slope;
        const found = phase[cell] + (side === 0 ? change : -change);
        phase[to] = found - TURN * Math.floor(found / TURN);
        done[to] = 1;
        heap.push(to);
      }
      for (let m = k + 1; m >= k - 1; m -= 2) {
        const to = row + m;
        if (m < 0 || m >= bins || done[to]) continue;
        const slope = logarithm[after + k] - logarithm[before + k] + logarithm[after + m] - logarithm[before + m];
        phase[to] = phase[cell] + (m - k) * 0.5 * alongBins * slope;
        done[to] = 1;
        heap.push(to);
      }
    }
  }
  return phase;
}

/** Sound of a loop with these magnitudes, from rounds that make the phases of overlapping frames agree. */
export function fastGriffinLim(magnitude, spectra, loop, rounds) {
  let last = null;
  let spare; // arrays of the round before the last
  for (let round = 0; round < rounds; round++) {
    const found = loop.forward(loop.inverse(spectra), spare);
    const { real, imag } = last ?? found;
    for (let cell = 0; cell < magnitude.length; cell++) {
      const x = found.real[cell] + MOMENTUM * (found.real[cell] - real[cell]);
      const y = found.imag[cell] + MOMENTUM * (found.imag[cell] - imag[cell]);
      const factor = magnitude[cell] / Math.max(Math.sqrt(x * x + y * y), 1e-10);
      spectra.real[cell] = x * factor;
      spectra.imag[cell] = y * factor;
    }
    [last, spare] = [found, last ?? undefined];
  }
  return loop.inverse(spectra);
}
