// Pictures: rows of numbers on a canvas, and files for the disk.

const LINE = 4; // pictures of fewer rows are shown as stripes

const $ = id => document.getElementById(id);

// The colours of labels: ten that stay apart under each kind of colour-blindness (Petroff 2021), then hues.
const PALETTE = ["#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"];
const labelColour = (y, n) => (n <= PALETTE.length ? PALETTE[y] : `hsl(${Math.round((360 * y) / n)} 60% 55%)`);
const colourOf = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function shapeOf(shape) {
  const [height, width, channels] = shape.length === 1 ? [1, shape[0], 1] : [shape[0], shape[1], shape[2] || 1];
  return { height, width, channels };
}

// A painter of rows in the data's shape: values from low (black) to high (white); three channels are a colour.
function painter(shape, [low, high]) {
  const { height, width, channels } = shapeOf(shape);
  return (canvas, values) => {
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d"), image = context.createImageData(width, height);
    for (let p = 0; p < width * height; p++) {
      for (let c = 0; c < 3; c++) {
        const value = values[p * channels + (channels === 3 ? c : 0)];
        image.data[4 * p + c] = Math.round((255 * (value - low)) / (high - low));
      }
      image.data[4 * p + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  };
}

// A canvas as sharp as the screen is, and its context in CSS pixels.
function sharp(canvas) {
  const ratio = window.devicePixelRatio || 1, { clientWidth: width, clientHeight: height } = canvas;
  const [w, h] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

function save(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// The picture on a canvas, each of its pixels some dots wide, as a PNG.
function savePicture(canvas, name) {
  const factor = Math.max(1, Math.round(560 / Math.max(canvas.width, canvas.height)));
  const high = Math.max(factor * canvas.height, canvas.height < LINE ? 40 : 0); // a line of pixels as a stripe
  const large = Object.assign(document.createElement("canvas"), { width: factor * canvas.width, height: high });
  const context = large.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(canvas, 0, 0, large.width, large.height);
  large.toBlob(blob => save(name, blob), "image/png");
}

const subscript = n => String(n).replace(/\d/g, digit => "₀₁₂₃₄₅₆₇₈₉"[digit]);
const signed = (value, digits = 2) => value.toFixed(digits).replace("-", "−").replace(/^−(0\.?0*)$/, "$1");

function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}
