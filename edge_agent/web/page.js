"use strict";

const PERIOD_MS = 500;
const byId = (id) => document.getElementById(id);
let shown = null;
let reasons = null;

const OUTCOMES = {
  abstained: "No label",
  rejected: "Not fit to be judged",
  failed: "Not read",
};

const percent = (ratio) => `${(100 * ratio).toFixed(1)} %`;

function cell(kind, content) {
  const box = document.createElement(kind);
  box.append(content);
  return box;
}

function row(label, ratio) {
  const bar = document.createElement("meter");
  bar.max = 1;
  bar.value = ratio;
  bar.setAttribute("aria-label", label);
  const line = document.createElement("tr");
  const name = cell("th", label);
  name.scope = "row";
  line.append(name, cell("td", bar), cell("td", percent(ratio)));
  return line;
}

function details(pairs) {
  const list = byId("details");
  list.replaceChildren();
  for (const [name, value] of pairs) {
    if (value === null || value === undefined) continue;
    list.append(cell("dt", name), cell("dd", value));
  }
}

// The picture of this very reading, loaded before anything is shown, so that picture and label always belong together.
async function loadField(result) {
  if (result.quality === null) return null;
  const picture = new Image(448, 448);
  picture.id = "field";
  picture.alt = `Field of reading ${result.seq} with its nuclei outlined`;
  if (result.label !== null) picture.alt += `, tinted where there is more evidence for ${result.label} than on average`;
  picture.src = `field.jpg?id=${encodeURIComponent(result.id)}`;
  try {
    await picture.decode();
  } catch {
    return null;
  }
  return picture;
}

// What was seen, and what to do about it.
function words(result) {
  if (result.error) return [`${result.error.message} (${result.error.code})`, result.error.remedy];
  if (!result.reason) return ["", ""];
  const known = reasons[result.reason];
  return known ? [known.sentence, known.next_step] : [result.reason, ""];
}

function show(result, picture) {
  byId("demonstration").hidden = !result.demonstration;
  byId("provisional").hidden = !result.provisional;
  byId("outcome").textContent = result.label ?? OUTCOMES[result.outcome] ?? result.outcome;
  [byId("why").textContent, byId("next-step").textContent] = words(result);
  const table = byId("probabilities");
  const classes = Object.entries(result.probabilities ?? {});
  table.hidden = classes.length === 0;
  table.tBodies[0].replaceChildren(...classes.map(([label, ratio]) => row(label, ratio)));
  details([
    ["malignant", result.malignant_ratio === null ? null : percent(result.malignant_ratio)],
    ["nuclei", result.nuclei && `${result.nuclei.count}, covering ${result.nuclei.coverage_pct} % of the field`],
    ["focus score", result.quality?.focus_score],
    ["analysis time", `${result.latency_ms.total} ms`],
    ["captured at", new Date(result.captured_at).toLocaleTimeString()],
    ["reading", result.seq],
    ["model", `${result.model.name} ${result.model.version}`],
    ["source", result.source],
  ]);
  // Only a label is explained.
  byId("legend").hidden = picture === null || result.label === null;
  byId("explained").textContent = result.label ?? "";
  if (picture === null) {
    byId("field").hidden = true;
  } else {
    byId("field").replaceWith(picture);
  }
}

async function refresh() {
  try {
    reasons ??= await (await fetch("reasons.json")).json();
    const answer = await fetch("reading.json");
    if (answer.status === 200) {
      const result = await answer.json();
      if (result.id !== shown) {
        show(result, await loadField(result));
        shown = result.id;
      }
    }
    byId("lost").hidden = answer.ok;
  } catch {
    byId("lost").hidden = false;
  }
  setTimeout(refresh, PERIOD_MS);
}

refresh();
