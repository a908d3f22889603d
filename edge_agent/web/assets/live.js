// The moving picture. The device sends a frame when the one before was drawn, so the pace is this browser's own.

import { byId, number, show } from "./dom.js";
import { t } from "./i18n.js";
import { get } from "./api.js";
import { store } from "./store.js";
import { drawOn, judged, outlined } from "./cells.js";

const RETRY_MS = 1000;
const WIDTH_PX = 960;
const ZOOM_MAX = 8;
const BRIGHT = 253;
const DARK = 2;

const WHOLE = [0, 0, 1, 1];
const layers = { nuclei: true, cells: true, evidence: false, clipping: false };

let socket = null;
let wanted = false;
let region = [...WHOLE];
let best = 0;
let overlay = null;

/** Layers of a reading, loaded once: {id, nuclei, evidence, cells, field, turned}. */
async function loadOverlay(id) {
  if (overlay?.id === id) return overlay;
  const details = await get(`/readings/${id}`);
  if (details.picture === null) return null;
  const load = async (name) => {
    const image = new Image();
    image.src = `/readings/${id}/${name}`;
    await image.decode();
    return image;
  };
  overlay = {
    id,
    field: details.picture.field,
    turned: details.picture.turned,
    cells: outlined(details),
    nuclei: await load("nuclei.png"),
    evidence: details.picture.has_evidence ? await load("evidence.png") : null,
  };
  return overlay;
}

/** ``part`` is the region of the frame that the picture shows: the one that was asked for may be newer. */
function drawLayers(context, found, part) {
  const { width, height } = context.canvas;
  const [left, top, wide, high] = found.field;
  const x = ((left - part[0]) / part[2]) * width;
  const y = ((top - part[1]) / part[3]) * height;
  const w = (wide / part[2]) * width;
  const h = (high / part[3]) * height;
  // Only this part was read: nuclei beyond it have no outline.
  context.strokeStyle = "rgb(255 255 255 / 70%)";
  context.lineWidth = 3;
  context.strokeRect(x, y, w, h);
  context.strokeStyle = "rgb(40 30 90 / 80%)";
  context.lineWidth = 1;
  context.strokeRect(x, y, w, h);
  for (const name of ["evidence", "nuclei"]) {
    const image = found[name];
    if (!layers[name] || image === null) continue;
    context.save();
    if (found.turned) {
      // The field was turned clockwise, so its layer is turned back.
      context.translate(x, y + h);
      context.rotate(-Math.PI / 2);
      context.drawImage(image, 0, 0, h, w);
    } else {
      context.drawImage(image, x, y, w, h);
    }
    context.restore();
  }
  if (layers.cells) drawOn(context, found.cells, part);
}

/** Whether a layer is wanted that the latest reading has. */
const layered = () => layers.nuclei || layers.evidence || (layers.cells && judged(store.shown));

/** Stripes where every channel is at its end, so that detail is lost. */
function drawClipping(context) {
  const { width, height } = context.canvas;
  const pixels = context.getImageData(0, 0, width, height);
  const data = pixels.data;
  for (let at = 0; at < data.length; at += 4) {
    const bright = data[at] >= BRIGHT && data[at + 1] >= BRIGHT && data[at + 2] >= BRIGHT;
    const dark = data[at] <= DARK && data[at + 1] <= DARK && data[at + 2] <= DARK;
    if (!bright && !dark) continue;
    const pixel = at / 4;
    if (((pixel % width) + Math.floor(pixel / width)) % 8 >= 4) continue;
    data[at] = bright ? 220 : 40;
    data[at + 1] = bright ? 30 : 120;
    data[at + 2] = bright ? 30 : 255;
  }
  context.putImageData(pixels, 0, 0);
}

function meter(id, value, text) {
  const node = byId(id);
  node.setAttribute("aria-valuenow", String(value));
  node.setAttribute("aria-valuetext", text);
  byId(`${id}-text`).textContent = text;
}

function drawMeters(header) {
  const focus = header.focus_score ?? 0;
  best = Math.max(best, focus);
  const share = best > 0 ? focus / best : 0;
  byId("focus-bar").style.width = `${100 * share}%`;
  byId("focus").classList.toggle("good", share >= 0.95);
  byId("focus").setAttribute("aria-valuemax", String(best));
  meter("focus", focus, t("live.focus.value", { value: number(focus), best: number(best) }));
  const brightness = header.brightness_pct;
  byId("exposure-bar").style.left = `${brightness}%`;
  const limits = store.state?.quality_limits ?? {};
  const low = limits.min_brightness_pct ?? 30;
  const high = limits.max_brightness_pct ?? 98;
  byId("exposure-band").style.left = `${low}%`;
  byId("exposure-band").style.width = `${high - low}%`;
  const clipped = { bright: number(header.clipped_bright_pct, 1), dark: number(header.clipped_dark_pct, 1) };
  meter("exposure", brightness, t("live.exposure.value", { value: number(brightness, 0), ...clipped }));
}

async function drawFrame(header, jpeg) {
  const image = await createImageBitmap(jpeg);
  const canvas = byId("live");
  if (canvas.width !== image.width || canvas.height !== image.height) {
    canvas.width = image.width;
    canvas.height = image.height;
  }
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  image.close();
  if (layers.clipping) drawClipping(context);
  let drawn = false;
  if (header.reading) {
    try {
      const found = await loadOverlay(header.reading);
      if (found !== null && layered()) {
        drawLayers(context, found, header.region);
        drawn = true;
      }
    } catch {
      overlay = null;
    }
  }
  canvas.dataset.frame = header.id;
  canvas.dataset.layered = drawn ? header.reading : "";
  show(byId("live-moved"), !drawn && store.shown !== null && layered());
  drawMeters(header);
  say("");
}

function say(text) {
  byId("live-message").textContent = text;
  show(byId("live-message"), text !== "");
}

function ask() {
  if (socket?.readyState === WebSocket.OPEN) {
    socket.send(JSON.stringify({ next: true, region, max_width_px: WIDTH_PX }));
  }
}

async function receive(data) {
  if (typeof data === "string") {
    const message = JSON.parse(data);
    if (message.state) say(t(`live.state.${message.state}`));
    else if (message.message) say(message.message);
    return;
  }
  const bytes = await data.arrayBuffer();
  const length = new DataView(bytes).getUint32(0);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)));
  await drawFrame(header, new Blob([new Uint8Array(bytes, 4 + length)], { type: "image/jpeg" }));
  ask();
}

function connect() {
  if (!wanted || document.hidden || socket !== null) return;
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const opened = new WebSocket(`${scheme}://${location.host}/live`);
  socket = opened;
  opened.onopen = ask;
  opened.onmessage = (event) => receive(event.data).catch(() => opened.close());
  opened.onclose = () => {
    if (socket === opened) socket = null;
    if (wanted && !document.hidden) setTimeout(connect, RETRY_MS);
  };
}

function disconnect() {
  const closing = socket;
  socket = null;
  closing?.close();
}

/** Ask for frames only while they can be seen. */
export function watch(visible) {
  wanted = visible;
  if (visible) connect();
  else disconnect();
}

function zoomTo(factor, centre = [region[0] + region[2] / 2, region[1] + region[3] / 2]) {
  const side = Math.min(1, Math.max(1 / ZOOM_MAX, region[2] / factor));
  move(centre[0] - side / 2, centre[1] - side / 2, side);
}

function move(left, top, side = region[2]) {
  region = [Math.min(1 - side, Math.max(0, left)), Math.min(1 - side, Math.max(0, top)), side, side];
  // One finger scrolls the page as long as there is nothing to move in the picture.
  byId("live").style.touchAction = side >= 1 ? "pan-y" : "none";
  byId("zoom-value").textContent = `${number(1 / side, 1)}×`;
  byId("zoom-out").disabled = side >= 1;
  byId("zoom-in").disabled = side <= 1 / ZOOM_MAX;
}

export const zoomIn = () => zoomTo(1.5);
export const zoomOut = () => zoomTo(1 / 1.5);

export function toggle(name) {
  layers[name] = !layers[name];
  byId(`layer-${name}`).setAttribute("aria-pressed", String(layers[name]));
  show(byId("legend"), layers.evidence);
  dispatchEvent(new CustomEvent("layers", { detail: { ...layers } }));
}

export const resetBest = () => {
  best = 0;
};

function startPointers(canvas) {
  const fingers = new Map();
  const spread = () => {
    const [one, other] = [...fingers.values()];
    return Math.hypot(one.x - other.x, one.y - other.y);
  };
  canvas.addEventListener("pointerdown", (event) => {
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (before === undefined) return;
    const apart = fingers.size === 2 ? spread() : 0;
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (fingers.size === 2) {
      if (apart > 0) zoomTo(spread() / apart);
      return;
    }
    const box = canvas.getBoundingClientRect();
    move(
      region[0] - ((event.clientX - before.x) / box.width) * region[2],
      region[1] - ((event.clientY - before.y) / box.height) * region[3],
    );
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, (event) => fingers.delete(event.pointerId));
  }
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (region[2] >= 1 && event.deltaY > 0) return;
      event.preventDefault();
      const box = canvas.getBoundingClientRect();
      zoomTo(event.deltaY < 0 ? 1.2 : 1 / 1.2, [
        region[0] + ((event.clientX - box.left) / box.width) * region[2],
        region[1] + ((event.clientY - box.top) / box.height) * region[3],
      ]);
    },
    { passive: false },
  );
}

export function start() {
  for (const name of Object.keys(layers)) {
    byId(`layer-${name}`).addEventListener("click", () => toggle(name));
  }
  byId("zoom-in").addEventListener("click", zoomIn);
  byId("zoom-out").addEventListener("click", zoomOut);
  byId("focus-reset").addEventListener("click", resetBest);
  startPointers(byId("live"));
  move(0, 0, 1);
  document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));
}
