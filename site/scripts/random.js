// NumPy's default_rng: the same seed draws the same numbers here as in Python.
//
// SeedSequence, PCG64 (XSL-RR), and the ziggurat of 256 layers for normal numbers. A 64-bit number is two halves
// of 32 bits, [high, low]; JavaScript's whole numbers are exact up to 53 bits.

// PCG64's multiplier, in digits of 16 bits, the lowest first.
const [M0, M1, M2, M3, M4, M5, M6, M7] = [0xf645, 0x9fcc, 0xdf64, 0x4385, 0x5da4, 0x1fc6, 0xed05, 0x2360];

/** Words of 32 bits that a seed stands for, as numpy.random.SeedSequence(seed).generate_state(count) mixes them. */
function seedWords(seed, count) {
  const entropy = [seed >>> 0, Math.floor(seed / 2 ** 32)].slice(0, seed < 2 ** 32 ? 1 : 2);
  let constant = 0x43b0d7e5;
  const hashed = (value) => {
    value = (value ^ constant) >>> 0;
    constant = Math.imul(constant, 0x931e8875) >>> 0;
    value = Math.imul(value, constant) >>> 0;
    return (value ^ (value >>> 16)) >>> 0;
  };
  const mixed = (x, y) => {
    const result = (Math.imul(x, 0xca01f9dd) - Math.imul(y, 0x4973f715)) >>> 0;
    return (result ^ (result >>> 16)) >>> 0;
  };
  const pool = Array.from({ length: 4 }, (_, k) => hashed(entropy[k] ?? 0));
  for (let from = 0; from < 4; from++) {
    for (let to = 0; to < 4; to++) if (from !== to) pool[to] = mixed(pool[to], hashed(pool[from]));
  }
  constant = 0x8b51f9dd;
  return Array.from({ length: count }, (_, k) => {
    let value = (pool[k % 4] ^ constant) >>> 0;
    constant = Math.imul(constant, 0x58f38ded) >>> 0;
    value = Math.imul(value, constant) >>> 0;
    return (value ^ (value >>> 16)) >>> 0;
  });
}

/** Layers of one area below exp(-x²/2): their right edges, and the heights there (Marsaglia and Tsang, 2000). */
function ziggurat() {
  const last = 3.6541528853610088;
  const area = 0.00492867323399;
  const edges = new Float64Array(256);
  const heights = new Float64Array(256);
  edges[255] = last;
  heights[0] = 1;
  heights[255] = Math.exp(-0.5 * last * last);
  for (let k = 254; k > 0; k--) {
    edges[k] = Math.sqrt(-2 * Math.log(area / edges[k + 1] + heights[k + 1]));
    heights[k] = Math.exp(-0.5 * edges[k] ** 2);
  }
  edges[0] = area / heights[255]; // the lowest layer, as wide as a box of its area would be
  const inside = edges.map((edge, k) => (k === 0 ? last / edges[0] : k === 1 ? 0 : edges[k - 1] / edge));
  return { edges, heights, inside, last };
}

const ZIGGURAT = ziggurat();
// For numbers of 23 and of 52 bits: the value of one step in a layer, and how many steps are safely inside.
const NARROW = { steps: ZIGGURAT.edges.map((x) => Math.fround(x / 2 ** 23)), safe: ZIGGURAT.inside.map((x) => Math.floor(x * 2 ** 23)) };
const WIDE = { steps: ZIGGURAT.edges.map((x) => x / 2 ** 52), safe: ZIGGURAT.inside.map((x) => Math.floor(x * 2 ** 52)) };

const digitsOf = (words) => Float64Array.from(words.flatMap((word) => [word & 0xffff, word >>> 16]));

const low16 = (sum) => sum - Math.floor(sum / 65536) * 65536; // for numbers so large the remainder operator is slow

export class Generator {
  constructor(seed) {
    // Words come in pairs, low half first; a state of 128 bits is two pairs, high pair first.
    const [b, a, d, c, f, e, h, g] = seedWords(seed, 8);
    const start = digitsOf([d, c, b, a]);
    const stream = digitsOf([h, g, f, e]);
    // Both in digits of 16 bits, the lowest first; the increment is the stream, doubled and odd.
    this.increment = stream.map((digit, k) => ((digit * 2) & 0xffff) | (k ? stream[k - 1] >>> 15 : 1));
    this.state = new Float64Array(8);
    this.step();
    let carry = 0;
    for (let k = 0; k < 8; k++) {
      const sum = this.state[k] + start[k] + carry;
      this.state[k] = sum % 65536;
      carry = Math.floor(sum / 65536);
    }
    this.step();
    this.spare = null; // the high half of a 64-bit number, kept for the next half that is asked for
  }

  /** state = state * multiplier + increment, modulo 2^128; every sum is below 2^36 and so exact. */
  step() {
    const { state: s, increment: i } = this;
    const a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];
    let sum = 0; // its upper part is carried to the next digit
    sum = a * M0 + i[0];
    s[0] = low16(sum);
    sum = a * M1 + b * M0 + i[1] + Math.floor(sum / 65536);
    s[1] = low16(sum);
    sum = a * M2 + b * M1 + c * M0 + i[2] + Math.floor(sum / 65536);
    s[2] = low16(sum);
    sum = a * M3 + b * M2 + c * M1 + d * M0 + i[3] + Math.floor(sum / 65536);
    s[3] = low16(sum);
    sum = a * M4 + b * M3 + c * M2 + d * M1 + e * M0 + i[4] + Math.floor(sum / 65536);
    s[4] = low16(sum);
    sum = a * M5 + b * M4 + c * M3 + d * M2 + e * M1 + f * M0 + i[5] + Math.floor(sum / 65536);
    s[5] = low16(sum);
    sum = a * M6 + b * M5 + c * M4 + d * M3 + e * M2 + f * M1 + g * M0 + i[6] + Math.floor(sum / 65536);
    s[6] = low16(sum);
    sum = a * M7 + b * M6 + c * M5 + d * M4 + e * M3 + f * M2 + g * M1 + h * M0 + i[7] + Math.floor(sum / 65536);
    s[7] = low16(sum);
  }

  /** The next 64 bits, in this.high and this.low. */
  next() {
    this.step();
    const { state } = this;
    const turn = state[7] >>> 10;
    let high = ((state[7] ^ state[3]) << 16) | (state[6] ^ state[2]);
    let low = ((state[5] ^ state[1]) << 16) | (state[4] ^ state[0]);
    if (turn & 32) [high, low] = [low, high];
    const by = turn & 31;
    this.high = (by ? (high >>> by) | (low << (32 - by)) : high) >>> 0;
    this.low = (by ? (low >>> by) | (high << (32 - by)) : low) >>> 0;
  }

  next32() {
    if (this.spare !== null) {
      const kept = this.spare;
      this.spare = null;
      return kept;
    }
    this.next();
    this.spare = this.high;
    return this.low;
  }

  /** Evenly from [0, 1), of 53 bits: Generator.random(). */
  random() {
    this.next();
    return (this.high * 2 ** 21 + (this.low >>> 11)) / 2 ** 53;
  }

  /** Evenly from [0, 1), of 24 bits: Generator.random(dtype="float32"). */
  random32() {
    return (this.next32() >>> 8) / 2 ** 24;
  }

  /** Generator.standard_normal(). */
  normal() {
    for (;;) {
      this.next();
      const layer = this.low & 255;
      const minus = (this.low >>> 8) & 1;
      const steps = (this.high & 0x1fffffff) * 2 ** 23 + (this.low >>> 9);
      const found = this.inLayer(layer, steps, minus, WIDE, () => this.random());
      if (found !== null) return found;
    }
  }

  /** Generator.standard_normal(dtype="float32"). */
  normal32() {
    for (;;) {
      const bits = this.next32();
      const found = this.inLayer(bits & 255, bits >>> 9, (bits >>> 8) & 1, NARROW, () => this.random32());
      if (found !== null) return found;
    }
  }

  inLayer(layer, steps, minus, { steps: widths, safe }, uniform) {
    const x = steps * widths[layer];
    if (steps < safe[layer]) return minus ? -x : x;
    if (layer === 0) {
      for (;;) {
        const beyond = -Math.log1p(-uniform()) / ZIGGURAT.last;
        const height = -Math.log1p(-uniform());
        if (2 * height > beyond * beyond) {
          return Math.floor(steps / 256) & 1 ? -(ZIGGURAT.last + beyond) : ZIGGURAT.last + beyond;
        }
      }
    }
    const { heights } = ZIGGURAT;
    const height = (heights[layer - 1] - heights[layer]) * uniform() + heights[layer];
    return height < Math.exp(-0.5 * x * x) ? (minus ? -x : x) : null;
  }
}
