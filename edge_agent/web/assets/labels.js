// Labelling kept frames: one at a time, by keys, with the next one already loaded.

import { byId, el, number, show } from "./dom.js";
import { t } from "./i18n.js";
import { get, send } from "./api.js";
import { sayRefusal } from "./actions.js";

let sets = [];
let chosen = null;
let queue = "unlabelled";
let item = null;
let following = null;
let busy = false;

async function loadNext(after) {
  const query = new URLSearchParams({ set: chosen.name, queue });
  if (after) query.set("after", after);
  const found = await get(`/collection/next?${query}`);
  if (!found?.item) return null;
  const image = new Image();
  image.alt = t("label.picture");
  image.src = `/collection/items/${found.item}.jpg`;
  await image.decode();
  return { ...found, image };
}

async function drawProgress() {
  const state = await get("/collection");
  const counts = state.label_sets.find((each) => each.name === chosen.name) ?? {};
  byId("label-progress").textContent = t("label.progress", {
    done: number(counts.labelled_count ?? 0, 0),
    all: number(state.kept_count ?? 0, 0),
    second: number(counts.second_look_count ?? 0, 0),
  });
}

function draw() {
  byId("label-picture").replaceChildren(...(item === null ? [] : [item.image]));
  byId("label-picture").dataset.item = item?.item ?? "";
  show(byId("label-nothing"), item === null);
  for (const button of byId("label-buttons").querySelectorAll("button")) button.disabled = item === null && button.dataset.key !== "u";
}

async function advance() {
  item = following ?? (await loadNext());
  following = null;
  draw();
  drawProgress().catch(() => {});
  if (item !== null) following = await loadNext(item.item).catch(() => null);
}

async function give(label) {
  if (item === null || busy) return;
  busy = true;
  byId("label-message").replaceChildren();
  try {
    await send("POST", "/collection/labels", { item: item.item, set: chosen.name, label });
    await advance();
  } catch (error) {
    sayRefusal(byId("label-message"), error);
  } finally {
    busy = false;
  }
}

async function undo() {
  if (busy) return;
  busy = true;
  byId("label-message").replaceChildren();
  try {
    const undone = await send("POST", "/collection/undo", { set: chosen.name });
    following = null;
    item = await loadItem(undone?.item);
    draw();
    drawProgress().catch(() => {});
  } catch (error) {
    sayRefusal(byId("label-message"), error);
  } finally {
    busy = false;
  }
}

async function loadItem(id) {
  if (!id) return loadNext();
  const image = new Image();
  image.alt = t("label.picture");
  image.src = `/collection/items/${id}.jpg`;
  await image.decode();
  return { item: id, image };
}

function button(key, words, act, kind = "") {
  return el(
    "button",
    { type: "button", class: kind, "data-key": key, onclick: act },
    el("kbd", { "aria-hidden": "true" }, key),
    words,
  );
}

function drawButtons() {
  byId("label-question").textContent = chosen.question ?? t("label.question");
  byId("label-buttons").replaceChildren(
    ...chosen.labels.map((label, index) => button(String(index + 1), label.name ?? label.code, () => give(label.code))),
    button("n", t("label.not_usable"), () => give("not_usable"), "quiet"),
    button("s", t("label.skip"), () => give("skip"), "quiet"),
    button("u", t("label.undo"), undo, "quiet"),
  );
}

async function choose(name) {
  chosen = sets.find((each) => each.name === name);
  following = null;
  drawButtons();
  await advance();
}

export async function open() {
  const state = await get("/collection");
  sets = state.label_sets ?? [];
  const usable = (state.enabled ?? state.keep !== "nothing") && sets.length > 0;
  show(byId("label-off"), !usable);
  show(byId("label-desk"), usable);
  if (!usable) return;
  byId("label-consent").textContent = t("label.consent", { consent: state.consent ?? "" });
  byId("label-set").replaceChildren(...sets.map((each) => el("option", { value: each.name }, each.name)));
  await choose(chosen && sets.some((each) => each.name === chosen.name) ? chosen.name : sets[0].name);
  byId("label-picture").focus();
}

export function onKey(key) {
  const found = byId("label-buttons").querySelector(`button[data-key="${CSS.escape(key)}"]`);
  if (found === null || found.disabled || byId("label-desk").hidden) return false;
  found.click();
  return true;
}

export function start() {
  byId("label-set").addEventListener("change", (event) => choose(event.target.value));
  byId("label-queue").addEventListener("change", (event) => {
    queue = event.target.value;
    choose(chosen.name);
  });
}
