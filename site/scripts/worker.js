// Makes clips beside the page, so that the page never waits: networks by ONNX Runtime, the rest in instrument.js.

import * as ort from "../vendor/ort.wasm.bundle.min.js";
import { firstClip, overview, toMono } from "./beats.js";
import { Instrument } from "./instrument.js";
import { resample } from "./resample.js";

const loading = { loaded: 0, total: 0 }; // bytes of all files that were asked for
const REPORT = 200_000; // bytes between two reports

/** The answer to a request for a file of the instrument, whose bytes are counted as they come. */
async function file(name, bytes) {
  loading.total += bytes;
  const answer = await fetch(new URL(`../instrument/${name}`, import.meta.url));
  if (!answer.ok) throw new Error(`${name}: ${answer.status} ${answer.statusText}`);
  if (answer.headers.get("content-type")?.startsWith("text/html")) throw new Error(`${name}: the server sent a web page in its place`);
  const count = (chunk, stream) => {
    const before = loading.loaded;
    loading.loaded += chunk.length;
    const isNews = Math.floor(before / REPORT) < Math.floor(loading.loaded / REPORT) || loading.loaded >= loading.total;
    if (isNews) postMessage({ loading });
    stream.enqueue(chunk);
  };
  return answer.body.pipeThrough(new TransformStream({ transform: count }));
}

const buffer = (stream) => new Response(stream).arrayBuffer();

/** A function of one argument whose results are kept by name; a failure is not. */
function once(load) {
  const kept = new Map();
  return (about) => {
    if (!kept.has(about.name)) {
      const result = load(about);
      kept.set(about.name, result);
      result.catch(() => kept.delete(about.name));
    }
    return kept.get(about.name);
  };
}

/** The runtime, of files that were stored as .gz: a static server would send its 14 MB as they are. */
const runtime = once(async ({ bytes }) => {
  const content = await buffer(await file("runtime.wasm.gz", bytes["runtime.wasm.gz"]));
  const isPacked = new Uint8Array(content, 0, 1)[0] === 0x1f; // some servers have the browser unpack it
  ort.env.wasm.numThreads = 1; // more need headers that a plain static server does not send
  ort.env.wasm.wasmBinary = isPacked ? await buffer(new Response(content).body.pipeThrough(new DecompressionStream("gzip"))) : content;
});

/** A function that runs a network: tensors in, the data of its outputs out, both in the network's order. */
async function network(name, bytes, shared) {
  const [model] = await Promise.all([file(name, bytes).then(buffer), runtime(shared)]);
  const session = await ort.InferenceSession.create(model, { graphOptimizationLevel: "all" });
  return async (...inputs) => {
    const feeds = inputs.map(([data, shape], k) => [session.inputNames[k], new ort.Tensor("float32", data, shape)]);
    const found = await session.run(Object.fromEntries(feeds));
    return session.outputNames.map((output) => found[output].data);
  };
}

const vocoder = once((shared) => network("vocoder.onnx", shared.bytes["vocoder.onnx"], shared));

const encoder = once(({ name, bytes, shared }) => network(`${name}/encoder.onnx`, bytes["encoder.onnx"], shared));

const instrument = once(async (about) => {
  const { name, bytes, shared, latent_dim, genres, config } = about;
  const [numbers, decode, vocode] = await Promise.all([
    file(`${name}/numbers.bin`, bytes["numbers.bin"]).then(buffer),
    network(`${name}/decoder.onnx`, bytes["decoder.onnx"], shared),
    vocoder(shared),
  ]);
  return new Instrument(about, new Float32Array(numbers), {
    decode: async (latents, weights, clips) => (await decode([latents, [clips, latent_dim]], [weights, [clips, genres.length]]))[0],
    vocode: async (levels, frames) => {
      const [correction, uncertainty] = await vocode([levels, [1, frames, config.n_mels]]);
      return { correction, uncertainty };
    },
  });
});

const answers = {
  /** The clip of settings: { samples, levels }. */
  clip: async ({ about, settings }) => (await instrument(about)).makeClip(settings),

  /** The first clip of a recording, and the latent that the encoder gives it: as firstClip, and `latent`. */
  listen: async ({ about, channels, rate, tempo }) => {
    const { sample_rate, num_frames, n_mels, floor_db, ceiling_db } = about.config;
    const clip = firstClip(resample(toMono(channels), rate, sample_rate), about.config, tempo);
    const scaled = clip.levels.map((level) => ((level - floor_db) * 2) / (ceiling_db - floor_db) - 1);
    const [latent] = await (await encoder(about))([scaled, [1, num_frames, n_mels]]);
    return { ...clip, latent };
  },

  /** The picture of a whole recording. */
  overview: async ({ about, samples, rate, frames }) => overview(samples, rate, about.config, frames),
};

addEventListener("message", async ({ data: { number, kind, ...wish } }) => {
  try {
    const result = await answers[kind](wish);
    const arrays = (ArrayBuffer.isView(result) ? [result] : Object.values(result)).filter(ArrayBuffer.isView);
    postMessage({ number, result }, arrays.map((array) => array.buffer));
  } catch (error) {
    postMessage({ number, error: error.message });
  }
});
