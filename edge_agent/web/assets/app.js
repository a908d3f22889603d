// Puts the parts of the page together: views, keys, and what happens on the device.

import * as actions from "./actions.js";
import * as banners from "./banners.js";
import * as device from "./device.js";
import * as events from "./events.js";
import * as history from "./history.js";
import * as i18n from "./i18n.js";
import * as labels from "./labels.js";
import * as live from "./live.js";
import * as login from "./login.js";
import * as reading from "./reading.js";
import * as shadow from "./shadow.js";
import * as slide from "./slide.js";
import * as slides from "./slides.js";
import * as teach from "./teach.js";
import * as words from "./words.js";
import { byId, el, show } from "./dom.js";
import { get } from "./api.js";
import { store } from "./store.js";

const VIEWS = ["microscope", "history", "slides", "label", "teach", "device"];
const OPEN = { history: history.open, slides: slides.open, label: labels.open, teach: teach.open };

let view = null;

async function route() {
  const [, name, id] = location.hash.split("/");
  const wanted = VIEWS.includes(name) ? name : "microscope";
  const moved = view !== null && view !== wanted;
  view = wanted;
  for (const each of VIEWS) {
    show(byId(`view-${each}`), each === view);
    const link = byId(`nav-${each}`);
    if (each === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  drawTitle();
  live.watch(view === "microscope");
  if (view !== "teach") teach.close();
  if (moved) byId(`view-${view}`).querySelector("h2").focus();
  byId("view-message").replaceChildren();
  try {
    await OPEN[view]?.(id);
  } catch (error) {
    byId("view-message").replaceChildren(el("p", { class: "refusal", role: "alert" }, error.message));
  }
}

function drawTitle() {
  document.title = `${i18n.t(`nav.${view === "label" ? "label_view" : view}`)} · Leukoscope`;
}

const KEYS = {
  c: () => byId("capture").click(),
  p: () => byId("pause").click(),
  n: () => live.toggle("nuclei"),
  t: () => live.toggle("cells"),
  e: () => live.toggle("evidence"),
  x: () => live.toggle("clipping"),
  r: live.resetBest,
  "+": live.zoomIn,
  "-": live.zoomOut,
};

function onKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || !device.keysAreOn()) return;
  if (event.target.closest("input, select, textarea, dialog")) return;
  let done = false;
  if (view === "label") done = labels.onKey(event.key);
  else if (view === "history") done = history.onKey(event.key);
  else if (view === "microscope" && event.key in KEYS) {
    KEYS[event.key]();
    done = true;
  }
  if (done) event.preventDefault();
}

let entered = false;

async function enter() {
  if (entered) return;
  entered = true;
  words.learn(await get("/reasons.json"));
  // A device that started again has forgotten its sessions, which events do not say.
  events.start(reading.offer, () => login.ask().catch(() => {}));
  addEventListener("hashchange", route);
  await route();
}

async function start() {
  await i18n.start();
  for (const part of [actions, banners, device, history, labels, live, reading, shadow, slide, teach]) part.start();
  login.start(enter);
  store.on("state connected session", () => {
    const state = store.state;
    byId("device-name").textContent = state === null ? "" : `${state.site} / ${state.device}`;
  });
  store.on("language", drawTitle);
  document.addEventListener("keydown", onKey);
  await login.ask();
}

start();
