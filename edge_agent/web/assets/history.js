// The last readings of this device.

import { byId, clock, el, show } from "./dom.js";
import { t } from "./i18n.js";
import { get } from "./api.js";
import { store } from "./store.js";
import { describe, loadPicture, summarise } from "./reading.js";
import { explain, knownReasons, labelName } from "./words.js";

let listed = [];
let opened = null;

function filters() {
  const query = new URLSearchParams();
  for (const name of ["outcome", "reason", "label", "specimen"]) {
    const value = byId(`filter-${name}`).value.trim();
    if (value !== "") query.set(name, value);
  }
  return query;
}

/** What the labels of the model in use are called. */
const labels = () => store.shown?.labels;

function caption(reading) {
  if (reading.outcome === "classified") return [labelName(reading.label, labels()), mark(reading)];
  return [t(`outcome.${reading.outcome}`), reading.reason ? explain(reading)[0] : (reading.error_code ?? "")];
}

const mark = (reading) => t(reading.malignant ? "reading.malignant" : "reading.benign");

function tile(reading) {
  const [name, note] = caption(reading);
  return el(
    "li",
    {},
    el(
      "button",
      {
        class: `tile ${reading.outcome}${reading.malignant ? " malignant" : ""}`,
        type: "button",
        "data-reading": reading.id,
        onclick: () => (location.hash = `#/history/${reading.id}`),
      },
      reading.has_picture
        ? el("img", { src: `/readings/${reading.id}/thumbnail.jpg`, alt: "", loading: "lazy", width: 160, height: 120 })
        : el("span", { class: "no-picture" }, "–"),
      el("b", { class: "tile-words" }, name),
      el("span", { class: "tile-note" }, note),
      el("time", { class: "muted", dateTime: reading.captured_at }, clock(reading.captured_at)),
    ),
  );
}

async function list() {
  const found = await get(`/readings?${filters()}`);
  listed = found.readings;
  const focused = document.activeElement?.dataset.reading;
  byId("history-list").replaceChildren(...listed.map(tile));
  if (focused) byId("history-list").querySelector(`[data-reading="${focused}"]`)?.focus();
  byId("history-count").textContent = t("history.count", { count: listed.length, most: found.kept_max_count });
}

async function detail(id) {
  const place = byId("history-detail");
  try {
    const details = await get(`/readings/${id}`);
    const picture = await loadPicture(details);
    const notes = ["demonstration", "provisional"].filter((each) => details.result[each]);
    const parts = [
      el("div", { class: "summary" }, ...summarise(details)),
      ...notes.map((each) => el("p", { class: "caution" }, t(`banner.${each}`))),
      ...describe(details),
      el(
        "details",
        {},
        el("summary", {}, t("history.everything")),
        el("pre", { tabIndex: 0 }, JSON.stringify(details.result, null, 2)),
      ),
    ];
    byId("history-detail-picture").replaceChildren(...(picture === null ? [] : [picture]));
    byId("history-detail-words").replaceChildren(...parts.filter((part) => part !== null));
  } catch (error) {
    byId("history-detail-picture").replaceChildren();
    byId("history-detail-words").replaceChildren(el("p", { class: "refusal" }, error.message));
  }
  opened = id;
  show(place, true);
  for (const [name, by] of [["newer", -1], ["older", 1]]) byId(`history-${name}`).disabled = !neighbour(by);
  if (!place.contains(document.activeElement)) byId("history-detail-heading").focus();
  place.scrollIntoView({ block: "nearest" });
}

function neighbour(by) {
  return listed[listed.findIndex((reading) => reading.id === opened) + by];
}

function step(by) {
  const next = neighbour(by);
  if (next) location.hash = `#/history/${next.id}`;
}

function close() {
  // Back to where the reading was opened from.
  byId("history-list").querySelector(`[data-reading="${opened}"]`)?.focus();
  opened = null;
  location.hash = "#/history";
}

function options(select, values, words) {
  const chosen = select.value;
  const choices = values.map((each) => el("option", { value: each }, words(each)));
  select.replaceChildren(el("option", { value: "" }, t("history.any")), ...choices);
  select.value = chosen;
}

function drawLabelFilter() {
  const codes = (labels() ?? []).map((label) => label.code);
  options(byId("filter-label"), codes, (each) => labelName(each, labels()));
}

export async function open(id) {
  options(byId("filter-outcome"), ["classified", "abstained", "rejected", "failed"], (each) => t(`outcome.${each}`));
  options(byId("filter-reason"), knownReasons(), (each) => explain({ reason: each })[0]);
  drawLabelFilter();
  show(byId("history-detail"), id !== undefined);
  // A list that is written anew loses the focus.
  if (id === undefined || !listed.some((reading) => reading.id === id)) await list();
  if (id !== undefined) await detail(id);
}

export function onKey(key) {
  if (opened === null) return false;
  if (key === "ArrowRight") step(1);
  else if (key === "ArrowLeft") step(-1);
  else if (key === "Escape") close();
  else return false;
  return true;
}

let named = false;

export function start() {
  // The names of labels come with the first reading that is shown.
  store.on("shown", () => {
    if (named) return;
    named = true;
    drawLabelFilter();
    byId("history-list").replaceChildren(...listed.map(tile));
  });
  for (const name of ["outcome", "reason", "label", "specimen"]) byId(`filter-${name}`).addEventListener("change", list);
  byId("history-refresh").addEventListener("click", list);
  byId("history-newer").addEventListener("click", () => step(-1));
  byId("history-older").addEventListener("click", () => step(1));
  byId("history-close").addEventListener("click", close);
}
