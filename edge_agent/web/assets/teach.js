// Teaching this microscope: labels, the accuracy so far, fitting a head, and using it.

import { byId, el, number, percent, show, svg } from "./dom.js";
import { has, t } from "./i18n.js";
import { command, get, send } from "./api.js";
import { allow, onPress } from "./actions.js";
import { store } from "./store.js";

const POLL_MS = 1500;
const PLOT = { width: 480, height: 190, left: 42, right: 10, top: 10, bottom: 34 };

let timer = null;
let state = null;
let chosen = null;
/** The bundle and labels that a measurement was asked for last, so that a failed one is not asked for again. */
let asked = "";

const teachable = () => state.sets.find((each) => each.name === chosen) ?? state.sets[0];
const labelName = (code) => teachable().labels.find((each) => each.code === code)?.name ?? code;
const isFitting = () => state.state === "running" && state.mode === "head";
const possible = () => teachable().labels.filter((each) => each.labelled_count >= state.min_images_count).length >= 2;

/** The accuracy with its interval over the number of labels. */
function plot(figures) {
  const { width, height, left, right, top, bottom } = PLOT;
  const sorted = [...new Map(figures.map((each) => [each.images_count, each])).values()].sort(
    (one, other) => one.images_count - other.images_count,
  );
  const most = Math.max(...sorted.map((each) => each.images_count));
  const lowest = Math.min(0.5, ...sorted.map((each) => Math.floor(each.low_ratio * 10) / 10));
  const x = (count) => left + ((width - left - right) * count) / most;
  const y = (ratio) => top + ((height - top - bottom) * (1 - ratio)) / (1 - lowest);
  const at = (count, ratio) => `${x(count).toFixed(1)},${y(ratio).toFixed(1)}`;
  const steps = [1, (1 + lowest) / 2, lowest];
  const last = sorted.at(-1);
  const words = { accuracy: percent(last.accuracy_ratio, 0), count: number(last.images_count, 0) };
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, class: "plot", role: "img", "aria-label": t("teach.plot", words) },
    ...steps.flatMap((ratio) => [
      svg("line", { class: "grid", x1: left, x2: width - right, y1: y(ratio), y2: y(ratio) }),
      svg("text", { x: left - 6, y: y(ratio) + 4, "text-anchor": "end" }, percent(ratio, 0)),
    ]),
    svg("text", { x: left, y: height - 14 }, number(0, 0)),
    svg("text", { x: width - right, y: height - 14, "text-anchor": "end" }, number(most, 0)),
    svg("text", { x: (left + width - right) / 2, y: height - 14, "text-anchor": "middle" }, t("teach.plot.axis")),
    svg("polygon", {
      class: "band",
      points: [
        ...sorted.map((each) => at(each.images_count, each.high_ratio)),
        ...sorted.toReversed().map((each) => at(each.images_count, each.low_ratio)),
      ].join(" "),
    }),
    svg("polyline", {
      class: "line",
      points: sorted.map((each) => at(each.images_count, each.accuracy_ratio)).join(" "),
    }),
    ...sorted.map((each) =>
      svg("circle", { class: "dot", r: 3.5, cx: x(each.images_count), cy: y(each.accuracy_ratio) }),
    ),
    // A single interval would be a line without width.
    ...sorted.map((each) =>
      svg("line", {
        class: "line",
        x1: x(each.images_count),
        x2: x(each.images_count),
        y1: y(each.low_ratio),
        y2: y(each.high_ratio),
      }),
    ),
  );
}

function drawCounts() {
  const found = teachable();
  const select = byId("teach-set");
  if (document.activeElement !== select) {
    select.replaceChildren(...state.sets.map((each) => el("option", { value: each.name }, each.name)));
    select.value = found.name;
  }
  show(byId("teach-set-row"), state.sets.length > 1);
  byId("teach-counts").replaceChildren(
    ...found.labels.map((label) => {
      const more = label.needed_count - label.labelled_count;
      const counts = { count: number(label.labelled_count, 0), needed: number(label.needed_count, 0), more: number(more, 0) };
      return el(
        "li",
        {},
        el("span", {}, label.name),
        el("span", { class: more > 0 ? "muted" : "enough" }, more > 0 ? t("teach.count.more", counts) : t("teach.count.enough", counts)),
        el("progress", { max: label.needed_count, value: Math.min(label.labelled_count, label.needed_count), "aria-label": label.name }),
      );
    }),
  );
  byId("teach-disputed").textContent = t("teach.disputed", { count: number(found.disputed_count, 0) });
  show(byId("teach-disputed"), found.disputed_count > 0);
}

function drawFigure() {
  const figures = state.label_set === teachable().name ? state.figures : [];
  const last = figures.at(-1);
  show(byId("teach-figure"), last !== undefined);
  show(byId("teach-figure-none"), last === undefined);
  const least = number(state.min_images_count, 0);
  byId("teach-figure-none").textContent = possible() ? t("teach.figure.waiting") : t("teach.figure.few", { least });
  if (last === undefined) return;
  byId("teach-accuracy").textContent = percent(last.accuracy_ratio, 0);
  byId("teach-interval").textContent = t("teach.figure.interval", {
    low: percent(last.low_ratio, 0),
    high: percent(last.high_ratio, 0),
  });
  byId("teach-figure-of").textContent = t("teach.figure.of", { count: number(last.images_count, 0) });
  byId("teach-plot").replaceChildren(plot(figures));
  byId("teach-classes").replaceChildren(
    ...last.classes.flatMap((each) => [
      el("dt", {}, labelName(each.code)),
      el("dd", {}, t("teach.class", { share: percent(each.accuracy_ratio, 0), count: number(each.images_count, 0) })),
    ]),
  );
}

/** What keeps a fit from beginning; empty if nothing does. */
function obstacle() {
  if (!state.enabled) return t("teach.not_enabled");
  if (!state.installed) return t("teach.not_installed");
  if (isFitting()) return t("teach.running");
  return possible() ? "" : t("teach.few", { least: number(state.min_images_count, 0) });
}

function drawFit() {
  const fitting = isFitting();
  const name = byId("teach-name");
  if (!name.value) name.value = state.suggested_name;
  byId("teach-start").dataset.obstacle = obstacle();
  show(byId("teach-cancel"), fitting);
  show(byId("teach-progress-row"), fitting);
  byId("teach-progress").value = state.progress_ratio;
  const stage = `teach.stage.${state.stage}`;
  byId("teach-stage").textContent = has(stage) ? t(`teach.stage.${state.stage}`) : t("teach.stage.working");
  const place = byId("teach-message");
  if (state.error !== null) {
    const words = [state.error.message, state.error.remedy].filter(Boolean).join(" ");
    if (place.textContent !== words) place.replaceChildren(el("p", { class: "refusal", role: "alert" }, words));
  } else if (place.querySelector(".refusal") !== null && state.state === "running") place.replaceChildren();
}

function drawHead() {
  const head = state.head;
  show(byId("teach-head"), head !== null);
  show(byId("teach-head-none"), head === null);
  if (head === null) return;
  byId("teach-head-name").textContent = t("teach.head", head);
  byId("teach-verdict").textContent = head.provisional ? t("teach.head.provisional") : t("teach.head.ready");
  byId("teach-verdict").className = head.provisional ? "provisional" : "ready";
  byId("teach-reasons").replaceChildren(...head.reasons.map((each) => el("li", {}, each)));
  show(byId("teach-reasons"), head.provisional);
  const labels = head.labels.join(", ");
  const share = head.own_refused_ratio;
  byId("teach-answers").textContent =
    share === null ? t("teach.answers", { labels }) : t("teach.answers.refused", { labels, share: percent(share, 0) });
  show(byId("teach-answers"), !head.provisional);
  byId("teach-activate").dataset.obstacle = head.provisional ? t("teach.provisional") : "";
}

function mistake({ item, label, said }) {
  const words = { label: labelName(label), said: labelName(said) };
  return el(
    "li",
    {},
    el(
      "a",
      { href: `#/label/${item}` },
      store.may("work")
        ? el("img", { src: `/collection/items/${item}.jpg`, alt: t("teach.mistake.picture", words), loading: "lazy" })
        : null,
      el("span", {}, t("teach.mistake", words)),
    ),
  );
}

let drawnReport = "";

function drawReport() {
  const report = state.report;
  const any =
    report !== null &&
    (report.more_brings_little || report.advice.length + report.mistakes.length + report.warnings.length > 0);
  show(byId("teach-report"), any);
  const now = JSON.stringify([report, document.documentElement.lang]);
  // Pictures would flicker.
  if (!any || now === drawnReport) return;
  drawnReport = now;
  byId("teach-warnings").replaceChildren(...report.warnings.map((each) => el("li", { class: "caution" }, each)));
  byId("teach-advice").replaceChildren(
    ...report.advice.map(({ code, more_count: more, accuracy_ratio: ratio }) => {
      const words = { count: number(more, 0), accuracy: percent(ratio, 0) };
      return el("li", {}, code === null ? t("teach.advice.every", words) : t("teach.advice", { ...words, label: labelName(code) }));
    }),
  );
  if (report.more_brings_little) byId("teach-advice").replaceChildren(el("li", {}, t("teach.advice.little")));
  byId("teach-mistakes").replaceChildren(...report.mistakes.map(mistake));
  show(byId("teach-warnings"), report.warnings.length > 0);
  show(byId("teach-advice"), report.advice.length > 0 || report.more_brings_little);
  show(byId("teach-mistakes-part"), report.mistakes.length > 0);
}

function draw() {
  if (state === null) return;
  show(byId("teach-off"), !state.keeps_frames);
  show(byId("teach-desk"), state.keeps_frames);
  if (!state.keeps_frames) return;
  drawCounts();
  drawFigure();
  drawFit();
  drawHead();
  drawReport();
  allow();
}

/** Ask for the accuracy with the labels so far, once for each number of them. */
async function measure() {
  const found = teachable();
  const labels = JSON.stringify([state.bundle, found.name, found.labels.map((each) => each.labelled_count)]);
  if (!state.enabled || !state.installed || !state.keeps_frames || !store.may("work")) return;
  if (state.state === "running" || !possible() || labels === asked) return;
  asked = labels;
  state = await send("POST", "/teaching/figure", { set: found.name });
}

async function refresh() {
  state = await get("/teaching");
  await measure();
  draw();
}

export function close() {
  clearTimeout(timer);
  timer = null;
}

export async function open() {
  close();
  asked = "";
  // Whoever leaves the view meanwhile must not come back to two timers.
  const mine = (timer = setTimeout(() => {}, 0));
  try {
    await refresh();
  } finally {
    const again = async () => {
      await refresh().catch(() => {});
      if (timer !== null) timer = setTimeout(again, POLL_MS);
    };
    if (timer === mine) timer = setTimeout(again, POLL_MS);
  }
}

export function start() {
  byId("teach-set").addEventListener("change", (event) => {
    chosen = event.target.value;
    refresh().catch(() => {});
  });
  onPress(byId("teach-start"), async () => {
    await command("adapt", { label_set: teachable().name, name: byId("teach-name").value });
    await refresh();
    return t("teach.started");
  });
  onPress(byId("teach-cancel"), async () => {
    await command("cancel-adaptation");
    await refresh();
    return t("teach.cancelled");
  });
  onPress(byId("teach-activate"), async () => {
    const { bundle, name, version } = state.head;
    await command("select-model", { model: bundle, head: `${name}@${version}` });
    return t("teach.activated", { name });
  });
  store.on("language session", draw);
}
