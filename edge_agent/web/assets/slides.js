// Reports of finished slides.

import { byId, day, el, number } from "./dom.js";
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

function row(report) {
  return el(
    "li",
    { class: "card", "data-testid": "report" },
    el("h3", {}, t("slide.name", { id: report.specimen.id, slide: report.specimen.slide })),
    el("p", { class: "muted" }, `${day(report.began_at)} – ${day(report.finished_at)}`),
    report.statement ? el("p", {}, report.statement) : el("p", {}, number(report.readings_count, 0)),
    reportLinks(report.id),
  );
}

export async function open() {
  const { reports } = await get(`/slides?language=${document.documentElement.lang}`);
  byId("reports").replaceChildren(...reports.map(row));
  byId("reports-none").hidden = reports.length > 0;
}
