// The page: takes a picture, asks an engine what is in it, and shows the answer. The engine is the server, or the
// network in this browser (browser.js). Nothing but the page's own server is ever asked.
"use strict";
(() => {
  const LOWEST = 0.05; // asked for once; the slider then filters without asking again
  const PALETTE = ["#56b4e9", "#e69f00", "#009e73", "#f0e442", "#cc79a7", "#d55e00", "#0072b2", "#882255"]; // as colors.py
  const parts = (color) => [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
  const shade = (change) => PALETTE.map((color) => "#" + parts(color).map((part) => Math.round(change(part)).toString(16).padStart(2, "0")).join(""));
  const SHADES = [...shade((part) => 0.62 * part), ...shade((part) => 255 - (255 - part) / 1.35 / 1.3)];
  const $ = (id) => document.getElementById(id);
  const canvas = $("picture"), table = $("table"), video = $("video");

  let bitmap = null; // the picture, upright
  let found = null; // the answer to it: {source, width, height, detections}
  let blob = null; // the file, to ask again with other options
  let name = "picture";
  let asking = 0; // the number of the newest question; an answer to an older one is dropped
  let stream = null; // the camera's
  const hiddenClasses = new Set(); // names: the ids of another model are of other classes
  const embedded = Boolean($("ssd300-embedded")); // the network is in this file, and there is no server

  // ---- engines ----
  function authorization() {
    const key = embedded ? "" : sessionStorage.getItem("ssd300-key");
    return key ? { Authorization: `Bearer ${key.replace(/[^\x20-\xff]/g, "?")}` } : {}; // a browser sends no other letters
  }

  async function ask(path, options = {}) {
    const lost = () => {
      throw new Error("the server does not answer: see whether it runs and your network works, then try again");
    };
    const response = await fetch(path, { ...options, headers: { ...options.headers, ...authorization() } }).catch(lost);
    if (response.ok) return response.json().catch(lost); // it may be lost in the middle of its answer
    const problem = await response.json().catch(() => ({}));
    if (response.status === 401) $("key-row").hidden = false;
    throw new Error(problem.detail || `the server answers ${response.status}`);
  }

  async function askServer(picture) {
    const query = new URLSearchParams({ score_threshold: LOWEST, agnostic_nms: $("agnostic").checked, source: name });
    if ($("model").value) query.set("model", $("model").value);
    const headers = { "Content-Type": picture.type.startsWith("image/") ? picture.type : "application/octet-stream" };
    return ask(`v1/detect?${query}`, { method: "POST", body: picture, headers });
  }

  async function askBrowser(picture) {
    const pixels = await ssd300Browser.read(picture, { colorSpaceConversion: "none", premultiplyAlpha: "none" }).catch(() => {
      throw new Error(`${name}: this browser cannot read it as a picture; save it as JPEG or PNG`);
    });
    const engine = await ssd300Browser.engine($("model").value, authorization());
    const answer = await engine.detect(pixels, { scoreThreshold: LOWEST, agnostic: $("agnostic").checked });
    pixels.close();
    return { source: name, ...answer };
  }

  const inBrowser = () => embedded || $("private").checked;

  // ---- asking ----
  async function take(picture, called) {
    const number = ++asking;
    if (!stream || called !== name) say("Looking …"); // not at each frame of the camera
    complain("");
    const began = performance.now();
    let shown = null;
    try {
      const bytes = await picture.arrayBuffer().catch(() => {
        throw new Error(`${called}: cannot be read; choose a file that is there, not a folder`);
      });
      if (number !== asking) return;
      [blob, name] = [new Blob([bytes], { type: picture.type }), called]; // a copy: the file may change
      shown = await ssd300Browser.read(blob).catch(() => null);
      if (number !== asking) return;
      const answer = await (inBrowser() ? askBrowser : askServer)(blob);
      if (number !== asking) return;
      [bitmap, shown] = [shown, bitmap];
      found = answer;
      if (!stream) colors.clear(); // those of the camera stay
      const seconds = (performance.now() - began) / 1000;
      say(`${answer.width} × ${answer.height}, ${seconds.toFixed(2)} s${bitmap ? "" : ". This browser cannot show this kind of file."}`);
      show();
    } catch (error) {
      if (number === asking) explain(error);
    } finally {
      if (shown) shown.close();
    }
  }

  const again = () => blob && take(blob, name);
  const say = (text) => ($("status").textContent = text);

  function explain(error) {
    say("");
    complain(error.message);
  }

  function complain(text) {
    $("fault").textContent = text;
    $("fault").hidden = !text;
  }

  // ---- showing ----
  const visible = () => found.detections.filter((one) => one.score > Number($("threshold").value) && !hiddenClasses.has(one.name));
  const colors = new Map(); // class id -> color: no two of 24 classes of a picture have one color, and none changes it

  function colorOf(id) {
    if (!colors.has(id)) {
      const start = id % PALETTE.length, taken = new Set(colors.values());
      const next = [...PALETTE.slice(start), ...PALETTE, ...SHADES].find((color) => !taken.has(color));
      colors.set(id, next || PALETTE[start]);
    }
    return colors.get(id);
  }

  function inkOn(color) { // whichever contrasts more
    const [red, green, blue] = parts(color).map((part) => (part / 255) ** 2.2);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000" : "#fff";
  }

  function show() {
    $("threshold-value").textContent = Number($("threshold").value).toFixed(2);
    if (!found) return;
    const rows = visible();
    rows.map((one) => one.class_id).sort((a, b) => a - b).forEach(colorOf); // the smallest gets its own, as in the package
    const count = `${rows.length || "No"} object${rows.length === 1 ? "" : "s"}`;
    $("count").textContent = count;
    listClasses();
    fillTable(rows);
    canvas.hidden = false;
    $("welcome").hidden = true;
    $("drop").classList.add("full");
    draw(canvas, rows, Math.min(1, 1600 / Math.max(found.width, found.height)));
    canvas.setAttribute("aria-label", `${found.source}: ${count}${rows.length ? ": " + rows.slice(0, 8).map((one) => one.name).join(", ") : ""}`);
    $("save-json").disabled = false;
    $("save-picture").disabled = !bitmap;
  }

  function fillTable(rows) {
    table.hidden = !rows.length;
    table.tBodies[0].replaceChildren(...rows.map((one) => {
      const row = document.createElement("tr");
      for (const text of [one.name, one.score.toFixed(2), ...one.box_xyxy.map(Math.round)]) row.insertCell().textContent = text;
      return row;
    }));
  }

  function listClasses() {
    const listed = found.detections.filter((one) => one.score > Number($("threshold").value) || hiddenClasses.has(one.name));
    const ids = new Map(listed.map((one) => [one.name, one.class_id]));
    const wanted = [...ids].sort((a, b) => (a[0] < b[0] ? -1 : 1));
    const present = [...$("class-list").querySelectorAll("input")];
    $("classes").hidden = !wanted.length;
    if (JSON.stringify(present.map((box) => box.value)) === JSON.stringify(wanted.map(([label]) => label))) {
      for (const box of present) box.nextElementSibling.style.background = colorOf(ids.get(box.value));
      return;
    }
    $("class-list").replaceChildren(...wanted.map(([label, id]) => {
      const row = document.createElement("label"), box = document.createElement("input"), swatch = document.createElement("span");
      row.className = "check";
      Object.assign(box, { type: "checkbox", value: label, checked: !hiddenClasses.has(label) });
      box.addEventListener("change", () => {
        if (box.checked) hiddenClasses.delete(label);
        else hiddenClasses.add(label);
        show();
      });
      swatch.className = "swatch";
      swatch.style.background = colorOf(id);
      row.append(box, swatch, document.createTextNode(label));
      return row;
    }));
  }

  function draw(target, rows, scale) {
    [target.width, target.height] = [Math.max(1, Math.round(found.width * scale)), Math.max(1, Math.round(found.height * scale))];
    const pen = target.getContext("2d");
    if (bitmap) pen.drawImage(bitmap, 0, 0, target.width, target.height);
    const line = Math.max(2, Math.sqrt(target.width * target.height) / 300);
    const letters = Math.max(11 * (target.clientWidth ? target.width / target.clientWidth : 1), 6 * line); // to be read on a phone
    pen.font = `600 ${letters}px system-ui, sans-serif`;
    pen.textBaseline = "top";
    const boxes = rows.map((one) => ({ one, sides: one.box_xyxy.map((side) => side * scale), color: colorOf(one.class_id) }));
    pen.lineWidth = line;
    for (const { sides: [left, top, right, bottom], color } of [...boxes].reverse()) { // the best last, on top
      pen.strokeStyle = color;
      pen.strokeRect(left, top, right - left, bottom - top);
    }
    const placed = []; // captions, the best first: each moves down until it hides none
    for (const { one, sides: [left, top], color } of boxes) {
      const text = `${one.name} ${one.score.toFixed(2)}`;
      const width = pen.measureText(text).width + letters * 0.6, height = letters * 1.35;
      const x = Math.min(Math.max(left, 0), Math.max(target.width - width, 0));
      let y = top - height >= 0 ? top - height : Math.max(top, 0);
      const hides = () => placed.find((other) => x < other.x + other.width && other.x < x + width && y < other.y + height && other.y < y + height);
      for (let other = hides(); other && y < target.height - height; other = hides()) y = other.y + height;
      placed.push({ x, y, width });
      pen.fillStyle = color;
      pen.fillRect(x, y, width, height);
      pen.fillStyle = inkOn(color);
      pen.fillText(text, x + letters * 0.3, y + letters * 0.2);
    }
  }

  function save(data, ending) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(data);
    link.download = `${found.source.replace(/\.[^.]*$/, "") || "picture"}_found.${ending}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  // ---- the camera ----
  async function startCamera() {
    let own = null; // another start has a loop of its own
    $("camera").disabled = true; // a second click before the permission would open a second stream
    try {
      if (!navigator.mediaDevices) throw new Error("browsers allow it only on https:// pages and on this machine's own address");
      own = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      stream = video.srcObject = own;
      $("camera").setAttribute("aria-pressed", "true");
      $("camera").textContent = "Stop camera";
      $("status").ariaLive = "off"; // a screen reader would read every frame
      await video.play();
    } catch (error) {
      if (stream === own) stopCamera(`The camera cannot be used: ${error.message}`);
    } finally {
      $("camera").disabled = false;
    }
    const frame = document.createElement("canvas");
    while (own && stream === own) {
      [frame.width, frame.height] = [video.videoWidth, video.videoHeight];
      frame.getContext("2d").drawImage(video, 0, 0);
      const picture = await new Promise((done) => frame.toBlob(done, "image/jpeg", 0.9));
      if (stream !== own) break;
      if (!picture || !own.active) return stopCamera("The camera gives no more pictures: see whether it is connected, then start it again.");
      await take(picture, "camera.jpg");
      if (!$("fault").hidden) return stopCamera();
      await new Promise((next) => setTimeout(next, 30));
    }
  }

  function stopCamera(reason = "") {
    if (stream) for (const track of stream.getTracks()) track.stop();
    stream = null;
    $("camera").setAttribute("aria-pressed", "false");
    $("camera").textContent = "Camera";
    $("status").ariaLive = "polite";
    if (reason) complain(reason);
  }

  // ---- what people do ----
  async function takeFirst(files) {
    if (!files.length) return;
    stopCamera();
    await take(files[0], files[0].name || "pasted.png");
    if (files.length > 1) say(`${$("status").textContent} Only the first of ${files.length} files was taken.`);
  }

  for (const kind of ["dragenter", "dragover"]) addEventListener(kind, (event) => { event.preventDefault(); $("drop").classList.add("over"); });
  addEventListener("dragleave", (event) => event.relatedTarget || $("drop").classList.remove("over"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    $("drop").classList.remove("over");
    const files = [...event.dataTransfer.files];
    if (files.length) takeFirst(files);
    else complain("That is not a file: save the picture first, then drop its file.");
  });
  addEventListener("paste", (event) => takeFirst([...event.clipboardData.files]));
  $("file").addEventListener("change", () => {
    takeFirst([...$("file").files]); // a copy: the next line empties the list
    $("file").value = "";
  });
  $("camera").addEventListener("click", () => (stream ? stopCamera() : startCamera()));
  $("threshold").addEventListener("input", show);
  for (const id of ["agnostic", "private", "model"]) $(id).addEventListener("change", again);
  $("save-json").addEventListener("click", () => save(new Blob([JSON.stringify({ ...found, detections: visible() })], { type: "application/json" }), "json"));
  $("save-picture").addEventListener("click", () => {
    const whole = document.createElement("canvas");
    draw(whole, visible(), 1);
    whole.toBlob((data) => (data ? save(data, "png") : complain("This browser cannot draw a picture of this size.")), "image/png");
  });
  $("key-row").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem("ssd300-key", $("key").value.trim());
    $("key-row").hidden = true;
    complain("");
    listModels().then(again).catch(explain);
  });

  async function listModels() {
    const { models } = await ask("v1/models");
    $("model").replaceChildren(...models.map((one) => new Option(one.name, one.name)));
    $("model-row").hidden = models.length < 2;
  }

  addEventListener("pageshow", show); // a browser that goes back sets the slider as it was
  if (embedded) {
    $("where").textContent = "Finds objects in pictures, inside this file: nothing leaves your machine.";
    $("docs").hidden = true;
  } else {
    $("private-row").hidden = document.body.dataset.private !== "yes";
    listModels().catch(explain);
  }
})();
