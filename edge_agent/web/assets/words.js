// Outcomes, reasons and labels in words, for every view.

import { number } from "./dom.js";
import { t, has } from "./i18n.js";

let reasons = {};

export function learn(found) {
  reasons = found;
}

/** Every reason that a reading may have. */
export const knownReasons = () => Object.keys(reasons);

/** What was seen, and what to do about it. */
export function explain({ reason, error }) {
  if (error) return [`${error.message} (${error.code})`, error.remedy ?? ""];
  if (!reason) return ["", ""];
  const words = reasons[reason];
  const key = `reason.${reason}`;
  return [
    has(`${key}.sentence`) ? t(`${key}.sentence`) : (words?.sentence ?? reason),
    has(`${key}.next_step`) ? t(`${key}.next_step`) : (words?.next_step ?? ""),
  ];
}

/** How an unfamiliar field differs, and what to check; by its code if it is a measure of a later version. */
export function differenceWords({ measure, direction, ...figures }) {
  if (!has(`differs.${measure}.${direction}`)) return measure;
  const value = figures.value_px ?? figures.value_ratio;
  const median = figures.median_px ?? figures.median_ratio;
  return t(`differs.${measure}.${direction}`, { times: number(Number((value / median).toPrecision(2))) });
}

export function labelName(code, labels) {
  return labels?.find((label) => label.code === code)?.display_name ?? code;
}

/** The outcome as a heading: the label's full name, or why there is none. */
export function heading(result, labels) {
  if (result.outcome === "classified") return labelName(result.label, labels);
  return t(`outcome.${result.outcome}`);
}

/** The limits that a reason may come from, each named after its measure. */
const LIMITS = {
  blurred: ["min_focus_score"],
  moving: ["max_motion_pct"],
  under_exposed: ["min_brightness_pct", "max_clipped_dark_pct"],
  over_exposed: ["max_clipped_nuclei_pct", "max_brightness_pct", "max_clipped_bright_pct"],
  colour_cast: ["max_colour_cast_delta_e"],
  no_colour: ["min_colourfulness_delta_e"],
  empty_field: ["min_foreground_pct"],
  no_nucleated_cells: ["min_coverage_pct"],
};

/** A measure against its limit, if it is what refused the field. */
function beyond(measures, name, limit) {
  const measure = name.slice("min_".length);
  const value = measures[measure] ?? null;
  const atLeast = name.startsWith("min_");
  if (value === null || limit === undefined || (atLeast ? value >= limit : value <= limit)) return null;
  return { name: t(`measure.${measure}`), value, limit, atLeast };
}

/** The score that decided against a reading, and its limit: {name, value, limit, atLeast}, or null. */
export function score(result, limits) {
  const decision = result.decision;
  if (result.reason === "unfamiliar" && decision) {
    return {
      name: t("measure.unfamiliarity_score"),
      value: decision.unfamiliarity_score,
      limit: decision.max_unfamiliarity_score,
      atLeast: false,
    };
  }
  if (result.reason === "low_confidence" && decision?.confidence_ratio !== null) {
    return {
      name: t("measure.confidence_ratio"),
      value: decision.confidence_ratio,
      limit: decision.min_confidence_ratio,
      atLeast: true,
    };
  }
  const measures = { ...result.quality, coverage_pct: result.nuclei?.coverage_pct };
  const found = (LIMITS[result.reason] ?? []).map((name) => beyond(measures, name, limits[name]));
  return found.find((each) => each !== null) ?? null;
}
