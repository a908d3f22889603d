// A device's own page.

import { byId, el } from "../../../edge_agent/web/assets/dom.js";
import { findings } from "./attention.js";
import { moment, number, percent, span, when, whole } from "./format.js";
import { has, t } from "./i18n.js";
import {
  countBars, facts, findingItem, marks, orDash, READING_HEADS, readingCells, stateChip, table,
} from "./parts.js";
import { modelWords, outcomeWords, reasonWords } from "./words.js";
import { reportLine } from "./reports-view.js";

const GIB = 2 ** 30;

function about(device, now_ms) {
  const { info, metrics, specimen, liveness } = device;
  const heartbeat = liveness.heartbeat_ms === null ? "–" : span(liveness.heartbeat_ms / 1000);
  return facts([
    ["device.state", stateChip(device.state(now_ms))],
    ["device.heartbeat", heartbeat],
    ["device.started", orDash(info?.startedAt, moment)],
    ["device.model", modelWords(device.modelInUse())],
    ["device.software", orDash(info?.software, String)],
    ["device.machine", orDash(info?.machine, String)],
    ["device.cameras", info?.cameras.join(", ") || "–"],
    ["device.slide", specimen?.specimen == null ? "–" : t("device.slide.of", {
      id: specimen.specimen, slide: specimen.slide ?? "–", judged: orDash(specimen.judged_count, whole),
    })],
    ["device.readings", orDash(metrics?.readings_count, whole)],
    ["device.waiting", metrics === null ? "–" : `${orDash(metrics.waiting_count, whole)} · ${orDash(metrics.oldest_age_s, span)}`],
    ["device.temperature", orDash(metrics?.cpu_temperature_c, (value) => `${number(value)} °C`)],
    ["device.disk", orDash(metrics?.disk_free_bytes, (value) => `${number(value / GIB)} GiB`)],
    ["device.seen", t("device.seen.of", {
      results: whole(device.results_count), repeats: whole(device.repeats_count), missing: whole(device.sequences.missing_count),
    })],
    ["device.ignored", whole(liveness.ignoredWills)],
  ]);
}

function health(device, now_ms) {
  const current = device.healthNow(now_ms);
  if (current === null) return el("p", { class: "muted" }, t(device.health === null ? "device.health.none" : "device.health.void"));
  return el(
    "ul",
    { class: "plain" },
    ...current.checks.map((check) =>
      el(
        "li",
        { class: `check ${check.state}` },
        el("b", {}, `${has(`part.${check.name}`) ? t(`part.${check.name}`) : check.name}: ${has(`check.${check.state}`) ? t(`check.${check.state}`) : check.state}`),
        check.message ? el("span", { lang: "en" }, ` ${check.message} ${check.remedy}`) : null,
        check.code ? el("code", {}, ` ${check.code}`) : null,
      ),
    ),
  );
}

function latencies({ metrics }) {
  if (metrics === null || metrics.latency_ms.length === 0) return el("p", { class: "muted" }, "–");
  const rows = metrics.latency_ms.map(([stage, { p50_ms, p95_ms, p99_ms }]) => [
    stage, orDash(p50_ms), orDash(p95_ms), orDash(p99_ms),
  ]);
  return table([t("latency.stage"), t("latency.p50"), t("latency.p95"), t("latency.p99")], rows, t("device.latency"));
}

function refusals(device, at_ms) {
  const [day, outcomes] = [device.refusals.totals(at_ms), device.outcomes.totals(at_ms)];
  const since = [...(device.metrics?.reasons_count ?? new Map())].sort(([, a], [, b]) => b - a);
  const all = outcomes.reduce((sum, [, count]) => sum + count, 0);
  return el(
    "div",
    { class: "stack" },
    el("p", {}, `${t("device.refusals.day")} ${outcomes.map(([name, count]) => `${outcomeWords(name)} ${whole(count)} (${percent(count / all)})`).join(", ") || "–"}`),
    countBars(day, reasonWords),
    el("h4", {}, t("device.refusals.since")),
    since.length === 0 ? el("p", { class: "muted" }, "–") : countBars(since, reasonWords),
  );
}

let drawn = "";

/** What is open or focused stays so: the page is only made anew when its content has changed. */
export function draw({ fleet, context, place }) {
  const key = place.join("/");
  const device = fleet.devices.get(key);
  byId("device-heading").textContent = place.join(" / ");
  const { now_ms, at_ms } = context;
  const parts = device === undefined ? { unknown: el("p", {}, t("device.none")) } : {
    marks: el("p", { class: "marks" }, ...marks(device)),
    needs: el("ul", { class: "plain", "data-testid": "findings" }, ...findings(device, now_ms).map(findingItem)),
    about: card("device.about", about(device, now_ms)),
    refusals: card("device.refusals", refusals(device, at_ms)),
    health: card("device.health", health(device, now_ms)),
    latency: card("device.latency", latencies(device)),
    readings: card("device.newest", table(Object.values(READING_HEADS).map((name) => t(name)), device.readings.newest().map(readingCells), t("device.newest"))),
    reports: card("device.reports", el("ul", { class: "plain" }, ...fleet.reports.newest(20, (each) => each.device.key === key).map(reportLine))),
    events: card("device.events", el("ul", { class: "plain" }, ...device.events.newest().map(({ at, kind, message }) =>
      el("li", {}, el("time", {}, orDash(at, when)), ` ${kind} `, el("span", { lang: "en" }, message))))),
  };
  const body = byId("device-body");
  if (drawn !== key + document.documentElement.lang) body.replaceChildren();
  drawn = key + document.documentElement.lang;
  const now = new Map([...body.children].map((node) => [node.dataset.part, node]));
  for (const [name, node] of Object.entries(parts)) {
    node.dataset.part = name;
    const before = now.get(name);
    now.delete(name);
    if (before === undefined) body.append(node);
    else if (!before.isEqualNode(node) && !before.contains(document.activeElement)) before.replaceWith(node);
  }
  for (const node of now.values()) node.remove();
}

function card(title, content) {
  return el("section", { class: "card" }, el("h3", {}, t(title)), content);
}
