// Makes clips beside the page, so that the page never waits: networks by ONNX Runtime, the rest in instrument.js.

import * as ort from "../vendor/ort.wasm.bundle.min.mjs";
import { Instrument } from "./instrument.js";

const file = async (name) => {
  const answer = await fetch(new URL(`../instrument/${name}`, import.meta.url));
  if (!answer.ok) throw new Error(`${name}: ${answer.status} ${answer.statusText}`);
  return answer;
};
const bytes = async (name) => (await file(name)).arrayBuffer();

/** The bytes of a file that was stored as .gz: a static server would send the runtime's 14 MB as they are. */
const unpacked = async (name) => new Response((await file(name)).body.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();

/** A function that runs a network: tensors in, the data of its outputs out, both in the network's order. */
function runner(network) {
  return async (...inputs) => {
    const feeds = inputs.map(([data, shape], k) => [network.inputNames[k], new ort.Tensor("float32", data, shape)]);
    const found = await network.run(Object.fromEntries(feeds));
    return network.outputNames.map((name) => found[name].data);
  };
}

async function load() {
  const [about, numbers, decoder, vocoder, runtime] = await Promise.all([
    file("instrument.json").then((answer) => answer.json()),
    bytes("instrument.bin"),
    bytes("decoder.onnx"),
    bytes("vocoder.onnx"),
    unpacked("runtime.wasm.gz"),
  ]);
  ort.env.wasm.numThreads = 1; // more need headers that a plain static server does not send
  ort.env.wasm.wasmBinary = runtime;
  const open = async (model) => runner(await ort.InferenceSession.create(model, { graphOptimizationLevel: "all" }));
  const [decode, vocode] = [await open(decoder), await open(vocoder)];
  const { latent_dim, genres, config } = about;
  return new Instrument(about, new Float32Array(numbers), {
    decode: async (latents, weights, clips) => (await decode([latents, [clips, latent_dim]], [weights, [clips, genres.length]]))[0],
    vocode: async (levels, frames) => {
      const [correction, uncertainty] = await vocode([levels, [1, frames, config.n_mels]]);
      return { correction, uncertainty };
    },
  });
}

const instrument = load();

addEventListener("message", async ({ data: wish }) => {
  try {
    const clip = await (await instrument).makeClip(wish.settings);
    postMessage({ ...wish, clip }, [clip.samples.buffer, clip.levels.buffer]);
  } catch (error) {
    postMessage({ ...wish, error: error.message });
  }
});
