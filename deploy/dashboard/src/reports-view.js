// Reports of finished slides: the list, and one of them with its distribution.

import { byId, el, show } from "../../../edge_agent/web/assets/dom.js";
import { moment, percent, whole } from "./format.js";
import { t } from "./i18n.js";
import { countBars, deviceLink, facts, orDash } from "./parts.js";
import { modelWords, outcomeWords, reasonWords } from "./words.js";

const name = ({ specimen, slide }) => t("report.name", { id: specimen ?? "–", slide: slide ?? "–" });

export function reportLine(report) {
  return el(
    "li",
    { class: "report-line" },
    el("a", { href: `#/report/${report.id}` }, name(report)),
    ` · ${report.device.site} / ${report.device.name} · ${moment(report.finishedAt)}`,
  );
}

export function drawList({ fleet }) {
  const reports = fleet.reports.newest();
  show(byId("reports-none"), reports.length === 0);
  const key = `${reports.length} ${reports[0]?.id} ${document.documentElement.lang}`;
  if (byId("reports").dataset.drawn === key) return;
  byId("reports").dataset.drawn = key;
  byId("reports").replaceChildren(...reports.map(reportLine));
}

function interval({ ratio, low_ratio, high_ratio }) {
  if (ratio === null || low_ratio === null || high_ratio === null) return "–";
  return t("report.interval", { share: percent(ratio), low: percent(low_ratio), high: percent(high_ratio) });
}

/** The share as a bar, and its interval as a line. */
function bar({ ratio, low_ratio, high_ratio, malignant }) {
  const within = (value) => `${100 * Math.min(1, Math.max(0, value ?? 0))}%`;
  const fill = el("span", { class: "fill" });
  fill.style.width = within(ratio);
  const line = el("span", { class: "interval" });
  line.style.left = within(low_ratio);
  line.style.width = within((high_ratio ?? 0) - (low_ratio ?? 0));
  return el("span", { class: `share ${malignant ? "malignant" : ""}`, "aria-hidden": "true" }, fill, line);
}

function distribution(report) {
  if (report.labels.length === 0) return el("p", {}, t("report.no_labels"));
  const rows = report.labels.map((each) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, each.name ?? each.label, each.malignant ? el("small", {}, t("report.malignant_class")) : null),
      el("td", {}, whole(each.fields_count)),
      el("td", {}, bar(each)),
      el("td", { class: "value" }, interval(each)),
    ),
  );
  return el(
    "table",
    { class: "distribution" },
    el("caption", {}, t("report.distribution")),
    el("thead", {}, el("tr", {}, ...["label", "fields", "share", "interval_head"].map((each) => el("th", { scope: "col" }, t(`report.${each}`))))),
    el("tbody", {}, ...rows),
  );
}

function body(report) {
  return [
    report.demonstration ? el("p", { class: "banner note" }, t("report.demonstration")) : null,
    report.provisional ? el("p", { class: "banner note" }, t("report.provisional")) : null,
    el("p", { class: "caution" }, t("report.use")),
    facts([
      ["report.device", deviceLink(report.device)],
      ["report.began", orDash(report.beganAt, moment)],
      ["report.finished", moment(report.finishedAt)],
      ["report.readings", whole(report.readings_count)],
      ["report.judged", report.wished_count === null ? orDash(report.judged_count, whole) : t("report.of", { count: orDash(report.judged_count, whole), all: whole(report.wished_count) })],
      ["report.repeated", orDash(report.repeated_count, whole)],
      ["report.outcomes", report.outcomes_count.map(([each, count]) => `${outcomeWords(each)} ${whole(count)}`).join(", ") || "–"],
      ["report.malignant", report.malignant === null ? "–" : `${whole(report.malignant.fields_count)} · ${interval(report.malignant)}`],
      ["report.model", modelWords(report.model)],
      ["report.models", orDash(report.models_count, whole)],
      ["report.software", orDash(report.software, String)],
    ]),
    distribution(report),
    el("p", { class: "statement" }, t("report.interval_note")),
    report.reasons_count.length === 0 ? null : el("section", {}, el("h3", {}, t("report.refusals")), countBars([...report.reasons_count].sort(([, a], [, b]) => b - a), reasonWords)),
    el("p", {}, el("a", { href: "#/reports" }, t("report.back"))),
  ].filter((each) => each !== null);
}

export function drawOne({ fleet, place }) {
  const [report] = fleet.reports.newest(1, (each) => each.id === place[0]);
  const key = `${place[0]} ${report !== undefined} ${document.documentElement.lang}`;
  if (byId("report-body").dataset.drawn === key) return;
  byId("report-body").dataset.drawn = key;
  byId("report-heading").textContent = report === undefined ? t("nav.report") : name(report);
  byId("report-body").replaceChildren(...(report === undefined ? [el("p", {}, t("report.none"))] : body(report)));
}
