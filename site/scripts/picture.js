// The picture of a clip: levels in dB as colours, time to the right, low notes at the bottom.

const FLOOR = -70;
// Matplotlib's magma, as the notebooks use it, at nine places.
const MAGMA = ["000004", "1d1147", "51127c", "832681", "b73779", "e75263", "fc8961", "fec488", "fcfdbf"].map((code) =>
  [0, 2, 4].map((at) => parseInt(code.slice(at, at + 2), 16)),
);

const SHADES = Array.from({ length: 256 }, (_, shade) => {
  const place = (shade / 255) * (MAGMA.length - 1);
  const low = Math.min(Math.floor(place), MAGMA.length - 2);
  return [...MAGMA[low].map((value, k) => value + (place - low) * (MAGMA[low + 1][k] - value)), 255];
});

export function draw(canvas, levels) {
  const { width, height } = canvas;
  const image = new ImageData(width, height);
  levels.forEach((level, cell) => {
    const pixel = (height - 1 - (cell % height)) * width + Math.floor(cell / height);
    image.data.set(SHADES[Math.round(Math.min(Math.max(1 - level / FLOOR, 0), 1) * 255)], 4 * pixel);
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
}
