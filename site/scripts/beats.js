// The beats of a recording, and its first clip on them. After cvae_music/audio/beats.py and data/windows.py.

import { Bands, TINY, bandPower, logMel, rounded } from "./bands.js";
import { RealFourier } from "./fourier.js";

export const READ_SECONDS = 40; // of a file, from where its clip may begin
const FALLBACK_TEMPO = 120; // beats a minute
const MAX_INTERVAL_SPREAD = 0.35; // of the mean interval
const STEP = 512; // samples from frame to frame
const WINDOW = 2048; // samples
const ONSET_BANDS = 128;
const ONSET_RANGE = 80; // dB
const MAX_TEMPO = 320;
const TIGHTNESS = 100; // cost of leaving the tempo
const SILENCE_MARGIN = 10; // dB above the floor

const fourier = new RealFourier(WINDOW);

/** Edges in Hz of Slaney's mel scale: linear up to 1 kHz (mel 15), then logarithmic. */
function slaneyEdges(rate) {
  const step = Math.log(6.4) / 27;
  const highest = 15 + Math.log(rate / 2000) / step;
  return Array.from({ length: ONSET_BANDS + 2 }, (_, k) => {
    const mel = (highest * k) / (ONSET_BANDS + 1);
    return mel < 15 ? (mel * 200) / 3 : 1000 * Math.exp((mel - 15) * step);
  });
}

/** Mean rise of the bands from frame to frame, in dB, a frame every STEP samples. */
function onsetEnvelope(samples, rate) {
  const edges = slaneyEdges(rate);
  const bands = new Bands({ n_fft: WINDOW, sample_rate: rate }, edges);
  const frames = Math.floor(samples.length / STEP) + 1;
  const power = bandPower(samples, Array.from({ length: frames }, (_, k) => k * STEP), bands, fourier);
  let top = -Infinity;
  const level = power.map((value, cell) => {
    const band = cell % ONSET_BANDS;
    const found = 10 * Math.log10(Math.max((value * 2) / (edges[band + 2] - edges[band]), TINY)); // bands of one area
    top = Math.max(top, found);
    return found;
  });
  const heard = (cell) => Math.max(level[cell], top - ONSET_RANGE);
  const delay = 1 + WINDOW / (2 * STEP); // a frame rises as soon as its window reaches the onset
  return Float32Array.from({ length: frames }, (_, frame) => {
    const before = (frame - delay) * ONSET_BANDS;
    let sum = 0;
    for (let cell = before; before >= 0 && cell < before + ONSET_BANDS; cell++) sum += Math.max(heard(cell + ONSET_BANDS) - heard(cell), 0);
    return sum / ONSET_BANDS;
  });
}

/** Frames from beat to beat: the lag of the largest mean autocorrelation over 8 seconds, near 120 beats a minute. */
function beatPeriod(envelope, rate) {
  const width = Math.floor((8 * rate) / STEP), half = Math.floor(width / 2), last = envelope.length - 1;
  const at = (place) => {
    if (place < 0) return (envelope[0] * (place + half)) / half;
    return place <= last ? envelope[place] : (envelope[last] * (half - (place - last))) / half;
  };
  const correlation = new Float64Array(width);
  const excerpt = new Float64Array(width);
  for (let from = 0; from < envelope.length; from += 16) {
    let energy = 0;
    for (let k = 0; k < width; k++) {
      excerpt[k] = at(from - half + k) * (0.5 - 0.5 * Math.cos((2 * Math.PI * k) / width));
      energy += excerpt[k] ** 2;
    }
    for (let lag = 1; lag < width; lag++) {
      let sum = 0;
      for (let k = lag; k < width; k++) sum += excerpt[k] * excerpt[k - lag];
      correlation[lag] += sum / Math.max(energy, TINY);
    }
  }
  const excerpts = Math.ceil(envelope.length / 16);
  let best = 0, score = -Infinity;
  for (let lag = 1; lag < width; lag++) {
    const tempo = (60 * rate) / (STEP * lag);
    const found = Math.log1p((1e6 * correlation[lag]) / excerpts) - 0.5 * Math.log2(tempo / 120) ** 2;
    if (tempo < MAX_TEMPO && found > score) [best, score] = [lag, found];
  }
  return best;
}

/** Frames on the beat: a path that meets the strongest onsets at distances close to the period. */
function beatPath(envelope, period) {
  const frames = envelope.length;
  const mean = envelope.reduce((sum, value) => sum + value, 0) / frames;
  const deviation = Math.sqrt(envelope.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (frames - 1));
  const pulse = Float64Array.from({ length: 2 * period + 1 }, (_, k) => Math.exp(-0.5 * (((k - period) * 32) / period) ** 2));
  const strength = Float64Array.from({ length: frames }, (_, frame) => {
    return pulse.reduce((sum, weight, k) => sum + (weight * (envelope[frame + period - k] ?? 0)) / deviation, 0);
  });
  // A beat follows half a period to two periods after the last one.
  const nearest = Math.max(1, rounded(period / 2));
  const cost = Float64Array.from({ length: 2 * period + 1 }, (_, step) => TIGHTNESS * Math.log(step / period) ** 2);
  const score = Float64Array.from(strength);
  const previous = new Int32Array(frames).fill(-1);
  for (let frame = nearest; frame < frames; frame++) {
    let best = -Infinity;
    for (let step = nearest; step <= 2 * period && step <= frame; step++) {
      const found = score[frame - step] - cost[step];
      if (found > best) [best, previous[frame]] = [found, frame - step];
    }
    score[frame] += best;
  }
  const most = strength.reduce((most, value) => Math.max(most, value), -Infinity);
  previous.fill(-1, 0, strength.findIndex((value) => value >= 0.01 * most));
  const isPeak = (frame) => frame > 0 && score[frame] > score[frame - 1] && !(score[frame + 1] > score[frame]);
  const peaks = [...score.keys()].filter(isPeak);
  const heights = peaks.map((frame) => score[frame]).sort((a, b) => a - b);
  const middle = (heights[Math.floor((heights.length - 1) / 2)] + heights[Math.ceil((heights.length - 1) / 2)]) / 2;
  const beats = [];
  for (let beat = peaks.filter((frame) => score[frame] >= 0.5 * middle).at(-1) ?? frames - 1; beat >= 0; beat = previous[beat]) beats.unshift(beat);
  const first = strength.findIndex((value) => value > 0), end = strength.findLastIndex((value) => value > 0);
  return beats.filter((beat) => beat >= first && beat <= end);
}

/** Beat times in seconds, and whether they were found; else a grid of 120 beats a minute. */
export function trackBeats(samples, config) {
  const rate = config.sample_rate;
  const envelope = onsetEnvelope(samples, rate);
  if (envelope.some((value) => value > 0)) {
    const beats = beatPath(envelope, beatPeriod(envelope, rate)).map((frame) => (frame * STEP) / rate);
    const intervals = beats.slice(1).map((beat, k) => beat - beats[k]);
    const mean = intervals.reduce((sum, value) => sum + value, 0) / intervals.length;
    const spread = Math.sqrt(intervals.reduce((sum, value) => sum + (value - mean) ** 2, 0) / intervals.length);
    if (beats.length > config.num_frames / config.frames_per_beat && spread <= MAX_INTERVAL_SPREAD * mean) return { beats, isTracked: true };
  }
  return { beats: evenBeats(FALLBACK_TEMPO, samples.length / rate), isTracked: false };
}

function evenBeats(tempo, seconds) {
  return Array.from({ length: Math.floor((seconds + 1e-9) / (60 / tempo)) + 1 }, (_, k) => (k * 60) / tempo);
}

/** Channels as one: their mean, or the loudest where they cancel out. */
export function toMono(channels) {
  const product = (a, b) => a.reduce((sum, value, k) => sum + value * b[k], 0);
  const energy = channels.map((channel) => product(channel, channel));
  const together = channels.reduce((sum, channel) => sum + channels.reduce((part, other) => part + product(channel, other), 0), 0);
  const most = Math.max(...energy);
  if (together < 0.05 * channels.length ** 2 * most) return channels[energy.indexOf(most)];
  return channels[0].map((_, k) => channels.reduce((sum, channel) => sum + channel[k], 0) / channels.length);
}

/**
 * The first clip of a recording, as cvae_music's load_first_window reads it.
 * @param whole Float32Array at the rate of the config.
 * @param config The constants of an AudioConfig.
 * @param tempo Beats a minute of an even grid from the first sample on; 0 tracks the beats.
 * @returns { samples, levels, tempo, isTracked }; throws where the recording is silent or too short.
 */
export function firstClip(whole, config, tempo = 0) {
  const { sample_rate, num_frames, frames_per_beat, floor_db } = config;
  const seconds = whole.length / sample_rate;
  const quietest = 10 ** ((floor_db + SILENCE_MARGIN) / 20);
  if (!whole.some((value) => Math.abs(value) >= quietest)) throw new Error("There is no sound here; expected some louder than the floor of the features. Begin elsewhere.");
  const { beats, isTracked } = tempo ? { beats: evenBeats(tempo, seconds), isTracked: false } : trackBeats(whole, config);
  const count = num_frames / frames_per_beat;
  if (beats.length <= count) throw new Error(`Found ${Math.max(beats.length - 1, 0)} beats in ${seconds.toFixed(1)} s; expected at least ${count}. Begin earlier, or choose a longer file.`);
  const times = Array.from({ length: num_frames }, (_, frame) => {
    const beat = Math.floor(frame / frames_per_beat), share = (frame % frames_per_beat) / frames_per_beat;
    return beats[beat] + share * (beats[beat + 1] - beats[beat]);
  });
  const levels = logMel(whole, times, new Bands(config), fourierOf(config));
  const [from, to] = [beats[0], beats[count]].map((time) => rounded(time * sample_rate));
  return { samples: whole.slice(from, to), levels, tempo: (60 * count) / (beats[count] - beats[0]), isTracked, from: beats[0] };
}

/** Levels of a whole recording of any rate at some moments, to look at. */
export function overview(samples, rate, config, frames) {
  const times = Array.from({ length: frames }, (_, k) => ((k + 0.5) * samples.length) / frames / rate);
  const wide = { ...config, sample_rate: rate, n_fft: 8192 };
  return logMel(samples, times, new Bands(wide), fourierOf(wide));
}

const fourierOf = ({ n_fft }) => (n_fft === WINDOW ? fourier : new RealFourier(n_fft));
