// NumPy's default_rng: the same seed draws the same numbers here as in Python.
//
// SeedSequence, PCG64 (XSL-RR), and the ziggurat of 256 layers for normal numbers. A 64-bit number is two halves
// of 32 bits, [high, low]; JavaScript's whole numbers are exact up to 53 bits.

const MULTIPLIER = [0x2360ed05, 0x1fc65da4, 0x4385df64, 0x9fccf645]; // from high to low

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

export class Generator {
  constructor(seed) {
    const words = seedWords(seed, 8);
    // Words come in pairs, low half first; a state of 128 bits is two pairs, high pair first.
    const start = [words[1], words[0], words[3], words[2]];
    const stream = [words[5], words[4], words[7], words[6]];
    this.increment = stream.map((word, k) => ((word << 1) | (k < 3 ? stream[k + 1] >>> 31 : 1)) >>> 0);
    this.state = Uint32Array.from(this.increment); // one step from 0
    this.add(start);
    this.step();
    this.spare = null; // the high half of a 64-bit number, kept for the next half that is asked for
  }

  add(other) {
    let carry = 0;
    for (let k = 3; k >= 0; k--) {
      const sum = this.state[k] + other[k] + carry;
      this.state[k] = sum;
      carry = sum > 0xffffffff ? 1 : 0;
    }
  }

  /** state = state * MULTIPLIER + increment, modulo 2^128, in digits of 16 bits. */
  step() {
    const { state, increment } = this;
    const digits = STATE_DIGITS;
    for (let k = 0; k < 4; k++) {
      digits[2 * k] = state[3 - k] & 0xffff;
      digits[2 * k + 1] = state[3 - k] >>> 16;
    }
    let carry = 0;
    let low = 0;
    for (let k = 0; k < 8; k++) {
      let sum = carry + ((k & 1 ? increment[3 - (k >> 1)] >>> 16 : increment[3 - (k >> 1)] & 0xffff));
      for (let j = 0; j <= k; j++) sum += digits[j] * MULTIPLIER_DIGITS[k - j]; // below 2^36: exact
      const digit = sum % 65536;
      carry = (sum - digit) / 65536;
      if (k & 1) state[3 - (k >> 1)] = low + digit * 65536;
      else low = digit;
    }
  }

  /** The next 64 bits, in this.high and this.low. */
  next() {
    this.step();
    const [a, b, c, d] = this.state;
    const turn = a >>> 26;
    let high = (a ^ c) >>> 0;
    let low = (b ^ d) >>> 0;
    if (turn & 32) [high, low] = [low, high];
    const by = turn & 31;
    this.high = by ? ((high >>> by) | (low << (32 - by))) >>> 0 : high;
    this.low = by ? ((low >>> by) | (high << (32 - by))) >>> 0 : low;
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

const digitsOf = (words) => [...words].reverse().flatMap((word) => [word & 0xffff, word >>> 16]);
const MULTIPLIER_DIGITS = digitsOf(MULTIPLIER);
const STATE_DIGITS = new Float64Array(8);
