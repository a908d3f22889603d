// Numbers and times as the visitor's country writes them. A formatter is slow to make, so each is made once.

const made = new Map();

let language = null;

function formatter(Kind, name, options) {
  if (language !== document.documentElement.lang) {
    made.clear();
    language = document.documentElement.lang;
  }
  if (!made.has(name)) {
    const locale = navigator.languages.find((each) => each.split("-")[0] === language) ?? language;
    made.set(name, new Kind(locale, options));
  }
  return made.get(name);
}

export const whole = (value) => formatter(Intl.NumberFormat, "whole", { maximumFractionDigits: 0 }).format(value);

export const number = (value) =>
  formatter(Intl.NumberFormat, "number", { maximumSignificantDigits: 3 }).format(value);

export const percent = (ratio) =>
  formatter(Intl.NumberFormat, "percent", {
    style: "percent",
    minimumFractionDigits: 1,
    maximumFractionDigits: 1,
  }).format(ratio);

export const clock = (at_ms) =>
  formatter(Intl.DateTimeFormat, "clock", { timeStyle: "medium", hourCycle: "h23" }).format(at_ms);

export const moment = (at_ms) =>
  formatter(Intl.DateTimeFormat, "moment", { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" }).format(at_ms);

const DAY_MS = 86_400_000;

/** The time alone if it is near, else with its day. */
export const when = (at_ms) => (Math.abs(Date.now() - at_ms) < DAY_MS / 2 ? clock(at_ms) : moment(at_ms));

/** A span of time in its largest unit that makes at least two: "12 min". */
export function span(duration_s) {
  const [unit, seconds] =
    duration_s < 120 ? ["second", 1] : duration_s < 7200 ? ["minute", 60] : duration_s < 172_800 ? ["hour", 3600] : ["day", 86_400];
  return formatter(Intl.NumberFormat, unit, { style: "unit", unit, maximumFractionDigits: 0 }).format(duration_s / seconds);
}
