// States, readings and findings in words. What a device says of itself is English.

import { number, span, whole } from "./format.js";
import { has, t } from "./i18n.js";

const known = (key, otherwise) => (has(key) ? t(key) : otherwise);

export const stateWords = (state) => (state === null ? t("state.unknown") : known(`state.${state}`, state));

export const reasonWords = (reason) => known(`reason.${reason}.short`, reason);

/** What was seen, and what to do about it; the code where it is of a later release. */
export const reasonSentences = (reason) => [
  known(`reason.${reason}.sentence`, reason),
  known(`reason.${reason}.next_step`, ""),
];

export const outcomeWords = (outcome) => known(`outcome.${outcome}`, outcome);

/** The outcome of a reading in a few words. */
export function readingWords({ outcome, label, reason, errorCode }) {
  if (outcome === "classified" && label !== null) return label;
  const why = reason === null ? errorCode : reasonWords(reason);
  return why === null ? outcomeWords(outcome) : `${outcomeWords(outcome)}: ${why}`;
}

export function modelWords(model) {
  if (model === null) return "–";
  const head = model.head === null ? "" : ` + ${model.head} ${model.headVersion ?? ""}`;
  return `${model.name} ${model.version ?? ""}${head}`.trim();
}

/** A finding as {text, remedy, language, code}. */
export function findingWords({ code, own, ...values }) {
  const said = {
    count: whole(values.count ?? 0),
    waiting: whole(values.waiting_count ?? 0),
    age: values.oldest_age_s == null ? "–" : span(values.oldest_age_s),
    span: span(Math.abs(values.ahead_ms ?? 0) / 1000),
    part: known(`part.${values.part}`, values.part ?? ""),
    name: values.name ?? "",
    reason: values.reason === undefined ? "" : reasonSentences(values.reason)[0],
    next_step: values.reason === undefined ? "" : reasonSentences(values.reason)[1],
  };
  const variant = { backlog: values.growing ? ".growing" : "", clock: clockVariant(values, own), roll_out: `.${values.state}` };
  const text = t(`finding.${code}${variant[code] ?? ""}`, said);
  const remedy = known(`finding.${code}.remedy`, "") && t(`finding.${code}.remedy`, said);
  return { text, remedy, own: own ? [own.message, own.remedy].filter(Boolean).join(" ") : "", errorCode: own?.code ?? "" };
}

function clockVariant({ ahead_ms }, own) {
  if (own !== undefined) return "";
  return ahead_ms > 0 ? ".ahead" : ".behind";
}

export const latencyWords = (latency_ms) => (latency_ms === null ? "–" : `${number(latency_ms)} ms`);
