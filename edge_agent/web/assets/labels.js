// Labelling kept frames: one at a time, by keys, with the next pictures already loaded.

import { byId, el, number, show } from "./dom.js";
import { t } from "./i18n.js";
import { get, newId, send } from "./api.js";
import { onPress, sayRefusal } from "./actions.js";
import { store } from "./store.js";

// As many labels as there may be: digits first, then letters that mean nothing else.
const KEYS = "123456789abcdefghijklmopqrtvwxyz";

let sets = [];
let chosen = null;
let queue = "unlabelled";
let item = null;
let busy = false;
/** Labels that this page gave, so that "undo" never undoes somebody else's. */
let given = [];
/** The answer to the frame that is shown, until the next one is: pressed again, it is sent again with the same id. */
let answer = null;
/** The pictures of the frame that is shown and of the next ones, by id. */
let pictures = new Map();

function load(id) {
  if (!pictures.has(id)) {
    const image = new Image();
    image.alt = t("label.picture");
    image.src = `/collection/items/${id}.jpg`;
    const decoded = image.decode().then(() => image);
    // Whoever waits for it gets the error.
    decoded.catch(() => pictures.delete(id));
    pictures.set(id, decoded);
  }
  return pictures.get(id);
}

async function showItem(id, then) {
  // A frame may have made room for a newer one meanwhile. It can still be skipped.
  const picture = id === null ? null : await load(id).catch(() => el("p", {}, t("label.picture.gone")));
  item = id;
  pictures = new Map([...pictures].filter(([each]) => each === id || then.includes(each)));
  then.forEach(load);
  byId("label-picture").replaceChildren(...(picture === null ? [] : [picture]));
  byId("label-picture").dataset.item = id ?? "";
  show(byId("label-picture"), picture !== null);
  show(byId("label-nothing"), picture === null);
  for (const button of byId("label-buttons").querySelectorAll("button")) {
    button.disabled = picture === null && button.dataset.key !== "u";
  }
}

async function next() {
  return (await get(`/collection/next?${new URLSearchParams({ set: chosen.name, queue })}`)) ?? { item: null, then: [] };
}

async function advance() {
  const offered = await next();
  await showItem(offered.item, offered.then);
  drawProgress().catch(() => {});
}

async function drawProgress() {
  const state = await get("/collection");
  const counts = state.sets.find((each) => each.name === chosen.name);
  byId("label-progress").textContent = t("label.progress", {
    done: number(counts.labelled_count + counts.not_usable_count, 0),
    all: number(state.frames_count, 0),
    second: number(counts.disputed_count, 0),
  });
}

async function once(act) {
  if (busy) return;
  busy = true;
  byId("label-message").replaceChildren();
  try {
    await act();
  } catch (error) {
    sayRefusal(byId("label-message"), error);
  } finally {
    busy = false;
  }
}

const give = (label) =>
  once(async () => {
    if (item === null) return;
    const [set, before] = [chosen.name, answer];
    const isSame = before?.item === item && before.set === set && before.label === label;
    answer = isSame ? before : { id: newId(), item, set, label };
    const { id } = answer;
    await send("POST", "/collection/labels", answer);
    if (!given.some((each) => each.id === id)) given.push({ id, set });
    await advance();
    answer = null;
  });

const undo = () =>
  once(async () => {
    const last = given.findLast((each) => each.set === chosen.name);
    if (last === undefined) throw new Error(t("label.undo.nothing"));
    const undone = await send("POST", "/collection/undo", last);
    given = given.filter((each) => each !== last);
    answer = null;
    const offered = await next();
    await showItem(undone.item, [offered.item, ...offered.then].filter((each) => each !== null && each !== undone.item));
    drawProgress().catch(() => {});
  });

function button(key, words, act, { kind = "", meaning } = {}) {
  return el(
    "button",
    { type: "button", class: kind, "data-key": key, title: meaning, onclick: act },
    key === undefined ? null : el("kbd", { "aria-hidden": "true" }, key),
    words,
  );
}

function drawButtons() {
  const quiet = { kind: "quiet" };
  byId("label-question").textContent = chosen.question || t("label.question");
  byId("label-buttons").replaceChildren(
    ...chosen.labels.map((label, index) =>
      button(KEYS[index], label.name, () => give(label.code), { meaning: label.meaning }),
    ),
    button("n", t("label.not_usable"), () => give("not_usable"), quiet),
    button("s", t("label.skip"), () => give("skip"), quiet),
    button("u", t("label.undo"), undo, quiet),
  );
}

const choose = (name) =>
  once(async () => {
    chosen = sets.find((each) => each.name === name);
    byId("label-set").value = name;
    byId("label-export").href = `/collection/export.zip?${new URLSearchParams({ set: name })}`;
    drawButtons();
    await advance();
  });

/** With an ``id`` that frame is shown first: somebody wants to look at it again. */
export async function open(id) {
  const state = await get("/collection");
  const kept = state.keep !== "nothing" || state.frames_count > 0;
  const usable = kept && store.may("work");
  show(byId("label-off"), !kept);
  show(byId("label-role"), kept && !usable);
  show(byId("label-desk"), usable);
  show(byId("label-export"), store.may("administer"));
  if (!usable) return;
  sets = state.sets;
  byId("label-consent").textContent = t("label.consent", { consent: state.consent });
  byId("label-set").replaceChildren(...sets.map((each) => el("option", { value: each.name }, each.name)));
  await choose(sets.some((each) => each.name === chosen?.name) ? chosen.name : sets[0].name);
  if (id) await once(() => showItem(id, item === null ? [] : [item]));
  if (state.error) sayRefusal(byId("label-message"), state.error);
}

export function onKey(key) {
  const found = byId("label-buttons").querySelector(`button[data-key="${CSS.escape(key)}"]`);
  if (found === null || found.disabled || byId("label-desk").hidden) return false;
  found.click();
  return true;
}

let onRequest = false;

/** Offer to keep the latest frame where frames are kept on request. */
const drawKeep = () => show(byId("keep"), onRequest && store.shown !== null);

async function askKeep() {
  if (!store.may("work")) return;
  onRequest = await get("/collection").then(
    (state) => state.keep === "on_request",
    () => false,
  );
  drawKeep();
}

export function start() {
  byId("label-set").addEventListener("change", (event) => choose(event.target.value));
  byId("label-queue").addEventListener("change", (event) => {
    queue = event.target.value;
    choose(chosen.name);
  });
  onPress(byId("keep"), async () => {
    await send("POST", "/collection/keep", { reading: store.shown.result.id });
    return t("action.kept");
  });
  store.on("session", askKeep);
  store.on("shown", drawKeep);
  store.on("language", () => {
    if (chosen !== null) drawButtons();
  });
}
