// The last readings of this device.

import { byId, clock, el, show } from "./dom.js";
import { t } from "./i18n.js";
import { get } from "./api.js";
import { store } from "./store.js";
import { describe, loadPicture, summarise } from "./reading.js";
import { explain, knownReasons } from "./words.js";

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

function caption(reading) {
  if (reading.label) return reading.label;
  return reading.reason ?? reading.error_code ?? t(`outcome.${reading.outcome}`);
}

function tile(reading) {
  const words = `${caption(reading)}, ${clock(reading.captured_at)}`;
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
      el("span", { class: "tile-words" }, words),
    ),
  );
}

async function list() {
  const found = await get(`/readings?${filters()}`);
  listed = found.readings;
  byId("history-list").replaceChildren(...listed.map(tile));
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
      picture,
      ...notes.map((each) => el("p", { class: "caution" }, t(`banner.${each}`))),
      ...describe(details),
      el(
        "details",
        {},
        el("summary", {}, t("history.everything")),
        el("pre", { tabIndex: 0 }, JSON.stringify(details.result, null, 2)),
      ),
    ];
    byId("history-detail-words").replaceChildren(...parts.filter((part) => part !== null));
  } catch (error) {
    byId("history-detail-words").replaceChildren(el("p", { class: "refusal" }, error.message));
  }
  opened = id;
  show(place, true);
  byId("history-heading").focus();
}

function step(by) {
  const at = listed.findIndex((reading) => reading.id === opened);
  const next = listed[at + by];
  if (next) location.hash = `#/history/${next.id}`;
}

function close() {
  opened = null;
  location.hash = "#/history";
}

export async function open(id) {
  const options = (select, values, words) => {
    const chosen = select.value;
    select.replaceChildren(el("option", { value: "" }, t("history.any")), ...values.map((each) => el("option", { value: each }, words(each))));
    select.value = chosen;
  };
  options(byId("filter-outcome"), ["classified", "abstained", "rejected", "failed"], (each) => t(`outcome.${each}`));
  options(byId("filter-reason"), knownReasons(), (each) => explain({ reason: each })[0]);
  options(byId("filter-label"), Object.keys(store.shown?.result.probabilities ?? {}), (each) => each);
  show(byId("history-detail"), id !== undefined);
  await list();
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

export function start() {
  for (const name of ["outcome", "reason", "label", "specimen"]) byId(`filter-${name}`).addEventListener("change", list);
  byId("history-refresh").addEventListener("click", list);
  byId("history-newer").addEventListener("click", () => step(-1));
  byId("history-older").addEventListener("click", () => step(1));
  byId("history-close").addEventListener("click", close);
}
