// A candidate that judges beside the model in use: started, compared, stopped, or put to use.

import { byId, el, number, percent, show } from "./dom.js";
import { t } from "./i18n.js";
import { command } from "./api.js";
import { onPress } from "./actions.js";
import { listedModel } from "./device.js";
import { store } from "./store.js";

/** The bundle's name and version, and the head's where one judges. */
const modelName = ({ name, version, head }) => (head ? `${head.name} ${head.version} (${name})` : `${name} ${version}`);

/** The one of several bundles or heads with that name and version. */
const same = (options, { name, version }) => options.find((each) => each.name === name && each.version === version);

/** What a command calls that model: the references of bundle and head among those that can be chosen. */
function chosen(model) {
  const bundle = same(store.state.models, model);
  const head = model.head && bundle ? same(bundle.heads, model.head) : null;
  return { model: bundle?.reference ?? model.name, head: model.head ? (head?.reference ?? model.head.name) : null };
}

function agreement(figures) {
  if (figures.agreement_ratio === null) return t("shadow.nothing");
  return t("shadow.agreement.of", {
    share: percent(figures.agreement_ratio),
    low: percent(figures.agreement_low_ratio),
    high: percent(figures.agreement_high_ratio),
    count: number(figures.compared_count, 0),
  });
}

const refused = (count, figures) => t("shadow.refused.of", { count: number(count, 0), all: number(figures.compared_count, 0) });

function facts({ figures }) {
  const pairs = [
    ["shadow.candidate", modelName(figures.model)],
    ["shadow.agreement", agreement(figures)],
    ["shadow.refused.active", refused(figures.active_refused_count, figures)],
    ["shadow.refused.candidate", refused(figures.candidate_refused_count, figures)],
  ];
  if (figures.labels_comparable) pairs.push(["shadow.other_label", number(figures.other_label_count, 0)]);
  if (figures.latency_ms !== null) {
    const { p50_ms: half, p95_ms: most } = figures.latency_ms;
    pairs.push(["shadow.time", t("shadow.time.of", { half: number(half, 0), most: number(most, 0) })]);
  }
  pairs.push(["shadow.passed_over", number(figures.passed_over_count, 0)]);
  if (figures.failures_count > 0) pairs.push(["shadow.failures", number(figures.failures_count, 0)]);
  return pairs.flatMap(([key, value]) => [el("dt", {}, t(key)), el("dd", {}, value)]);
}

function draw() {
  const shadow = store.state?.shadow ?? null;
  show(byId("shadow"), shadow !== null);
  if (shadow === null) return;
  const { figures, end } = shadow;
  byId("shadow-facts").replaceChildren(...facts(shadow));
  const notes = [
    end === null ? t("shadow.since") : t(`shadow.end.${end}`, { failure: shadow.last_failure ?? "" }),
    figures.labels_comparable === false ? t("shadow.other_labels") : "",
    figures.provisional ? t("shadow.provisional") : "",
    t("shadow.not_truth"),
  ];
  byId("shadow-notes").replaceChildren(...notes.filter(Boolean).map((note) => el("p", { class: "muted" }, note)));
}

export function start() {
  onPress(byId("shadow-start"), async () => {
    const { shadow } = await command("shadow-model", listedModel());
    return t("shadow.started", { model: modelName(shadow) });
  });
  onPress(byId("shadow-stop"), async () => {
    await command("shadow-model", { model: null });
    return t("shadow.stopped");
  });
  onPress(byId("shadow-use"), async () => {
    const { model } = store.state.shadow.figures;
    await command("select-model", chosen(model));
    await command("shadow-model", { model: null });
    return t("device.chosen", { model: modelName(model) });
  });
  store.on("state language", draw);
}
