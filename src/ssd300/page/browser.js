// The detector inside the browser: the same picture, resize and rule of selection as the package, around the ONNX
// network that `ssd300 export` writes. `globalThis.ssd300Browser.engine(...)` gives what page.js asks.
"use strict";
(() => {
  const SIZE = 300; // the network's picture
  const TOP_PER_CLASS = 200;
  const BITS = 22; // of the fixed-point weights
  const UNSEEN = 8; // an alpha that is invisible on white
  const WHITE = "#fff";

  // ---- a file -> its picture, upright ----
  function webpOrientation(bytes) { // EXIF's 1 to 8, and where its chunk begins; undefined without one
    const view = new DataView(bytes.buffer), text = (at) => String.fromCharCode(...bytes.subarray(at, at + 4));
    if (text(0) !== "RIFF" || text(8) !== "WEBP") return [];
    for (let chunk = 12; chunk + 8 < bytes.length; chunk += 8 + view.getUint32(chunk + 4, true) + (view.getUint32(chunk + 4, true) & 1)) {
      if (text(chunk) !== "EXIF") continue;
      const tiff = chunk + (text(chunk + 8) === "Exif" ? 14 : 8), little = text(tiff).startsWith("II");
      const directory = tiff + view.getUint32(tiff + 4, little);
      for (let entry = directory + 2, left = view.getUint16(directory, little); left > 0; left--, entry += 12) {
        if (view.getUint16(entry, little) === 0x0112) return [view.getUint16(entry + 8, little), chunk];
      }
    }
    return [];
  }

  // Chromium ignores the EXIF orientation of a WebP, other browsers do not: none sees it, and the picture is turned here.
  async function read(file, options) {
    const bytes = new Uint8Array(await file.arrayBuffer());
    let orientation, chunk;
    try {
      [orientation, chunk] = webpOrientation(bytes);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error; // damaged EXIF
    }
    if (!(orientation > 1 && orientation < 9)) return createImageBitmap(file, options);
    bytes.set([110, 111, 110, 101], chunk); // "none": a chunk that nobody knows
    const stored = await createImageBitmap(new Blob([bytes], { type: file.type }), options);
    const swap = orientation > 4, x = [2, 3, 6, 7].includes(orientation) ? -1 : 1, y = [3, 4, 7, 8].includes(orientation) ? -1 : 1;
    const canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
    [canvas.width, canvas.height] = swap ? [stored.height, stored.width] : [stored.width, stored.height];
    pen.setTransform(swap ? 0 : x, swap ? y : 0, swap ? x : 0, swap ? 0 : y, x < 0 ? canvas.width : 0, y < 0 ? canvas.height : 0);
    pen.drawImage(stored, 0, 0);
    stored.close();
    return createImageBitmap(canvas, options);
  }

  // ---- Pillow's bilinear resize with antialias, to the bit ----
  function weightsOf(length) {
    const scale = length / SIZE, support = Math.max(scale, 1);
    return Array.from({ length: SIZE }, (_, i) => {
      const center = (i + 0.5) * scale;
      const first = Math.max(Math.trunc(center - support + 0.5), 0);
      const last = Math.min(Math.trunc(center + support + 0.5), length);
      const raw = Array.from({ length: last - first }, (_, j) => Math.max(1 - Math.abs((j + first - center + 0.5) / support), 0));
      const sum = raw.reduce((a, b) => a + b, 0);
      return [first, Int32Array.from(raw, (weight) => Math.trunc(0.5 + (weight / sum) * 2 ** BITS))];
    });
  }

  // [lines, length, channels] -> [lines, 300, channels], and the same across: [length, across] -> [300, across]
  function resizeRows(source, length, channels) {
    const weights = weightsOf(length), lines = source.length / length / channels;
    const target = new Uint8ClampedArray(lines * SIZE * channels);
    for (let line = 0, to = 0; line < lines; line++) {
      for (const [first, row] of weights) {
        for (let c = 0; c < channels; c++) {
          let sum = 1 << (BITS - 1);
          for (let j = 0, from = (line * length + first) * channels + c; j < row.length; j++, from += channels) sum += source[from] * row[j];
          target[to++] = sum >> BITS;
        }
      }
    }
    return target;
  }

  function resizeColumns(source, length) {
    const across = source.length / length, target = new Uint8ClampedArray(SIZE * across), sums = new Int32Array(across);
    weightsOf(length).forEach(([first, column], y) => {
      sums.fill(1 << (BITS - 1));
      column.forEach((weight, j) => {
        for (let x = 0, from = (first + j) * across; x < across; x++) sums[x] += source[from + x] * weight;
      });
      for (let x = 0; x < across; x++) target[y * across + x] = sums[x] >> BITS;
    });
    return target;
  }

  function resize(rgba, width, height) { // -> RGB [300, 300, 3]; between the two passes pixels are rounded
    const columnsFirst = height - SIZE > 2 * Math.max(width - SIZE, 0); // as Pillow 13 decides
    const small = columnsFirst
      ? resizeRows(resizeColumns(rgba, height), width, 4)
      : resizeColumns(resizeRows(rgba, width, 4), height);
    return Uint8Array.from({ length: SIZE * SIZE * 3 }, (_, i) => small[Math.trunc(i / 3) * 4 + (i % 3)]);
  }

  function drawn(bitmap, ground) { // RGBA on a ground of this color, or on none
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    pen.fillStyle = ground;
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(bitmap, 0, 0);
    const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
    // Beyond a browser's largest canvas all is 0, without an error.
    if (ground === WHITE && data[3] < 255) throw new Error(`this browser cannot take ${bitmap.width} × ${bitmap.height} pixels: make the picture smaller`);
    return data;
  }

  function colorsOf(bitmap) { // RGBA as stored: a 2D canvas loses the colors where alpha is 0
    const gl = document.createElement("canvas").getContext("webgl2");
    const failed = new Error("the picture is transparent everywhere, and this browser cannot read its colors: save it without transparency");
    if (!gl || Math.max(bitmap.width, bitmap.height) > gl.getParameter(gl.MAX_TEXTURE_SIZE)) throw failed;
    const data = new Uint8Array(4 * bitmap.width * bitmap.height), texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
    gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
    gl.readPixels(0, 0, bitmap.width, bitmap.height, gl.RGBA, gl.UNSIGNED_BYTE, data);
    if (gl.getError()) throw failed;
    return data;
  }

  // -> RGB uint8 [300, 300, 3]; alpha is laid over white, but where it hides the whole picture the colors count.
  // The bitmap must be made with premultiplyAlpha: "none".
  function pixelsOf(bitmap) {
    let data = drawn(bitmap, WHITE);
    const white = data.every((value) => value >= 255 - UNSEEN);
    if (white && drawn(bitmap, "transparent").every((value, i) => i % 4 < 3 || value <= UNSEEN)) data = colorsOf(bitmap);
    return resize(data, bitmap.width, bitmap.height);
  }

  // ---- the published rule of selection, as postprocess.select ----
  function drops(boxes, a, b, threshold) { // does box a drop box b? Unless IoU < threshold
    const f = Math.fround;
    const side = (low) => f(Math.max(f(Math.min(boxes[4 * a + low + 2], boxes[4 * b + low + 2]) - Math.max(boxes[4 * a + low], boxes[4 * b + low])), 0));
    const area = (i) => f(f(boxes[4 * i + 2] - boxes[4 * i]) * f(boxes[4 * i + 3] - boxes[4 * i + 1]));
    const shared = f(side(0) * side(1));
    return !(f(shared / f(f(area(a) + area(b)) - shared)) < threshold);
  }

  function suppress(entries, boxes, threshold) {
    const kept = [];
    for (const one of entries) if (!kept.some((better) => drops(boxes, better.prior, one.prior, threshold))) kept.push(one);
    return kept;
  }

  function select(boxes, probabilities, options) { // boxes [P, 4], probabilities [K, P], row 0 the background
    const { scoreThreshold = 0.4, iouThreshold = 0.5, maxDetections = 200, agnostic = false } = options;
    const priors = boxes.length / 4, least = Math.fround(scoreThreshold), overlap = Math.max(Math.fround(iouThreshold), 2 ** -149);
    let all = [];
    for (let label = 1; label < probabilities.length / priors; label++) {
      const found = [];
      for (let prior = priors - 1; prior >= 0; prior--) { // among equals the highest prior comes first
        const score = probabilities[label * priors + prior];
        if (score > least) found.push({ label, prior, score });
      }
      found.sort((a, b) => b.score - a.score);
      const best = found.slice(0, TOP_PER_CLASS);
      all = all.concat(agnostic ? best : suppress(best, boxes, overlap));
    }
    all.forEach((one, place) => (one.place = place));
    all.sort((a, b) => b.score - a.score || b.place - a.place); // among equals the last class comes first
    return (agnostic ? suppress(all, boxes, overlap) : all).slice(0, maxDetections);
  }

  function shortest(value) { // the fewest digits that read back as the same float32
    for (let digits = 1; digits < 10; digits++) {
      const short = Number(value.toPrecision(digits));
      if (Math.fround(short) === value) return short;
    }
    return value;
  }

  // ---- the network ----
  async function bytesOf(id) { // gzip in base64, inside the page
    const text = document.getElementById(id).textContent.trim();
    const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return new Uint8Array(await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());
  }

  async function fromPage() { // a page with everything inside
    const script = URL.createObjectURL(new Blob([await bytesOf("ssd300-runtime")], { type: "text/javascript" }));
    const { classes } = JSON.parse(document.getElementById("ssd300-embedded").textContent);
    return { runtime: await import(script), binary: await bytesOf("ssd300-wasm"), model: await bytesOf("ssd300-model"), classes };
  }

  async function fromServer(name, headers) {
    const get = async (path, more) => {
      const response = await fetch(path, more);
      if (!response.ok) throw new Error(`${path}: the server answers ${response.status}`);
      return response;
    };
    const [wasm, model, models] = await Promise.all([
      get("private/runtime.wasm"), get(`private/model.onnx${name && `?model=${encodeURIComponent(name)}`}`, { headers }), get("v1/models", { headers }),
    ]);
    const all = (await models.json()).models;
    const one = all.find((candidate) => candidate.name === name) || all[0]; // no name: the first
    return {
      runtime: await import(new URL("private/runtime.mjs", document.baseURI).href),
      binary: new Uint8Array(await wasm.arrayBuffer()),
      model: new Uint8Array(await model.arrayBuffer()),
      classes: one.classes,
    };
  }

  async function load(name, headers) {
    const { runtime, binary, model, classes } = await (document.getElementById("ssd300-embedded") ? fromPage() : fromServer(name, headers));
    const ort = runtime.default && runtime.default.InferenceSession ? runtime.default : runtime;
    Object.assign(ort.env.wasm, { wasmBinary: binary, numThreads: globalThis.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency || 1, 4) : 1 });
    const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
    return {
      async detect(bitmap, options) {
        const pixels = pixelsOf(bitmap);
        const { boxes, probabilities } = await session.run({ pictures: new ort.Tensor("uint8", pixels, [1, SIZE, SIZE, 3]) });
        const frame = [bitmap.width, bitmap.height, bitmap.width, bitmap.height];
        const detections = select(boxes.data, probabilities.data, options).map(({ label, prior, score }) => ({
          name: classes[label - 1].name,
          class_id: classes[label - 1].class_id,
          score: shortest(score),
          // cut to the picture, as the server does
          box_xyxy: frame.map((side, i) => shortest(Math.min(Math.max(Math.fround(boxes.data[4 * prior + i] * side), 0), side))),
        }));
        return { width: bitmap.width, height: bitmap.height, detections };
      },
    };
  }

  const engines = new Map(); // model name -> promise of its engine
  globalThis.ssd300Browser = {
    engine(name, headers) {
      if (!engines.has(name)) {
        const engine = load(name, headers);
        engine.catch(() => engines.delete(name)); // so that the next try loads anew
        engines.set(name, engine);
      }
      return engines.get(name);
    },
    read,
    pixelsOf,
    select,
  };
})();
