// Labelling kept frames: one at a time, by keys, with the next pictures already loaded.

import { byId, el, number, show } from "./dom.js";
import { t } from "./i18n.js";
import { get, send } from "./api.js";
import { onPress, sayRefusal } from "./actions.js";
import { store } from "./store.js";

let state = null;
let chosen = null;
let queue = "unlabelled";
let item = null;
let busy = false;
const pictures = new Map();

/** The picture of a frame, whose loading starts with the first call. */
function picture(id) {
  if (!pictures.has(id)) {
    const image = new Image();
    image.src = `/collection/items/${id}.jpg`;
    pictures.set(id, image);
  }
  return pictures.get(id);
}

async function put(id) {
  item = id;
  if (id !== null) {
    const image = picture(id);
    image.alt = t("label.picture");
    await image.decode();
    byId("label-picture").replaceChildren(image);
  } else {
    byId("label-picture").replaceChildren();
  }
  byId("label-picture").dataset.item = id ?? "";
  show(byId("label-nothing"), id === null);
  for (const button of byId("label-buttons").querySelectorAll("button")) {
    button.disabled = id === null && button.dataset.key !== "u";
  }
}

async function advance() {
  const offered = await get(`/collection/next?${new URLSearchParams({ set: chosen.name, queue })}`);
  await put(offered?.item ?? null);
  const ahead = offered?.then ?? [];
  for (const id of pictures.keys()) if (id !== item && !ahead.includes(id)) pictures.delete(id);
  ahead.forEach(picture);
  await drawProgress();
}

async function drawProgress() {
  state = await get("/collection");
  chosen = state.sets.find((each) => each.name === chosen.name) ?? chosen;
  byId("label-progress").textContent = t("label.progress", {
    done: number(chosen.labelled_count + chosen.not_usable_count, 0),
    all: number(state.frames_count, 0),
    second: number(chosen.disputed_count, 0),
  });
}

async function act(work) {
  if (busy) return;
  busy = true;
  byId("label-message").replaceChildren();
  try {
    await work();
  } catch (error) {
    sayRefusal(byId("label-message"), error);
  } finally {
    busy = false;
  }
}

const give = (label) =>
  act(async () => {
    if (item === null) return;
    await send("POST", "/collection/labels", { item, set: chosen.name, label });
    await advance();
  });

const undo = () =>
  act(async () => {
    const undone = await send("POST", "/collection/undo", { set: chosen.name });
    await put(undone.item);
    await drawProgress();
  });

function button(key, words, work, title, kind = "") {
  return el(
    "button",
    { type: "button", class: kind, title, "data-key": key, onclick: work },
    el("kbd", { "aria-hidden": "true" }, key),
    words,
  );
}

// As many labels as there may be: digits first, then letters that mean nothing else.
const KEYS = "123456789abcdefghijklmopqrtvwxyz";

function drawButtons() {
  byId("label-question").textContent = chosen.question || t("label.question");
  byId("label-buttons").replaceChildren(
    ...chosen.labels.map((label, index) => button(KEYS[index] ?? "", label.name, () => give(label.code), label.meaning)),
    button("n", t("label.not_usable"), () => give("not_usable"), "", "quiet"),
    button("s", t("label.skip"), () => give("skip"), "", "quiet"),
    button("u", t("label.undo"), undo, "", "quiet"),
  );
}

async function choose(name) {
  chosen = state.sets.find((each) => each.name === name);
  drawButtons();
  byId("label-export").href = `/collection/export.zip?set=${encodeURIComponent(name)}`;
  show(byId("label-export"), store.may("administer"));
  await advance();
}

export async function open() {
  state = await get("/collection");
  const usable = state.keep !== "nothing" || state.frames_count > 0;
  show(byId("label-off"), !usable);
  show(byId("label-desk"), usable);
  if (!usable) return;
  byId("label-consent").textContent = t("label.consent", { consent: state.consent });
  byId("label-set").replaceChildren(...state.sets.map((each) => el("option", { value: each.name }, each.name)));
  const again = state.sets.find((each) => each.name === chosen?.name) ?? state.sets[0];
  byId("label-set").value = again.name;
  await choose(again.name);
  byId("label-picture").focus();
}

export function onKey(key) {
  const found = byId("label-buttons").querySelector(`button[data-key="${CSS.escape(key)}"]`);
  if (found === null || found.disabled || byId("label-desk").hidden) return false;
  found.click();
  return true;
}

/** Offer to keep the latest frame where frames are kept on request. */
async function drawKeep() {
  if (!store.may("work")) return;
  try {
    show(byId("keep"), (await get("/collection")).keep === "on_request");
  } catch {
    show(byId("keep"), false);
  }
}

export function start() {
  byId("label-set").addEventListener("change", (event) => act(() => choose(event.target.value)));
  byId("label-queue").addEventListener("change", (event) => {
    queue = event.target.value;
    act(() => choose(chosen.name));
  });
  onPress(byId("keep"), async () => {
    await send("POST", "/collection/keep", { reading: store.shown.result.id });
    return t("action.kept");
  });
  store.on("session", drawKeep);
}
