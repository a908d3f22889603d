// Reports of finished slides.

import { byId, day, el, number, percent } from "./dom.js";
import { t } from "./i18n.js";
import { get } from "./api.js";

export function reportLinks(id) {
  const language = document.documentElement.lang;
  const link = (format) =>
    el(
      "a",
      { href: `/slides/${id}.${format}?language=${language}`, download: `report-${id}.${format}` },
      format.toUpperCase(),
    );
  return el(
    "p",
    { class: "links" },
    el("a", { href: `/slides/${id}.pdf?language=${language}`, target: "_blank", rel: "noopener" }, t("slides.open")),
    link("pdf"),
    link("csv"),
    link("json"),
  );
}

/** A count as a share with its interval; null if there was nothing to count. */
function shareWords(count, { ratio, low_ratio, high_ratio }) {
  if (ratio === null) return null;
  const [share, low, high] = [ratio, low_ratio, high_ratio].map((each) => percent(each));
  return t("slides.share", { count: number(count, 0), share, low, high });
}

/** The figures that the statement explains. */
function figures({ judged_count, wished_fields_count, malignant, differential }) {
  const judged =
    wished_fields_count === null
      ? number(judged_count, 0)
      : t("slides.of", { count: number(judged_count, 0), all: number(wished_fields_count, 0) });
  const pairs = [["slides.judged", judged]];
  if (malignant) pairs.push(["slides.malignant", shareWords(malignant.fields_count, malignant)]);
  if (differential) {
    const { blasts } = differential;
    pairs.push(["slides.cells", number(differential.judged_count, 0)]);
    pairs.push(["slides.blasts", shareWords(blasts.cells_count, blasts)]);
  }
  return el("dl", { class: "facts" }, ...pairs.filter(([, value]) => value !== null).flatMap(([key, value]) => [el("dt", {}, t(key)), el("dd", {}, value)]));
}

function row(report) {
  return el(
    "li",
    { class: "card stack", "data-testid": "report" },
    el(
      "div",
      {},
      el("h3", {}, t("slide.name", { id: report.specimen.id, slide: report.specimen.slide })),
      el("p", { class: "muted" }, `${day(report.began_at)} – ${day(report.finished_at)}`),
    ),
    figures(report),
    report.statement ? el("p", { class: "statement" }, report.statement) : null,
    reportLinks(report.id),
  );
}

export async function open() {
  const { reports } = await get(`/slides?language=${document.documentElement.lang}`);
  byId("reports").replaceChildren(...reports.map(row));
  byId("reports-none").hidden = reports.length > 0;
}
