// Pieces that several views draw.

import { el } from "../../../edge_agent/web/assets/dom.js";
import { number, percent, when, whole } from "./format.js";
import { t } from "./i18n.js";
import { findingWords, latencyWords, outcomeWords, readingWords, reasonWords, stateWords } from "./words.js";

export const deviceLink = ({ key, site, name }) => el("a", { href: `#/device/${key}` }, `${site} / ${name}`);

/** Only changes what has changed: a node that is written anew is laid out anew. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function stateChip(state) {
  return el("span", { class: `chip ${state ?? "unknown"}` }, stateWords(state));
}

export function marks(device) {
  return [
    device.demonstration() ? el("span", { class: "mark" }, t("mark.demonstration")) : null,
    device.provisional() ? el("span", { class: "mark" }, t("mark.provisional")) : null,
  ].filter((each) => each !== null);
}

export function findingItem(finding) {
  const { text, remedy, own, errorCode } = findingWords(finding);
  return el(
    "li",
    { class: `finding ${finding.level}`, "data-code": finding.code },
    el("strong", {}, text),
    remedy ? el("span", {}, ` ${remedy}`) : null,
    own ? el("span", { class: "own", lang: "en" }, ` ${own}`) : null,
    errorCode ? el("code", {}, errorCode) : null,
  );
}

export function facts(pairs) {
  return el(
    "dl",
    { class: "facts" },
    ...pairs.flatMap(([key, value]) => [el("dt", {}, t(key)), el("dd", {}, value instanceof Node ? value : String(value))]),
  );
}

export function table(heads, rows, caption) {
  return el(
    "div",
    { class: "wide", tabIndex: 0, role: "region", "aria-label": caption },
    el(
      "table",
      { class: "grid" },
      el("caption", { class: "unseen" }, caption),
      el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head)))),
      el("tbody", {}, ...rows.map((cells) => el("tr", {}, ...cells.map((cell) => el("td", {}, cell))))),
    ),
  );
}

/** What a reading says, as the cells of READING_HEADS. */
export function readingCells(row) {
  return [
    when(row.receivedAt),
    when(row.capturedAt),
    deviceLink(row.device),
    el("span", { class: `outcome-mark ${row.outcome} ${row.malignant ? "malignant" : ""}` }, outcomeWords(row.outcome)),
    row.outcome === "classified" ? (row.label ?? "–") : row.reason === null ? (row.errorCode ?? "–") : reasonWords(row.reason),
    row.malignantRatio === null ? "–" : percent(row.malignantRatio),
    latencyWords(row.latency_ms),
    row.specimen === null ? "–" : `${row.specimen} / ${row.slide ?? "–"}`,
    readingMarks(row),
  ];
}

function readingMarks(row) {
  const found = ["demonstration", "provisional", "replayed"].filter((name) => row[name] === true);
  return found.map((name) => t(`mark.${name}`)).join(", ") || "–";
}

export const READING_HEADS = {
  received: "table.received", captured: "table.captured", device: "table.device", outcome: "table.outcome",
  reason: "table.reason", malignant: "table.malignant", latency: "table.latency", specimen: "table.specimen",
  marks: "table.marks",
};

/** "3 of 20 · blurred 2": how many readings of the day have no label, and the commonest reason. */
export function refusalWords(device, at_ms) {
  const outcomes = device.outcomes.totals(at_ms);
  const all = outcomes.reduce((sum, [, each]) => sum + each, 0);
  if (all === 0) return "–";
  const classified = outcomes.find(([outcome]) => outcome === "classified")?.[1] ?? 0;
  const text = t("overview.refused.of", { count: whole(all - classified), all: whole(all) });
  const [commonest] = device.refusals.totals(at_ms);
  return commonest === undefined ? text : `${text} · ${reasonWords(commonest[0])} ${whole(commonest[1])}`;
}

export function newestWords(device) {
  const newest = device.newest();
  return newest === null ? "–" : `${readingWords(newest)} · ${when(newest.receivedAt ?? newest.capturedAt)}`;
}

/** Counts as bars, the largest first. */
export function countBars(counts, words) {
  const most = Math.max(1, ...counts.map(([, count]) => count));
  return el(
    "ul",
    { class: "plain bars" },
    ...counts.map(([key, count]) =>
      el(
        "li",
        {},
        el("span", {}, words(key)),
        el("span", { class: "value" }, whole(count)),
        el("progress", { max: most, value: count, "aria-label": words(key) }),
      ),
    ),
  );
}

export const orDash = (value, words = number) => (value === null || value === undefined ? "–" : words(value));
