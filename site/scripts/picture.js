// The picture of a clip: levels in dB as colours, time to the right, low notes at the bottom.

const FLOOR = -70;
// Matplotlib's magma, as the notebooks use it, at nine places.
const MAGMA = ["000004", "1d1147", "51127c", "832681", "b73779", "e75263", "fc8961", "fec488", "fcfdbf"].map((code) =>
  [0, 2, 4].map((at) => parseInt(code.slice(at, at + 2), 16)),
);

// Each as the four bytes of a pixel.
const SHADES = Uint32Array.from({ length: 256 }, (_, shade) => {
  const place = (shade / 255) * (MAGMA.length - 1);
  const low = Math.min(Math.floor(place), MAGMA.length - 2);
  const colour = MAGMA[low].map((value, k) => Math.round(value + (place - low) * (MAGMA[low + 1][k] - value)));
  return new Uint32Array(Uint8Array.of(...colour, 255).buffer)[0];
});

export function draw(canvas, levels) {
  const { width, height } = canvas;
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let column = 0, cell = 0; column < width; column++) {
    for (let row = height - 1; row >= 0; row--, cell++) {
      pixels[row * width + column] = SHADES[Math.round(Math.min(Math.max(1 - levels[cell] / FLOOR, 0), 1) * 255)];
    }
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}
