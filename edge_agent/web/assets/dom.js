// Small helpers for the document. Text is always set as text, never as markup.

export const byId = (id) => document.getElementById(id);

/** An element with properties, attributes ("aria-…", "data-…", "for", "role") and children. */
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name === "class") node.className = value;
    else if (name.includes("-") || name === "for" || name === "role") node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** An element of a drawing, with its attributes and children. */
export function svg(tag, attributes, ...children) {
  const node = document.createElementNS(document.querySelector("nav svg").namespaceURI, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

export function show(node, visible) {
  node.hidden = !visible;
}

/** The page's language as the visitor's country writes it. */
function locale() {
  const language = document.documentElement.lang;
  return navigator.languages.find((each) => each.split("-")[0] === language) ?? language;
}

export const percent = (ratio, digits = 1) =>
  new Intl.NumberFormat(locale(), {
    style: "percent",
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  }).format(ratio);

export const number = (value, digits = 2) =>
  new Intl.NumberFormat(locale(), { maximumFractionDigits: digits }).format(value);

export const clock = (time) =>
  new Intl.DateTimeFormat(locale(), { timeStyle: "medium", hourCycle: "h23" }).format(new Date(time));

export const day = (time) =>
  new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short", hourCycle: "h23" }).format(
    new Date(time),
  );

/** How long ago something was, in seconds, minutes or hours: "12 sec ago". */
export function ago(age_s) {
  const [unit, seconds] = age_s < 90 ? ["second", 1] : age_s < 5400 ? ["minute", 60] : ["hour", 3600];
  return new Intl.RelativeTimeFormat(locale(), { style: "short" }).format(-Math.floor(age_s / seconds), unit);
}
