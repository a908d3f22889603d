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

export function show(node, visible) {
  node.hidden = !visible;
}

export const percent = (ratio, digits = 1) =>
  new Intl.NumberFormat(document.documentElement.lang, {
    style: "percent",
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  }).format(ratio);

export const number = (value, digits = 2) =>
  new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: digits }).format(value);

export const clock = (time) =>
  new Intl.DateTimeFormat(document.documentElement.lang, { timeStyle: "medium" }).format(new Date(time));

export const day = (time) =>
  new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" }).format(
    new Date(time),
  );
