// The texts of the page. Both catalogues are in the page's own script: nothing is fetched.

import de from "./locales/de.json" with { type: "json" };
import en from "./locales/en.json" with { type: "json" };

const CATALOGUES = { en, de };
export const LANGUAGES = { en: "English", de: "Deutsch" };

let messages = en;

/** Use the remembered language, or the browser's. */
export function start() {
  const wanted = localStorage.getItem("leukoscope-language") ?? navigator.language.slice(0, 2);
  use(Object.hasOwn(CATALOGUES, wanted) ? wanted : "en");
}

export function use(language) {
  messages = CATALOGUES[language];
  document.documentElement.lang = language;
  localStorage.setItem("leukoscope-language", language);
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of document.querySelectorAll("[data-t-label]")) node.setAttribute("aria-label", t(node.dataset.tLabel));
}

export const has = (key) => Object.hasOwn(messages, key);

/** The text of a key, with its {placeholders} filled. */
export function t(key, values = {}) {
  const text = has(key) ? messages[key] : key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (Object.hasOwn(values, name) ? String(values[name]) : whole));
}
