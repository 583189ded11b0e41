// Plays a clip, as a loop or once, and packs it into a file.

const FADE = 0.012; // seconds, from one sound to the next

export class Player {
  /**
   * @param rate Samples a second.
   * @param head Element that moves over the picture with the sound.
   * @param screen Element that it moves in.
   */
  constructor(rate, head, screen) {
    Object.assign(this, { rate, head, screen, context: null, playing: null, samples: null, loop: true, onEnd: null });
    this.isStill = matchMedia("(prefers-reduced-motion: reduce)");
  }

  get isPlaying() {
    return this.playing !== null;
  }

  /** Opens the way to the loudspeaker: browsers allow it while a press is handled. */
  wake() {
    this.context ??= new AudioContext();
    this.context.resume();
  }

  /** Another clip: if one plays, the new one goes on at the same place of the eight beats. */
  load(samples) {
    this.samples = samples;
    if (this.isPlaying) this.play(null);
  }

  /** Where in the sound that plays it is, from 0 to 1. */
  place() {
    const { from, duration, offset, loop } = this.playing;
    const place = offset + Math.max(this.context.currentTime - from, 0) / duration;
    return loop ? place % 1 : Math.min(place, 1);
  }

  /** Plays from a place, 0 to 1; in place of the sound that plays, at its place, if that is null. */
  play(offset = 0) {
    this.wake();
    const { context, loop, head, screen } = this;
    const buffer = context.createBuffer(1, this.samples.length, this.rate);
    buffer.copyToChannel(withinFullScale(this.samples), 0);
    const source = new AudioBufferSourceNode(context, { buffer, loop });
    const gain = new GainNode(context, { gain: 0 });
    source.connect(gain).connect(context.destination);
    source.onended = () => {
      if (this.playing?.source !== source) return;
      this.stop();
      this.onEnd?.();
    };
    // All is ready, so that nothing takes time between the end of one sound and the begin of the next.
    const place = offset ?? this.place();
    this.stop();
    const from = context.currentTime;
    gain.gain.linearRampToValueAtTime(1, from + FADE);
    source.start(from, place * buffer.duration);
    this.playing = { source, gain, offset: place, from, duration: buffer.duration, loop, head, screen };
    if (!this.isStill.matches) this.follow();
  }

  stop() {
    if (!this.isPlaying) return;
    const { source, gain, head } = this.playing;
    const end = this.context.currentTime + FADE;
    gain.gain.cancelScheduledValues(this.context.currentTime);
    gain.gain.setTargetAtTime(0, this.context.currentTime, FADE / 4);
    source.stop(end);
    this.playing = null;
    head.hidden = true;
  }

  follow() {
    const sound = this.playing;
    const { head, screen } = sound;
    head.hidden = false;
    const move = () => {
      if (this.playing !== sound) return;
      head.style.transform = `translateX(${this.place() * screen.clientWidth}px)`;
      requestAnimationFrame(move);
    };
    move();
  }
}

/** Samples turned down only where a sound card would clip them. */
function withinFullScale(samples) {
  const peak = samples.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  return peak > 1 ? samples.map((value) => value / peak) : samples;
}

/** The bytes of a WAV file, 16 bits, mono. */
export function waveFile(samples, rate) {
  const bytes = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at, word) => [...word].forEach((letter, k) => bytes.setUint8(at + k, letter.charCodeAt(0)));
  text(0, "RIFF");
  bytes.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  bytes.setUint32(16, 16, true);
  bytes.setUint16(20, 1, true); // whole numbers
  bytes.setUint16(22, 1, true); // channels
  bytes.setUint32(24, rate, true);
  bytes.setUint32(28, 2 * rate, true);
  bytes.setUint16(32, 2, true);
  bytes.setUint16(34, 16, true);
  text(36, "data");
  bytes.setUint32(40, 2 * samples.length, true);
  withinFullScale(samples).forEach((value, k) => bytes.setInt16(44 + 2 * k, Math.round(32767 * value), true));
  return bytes.buffer;
}
