// One reading: its picture, what it says, and why.

import { ago, byId, clock, el, number, percent, show } from "./dom.js";
import { t } from "./i18n.js";
import { get } from "./api.js";
import { store } from "./store.js";
import { outdated } from "./banners.js";
import { cropsAddress, describeCells, judged, layer } from "./cells.js";
import { differenceWords, explain, heading, score } from "./words.js";

/** The field with its layers, loaded before it is returned; null without a picture. */
export async function loadPicture(details) {
  const { result, picture } = details;
  if (picture === null) return null;
  const load = async (name, alt) => {
    const image = new Image(picture.width_px, picture.height_px);
    image.alt = alt;
    image.src = `/readings/${result.id}/${name}`;
    await image.decode();
    return image;
  };
  const crops = cropsAddress(details) === null ? null : load("cells.jpg", "");
  const names = picture.has_evidence ? ["nuclei", "evidence"] : ["nuclei"];
  const [field, ...overlays] = await Promise.all([
    load("field.jpg", t("reading.picture", { seq: result.seq })),
    ...names.map((name) => load(`${name}.png`, "")),
  ]);
  names.forEach((name, index) => {
    overlays[index].dataset.layer = name;
    overlays[index].className = "layer";
  });
  // The browser keeps it for the words that show its parts.
  await crops;
  return el("div", { class: "field-picture", "data-reading": result.id }, field, ...overlays, layer(details));
}

function bar(share, limit, name) {
  const box = el("div", { class: "score" });
  const fill = el("span", { class: "fill" });
  const mark = el("span", { class: "limit", title: name });
  fill.style.width = `${100 * Math.min(1, share)}%`;
  mark.style.left = `${100 * Math.min(1, limit)}%`;
  box.append(fill, mark);
  return box;
}

function scoreLine(details) {
  const found = score(details.result, details.quality_limits);
  if (found === null) return null;
  const top = 1.25 * Math.max(found.value, found.limit) || 1;
  const words = t(found.atLeast ? "reading.score.least" : "reading.score.most", {
    name: found.name,
    value: number(found.value),
    limit: number(found.limit),
  });
  return el("div", { class: "why-score" }, el("p", {}, words), bar(found.value / top, found.limit / top, words));
}

function differences(result) {
  if (!result.differs) return null;
  if (result.differs.length === 0) return el("p", {}, t("reading.differs.nothing"));
  return el(
    "ul",
    { class: "differs" },
    ...result.differs.map((each) =>
      el("li", {}, el("b", {}, `${t(`reading.differs.${each.aspect}`)}: `), differenceWords(each)),
    ),
  );
}

function probabilities({ result, labels }) {
  if (result.probabilities === null) return null;
  const rows = Object.entries(result.probabilities).map(([code, ratio]) => {
    const label = labels.find((each) => each.code === code);
    const name = label?.display_name ?? code;
    const kind = label?.malignant ? t("reading.malignant") : t("reading.benign");
    const fill = el("span", { class: "fill" });
    fill.style.width = percentWidth(ratio);
    return el(
      "tr",
      { class: label?.malignant ? "malignant" : "benign", title: label?.meaning },
      el("th", { scope: "row" }, name, el("small", {}, kind)),
      el("td", { "aria-hidden": "true" }, el("div", { class: "bar" }, fill)),
      el("td", { class: "value" }, percent(ratio)),
    );
  });
  return el(
    "table",
    { class: "probabilities" },
    el("caption", {}, t("reading.probabilities")),
    el("tbody", {}, ...rows),
  );
}

const percentWidth = (ratio) => `${(100 * ratio).toFixed(1)}%`;

/** The cells model that judged beside the model of the field; null if there was none. */
function besideModel({ model, differential }) {
  const beside = differential?.model;
  return beside && beside.sha256 !== model.sha256 ? `${beside.name} ${beside.version}` : null;
}

function facts({ result }) {
  const scale = result.scale?.um_per_pixel;
  const pairs = [
    ["fact.cells", result.nuclei === null ? null : number(result.nuclei.count, 0)],
    ["fact.malignant", result.malignant_ratio === null ? null : percent(result.malignant_ratio)],
    ["fact.captured", clock(result.captured_at)],
    ["fact.reading", `${result.seq}`],
    [
      "fact.slide",
      result.specimen && `${result.specimen.id} / ${result.specimen.slide}, ${t("fact.field")} ${result.specimen.field}`,
    ],
    ["fact.scale", scale ? `${number(scale, 3)} µm/px` : null],
    ["fact.time", `${number(result.latency_ms.total, 1)} ms`],
    ["fact.model", `${result.model.name} ${result.model.version}`],
    ["fact.cells_model", besideModel(result)],
  ];
  return el(
    "dl",
    { class: "facts" },
    ...pairs.filter(([, value]) => value).flatMap(([key, value]) => [el("dt", {}, t(key)), el("dd", {}, value)]),
  );
}

/** What a reading says in a few words: outcome, reason, and what to do. */
export function summarise({ result, labels }) {
  const [sentence, step] = explain(result);
  const malignant = result.malignant === true;
  const repeats = result.specimen?.repeats_field;
  return [
    el(
      "p",
      { class: `outcome ${result.outcome}${malignant ? " malignant" : ""}`, "data-testid": "outcome" },
      el("span", {}, heading(result, labels)),
      result.outcome === "classified"
        ? el("small", {}, t(malignant ? "reading.malignant.class" : "reading.benign.class"))
        : null,
    ),
    repeats ? el("p", { class: "caution", "data-testid": "repeats" }, t("reading.repeats", { field: repeats })) : null,
    sentence ? el("p", { class: "sentence", "data-testid": "sentence" }, sentence) : null,
    step ? el("p", { class: "step", "data-testid": "step" }, step) : null,
  ].filter((part) => part !== null);
}

/** The figures of a reading: what decided, what is how probable, and when and how it was made. */
export function describe(details) {
  const { result } = details;
  return [
    scoreLine(details),
    differences(result),
    describeCells(details),
    probabilities(details),
    facts(details),
  ].filter((part) => part !== null);
}

let newest = null;
let loading = false;

/** Show a result once its own picture is loaded. Of several that come meanwhile, only the newest is shown. */
export async function offer(result) {
  newest = result;
  if (loading) return;
  loading = true;
  try {
    while (newest !== null) {
      const { id } = newest;
      newest = null;
      try {
        const details = await get(`/readings/${id}`);
        present(details, await loadPicture(details));
      } catch {
        // It is no longer kept, or the device cannot be reached: the next one will be shown.
      }
    }
  } finally {
    loading = false;
  }
}

let spoken = null;

function present(details, picture) {
  const section = byId("reading");
  section.dataset.reading = details.result.id;
  byId("reading-picture").replaceChildren(...(picture === null ? [] : [picture]));
  drawWords(details);
  show(byId("reading-waiting"), false);
  show(byId("layer-cells"), judged(details));
  store.set("shown", details);
  const said = heading(details.result, details.labels) + explain(details.result)[0];
  if (said !== spoken) {
    spoken = said;
    byId("announcer").textContent = [heading(details.result, details.labels), ...explain(details.result)].join(" ");
  }
}

function drawWords(details) {
  byId("reading-summary").replaceChildren(...summarise(details));
  byId("reading-words").replaceChildren(...describe(details));
}

function drawAge() {
  const section = byId("reading");
  const why = outdated();
  section.classList.toggle("outdated", why !== null);
  const badge = byId("reading-age");
  if (store.shown === null) return show(badge, false);
  const captured_at = store.shown.result.captured_at;
  const age_s = Math.max(0, (store.now_ms() - Date.parse(captured_at)) / 1000);
  badge.textContent =
    why === null
      ? ago(age_s)
      : t(`reading.outdated.${why}`, { time: clock(captured_at) });
  return show(badge, true);
}

export function start() {
  store.on("tick state connected shown", drawAge);
  store.on("language", () => {
    if (store.shown !== null) drawWords(store.shown);
    drawAge();
  });
  addEventListener("layers", (event) => {
    for (const [name, on] of Object.entries(event.detail)) {
      document.body.classList.toggle(`hide-${name}`, !on);
    }
  });
}
