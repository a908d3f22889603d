"use strict";

const PERIOD_MS = 500;
const byId = (id) => document.getElementById(id);
let shown = null;

const percent = (ratio) => `${(100 * ratio).toFixed(1)} %`;

function row(cells) {
  const line = document.createElement("tr");
  for (const cell of cells) {
    const box = document.createElement("td");
    box.append(cell);
    line.append(box);
  }
  return line;
}

function meter(ratio) {
  const bar = document.createElement("meter");
  bar.max = 1;
  bar.value = ratio;
  return bar;
}

function details(pairs) {
  const list = byId("details");
  list.replaceChildren();
  for (const [name, value] of pairs) {
    if (value === null || value === undefined) continue;
    const term = document.createElement("dt");
    const text = document.createElement("dd");
    term.textContent = name;
    text.textContent = value;
    list.append(term, text);
  }
}

function show(result) {
  byId("demonstration").hidden = !result.demonstration;
  byId("outcome").textContent = result.label ?? result.outcome;
  const reason = result.reason ?? result.error?.code ?? "";
  byId("why").textContent = result.error ? `${reason}: ${result.error.message} ${result.error.remedy}` : reason;
  const table = byId("probabilities");
  const classes = Object.entries(result.probabilities ?? {});
  table.hidden = classes.length === 0;
  table.tBodies[0].replaceChildren(...classes.map(([label, ratio]) => row([label, meter(ratio), percent(ratio)])));
  details([
    ["malignant", result.malignant_ratio === null ? null : percent(result.malignant_ratio)],
    ["nuclei", result.nuclei && `${result.nuclei.count}, ${result.nuclei.coverage_pct} % of the field`],
    ["focus", result.quality?.focus_score],
    ["time", `${result.latency_ms.total} ms`],
    ["taken", new Date(result.captured_at).toLocaleTimeString()],
    ["reading", result.seq],
    ["model", `${result.model.name} ${result.model.version}`],
    ["source", result.source],
  ]);
  const picture = byId("field");
  picture.hidden = result.quality === null;
  if (result.quality !== null) picture.src = `field.jpg?${result.id}`;
}

async function refresh() {
  try {
    const answer = await fetch("reading.json");
    if (answer.status === 200) {
      const result = await answer.json();
      if (result.id !== shown) {
        shown = result.id;
        show(result);
      }
    }
    byId("lost").hidden = true;
  } catch {
    byId("lost").hidden = false;
  }
  setTimeout(refresh, PERIOD_MS);
}

refresh();
