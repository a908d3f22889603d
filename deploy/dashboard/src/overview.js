// All sites and devices on one screen, what needs a person first.

import { byId, el, show } from "../../../edge_agent/web/assets/dom.js";
import { needing } from "./attention.js";
import { span, whole } from "./format.js";
import { t } from "./i18n.js";
import { deviceLink, findingItem, marks, newestWords, refusalWords, setText } from "./parts.js";
import { latencyWords, modelWords, stateWords } from "./words.js";

const MOST_SHOWN = 50;
/** Rows out of sight that are drawn at once: never so many that the page would stand still. */
const OUT_OF_SIGHT = 40;
const COLUMNS = ["device", "state", "model", "waiting", "latency", "refused", "newest"];
const collator = new Intl.Collator("en", { numeric: true });

/** Device → its row's cells. */
const rows = new Map();
const inSight = new Set();
let attentionDrawn = "";
let order = [];

const sight = new IntersectionObserver((changes) => {
  for (const { target, isIntersecting } of changes) {
    if (isIntersecting) inSight.add(target);
    else inSight.delete(target);
  }
});

function makeRow(device) {
  const cells = Object.fromEntries(
    COLUMNS.map((name) => [
      name,
      el(name === "device" ? "th" : "td", { role: name === "device" ? "rowheader" : "cell", "data-head": name, scope: name === "device" ? "row" : undefined }),
    ]),
  );
  cells.device.append(el("a", { href: `#/device/${device.key}` }, device.name), el("span", { class: "marks" }));
  cells.state.append(el("span", { class: "chip" }));
  const row = el("tr", { role: "row", "data-device": device.key }, ...Object.values(cells));
  sight.observe(row);
  return { row, cells, marks: "" };
}

function waitingWords({ metrics }) {
  if (metrics === null || metrics.waiting_count === null) return "–";
  const count = whole(metrics.waiting_count);
  return metrics.waiting_count === 0 || metrics.oldest_age_s === null ? count : `${count} · ${span(metrics.oldest_age_s)}`;
}

function drawRow(device, { now_ms, at_ms }) {
  const { cells, ...drawn } = rows.get(device);
  const state = device.state(now_ms);
  const chip = cells.state.firstChild;
  chip.className = `chip ${state ?? "unknown"}`;
  setText(chip, stateWords(state));
  const key = `${device.demonstration()} ${device.provisional()} ${document.documentElement.lang}`;
  if (drawn.marks !== key) {
    cells.device.lastChild.replaceChildren(...marks(device));
    rows.get(device).marks = key;
  }
  setText(cells.model, modelWords(device.modelInUse()));
  setText(cells.waiting, waitingWords(device));
  setText(cells.latency, latencyWords(device.latency_ms()));
  setText(cells.refused, refusalWords(device, at_ms));
  setText(cells.newest, newestWords(device));
}

function siteHead(site, devices) {
  return el(
    "tr",
    { role: "row", class: "site" },
    el("th", { role: "rowheader", scope: "rowgroup", colSpan: COLUMNS.length }, t("overview.site", { site, count: whole(devices) })),
  );
}

/** Devices come and go rarely, so the table is then made anew around the rows that there are. */
function arrange(fleet) {
  const devices = [...fleet.devices.values()].sort(
    (a, b) => collator.compare(a.site, b.site) || collator.compare(a.name, b.name),
  );
  const same = devices.length === order.length && devices.every((each, at) => each === order[at]);
  if (same && byId("overview-rows").dataset.language === document.documentElement.lang) return;
  order = devices;
  byId("overview-rows").dataset.language = document.documentElement.lang;
  for (const [device, { row }] of rows) {
    if (fleet.devices.get(device.key) === device) continue;
    sight.unobserve(row);
    inSight.delete(row);
    rows.delete(device);
  }
  const sites = Map.groupBy(devices, (each) => each.site);
  const nodes = [];
  for (const [site, found] of sites) {
    nodes.push(siteHead(site, found.length));
    for (const device of found) {
      if (!rows.has(device)) rows.set(device, makeRow(device));
      const { row, cells } = rows.get(device);
      // On a phone each cell says what it is.
      for (const name of COLUMNS) cells[name].dataset.label = t(`overview.${name}`);
      nodes.push(row);
    }
  }
  byId("overview-rows").replaceChildren(...nodes);
}

function drawAttention(evaluated) {
  const found = needing(evaluated);
  const key = JSON.stringify([
    document.documentElement.lang,
    found.slice(0, MOST_SHOWN).map(({ device, findings }) => [device.key, findings]),
    found.length,
    evaluated.length > 0,
  ]);
  if (key === attentionDrawn) return;
  attentionDrawn = key;
  byId("attention").replaceChildren(
    ...found.slice(0, MOST_SHOWN).map(({ device, findings }) =>
      el(
        "li",
        { class: `card need ${findings.some((each) => each.level === "serious") ? "serious" : "note"}`, "data-device": device.key },
        el("h3", {}, deviceLink(device)),
        el("ul", { class: "plain" }, ...findings.map(findingItem)),
      ),
    ),
  );
  show(byId("attention-none"), found.length === 0 && evaluated.length > 0);
  const more = found.length - MOST_SHOWN;
  byId("attention-more").textContent = more > 0 ? t("overview.more", { count: whole(more) }) : "";
}

function drawSummary(fleet, { now_ms }) {
  const states = Map.groupBy(fleet.devices.values(), (device) => device.state(now_ms) ?? "unknown");
  const parts = [...states]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([state, found]) => `${stateWords(state === "unknown" ? null : state)} ${whole(found.length)}`);
  const sites = new Set([...fleet.devices.values()].map((each) => each.site)).size;
  setText(
    byId("summary"),
    t("overview.summary", { devices: whole(fleet.devices.size), sites: whole(sites), states: parts.join(", ") || "–" }),
  );
  setText(
    byId("counts"),
    t("overview.counts", {
      results: whole(fleet.results_count),
      repeats: whole(fleet.repeats_count),
      missing: whole(fleet.missing_count),
      unreadable: whole([...fleet.unreadable.values()].reduce((sum, each) => sum + each, 0)),
    }),
  );
}

/** all: every row, not only those of which something came. Returns whether rows are left for the next frame. */
export function draw({ fleet, evaluated, context, all }) {
  show(byId("overview-waiting"), fleet.devices.size === 0);
  show(byId("overview-table"), fleet.devices.size > 0);
  arrange(fleet);
  drawSummary(fleet, context);
  drawAttention(evaluated);
  if (all) for (const device of fleet.devices.values()) fleet.dirty.add(device);
  let outOfSight = 0;
  for (const device of fleet.dirty) {
    const drawn = rows.get(device);
    if (drawn !== undefined && !inSight.has(drawn.row)) {
      if (outOfSight === OUT_OF_SIGHT) continue;
      outOfSight += 1;
    }
    fleet.dirty.delete(device);
    if (drawn !== undefined) drawRow(device, context);
  }
  return fleet.dirty.size > 0;
}
