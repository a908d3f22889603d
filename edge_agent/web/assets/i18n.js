// The texts of the page, from a message catalogue per language.

export const LANGUAGES = { en: "English", de: "Deutsch" };

let english = {};
let messages = {};

async function load(language) {
  const answer = await fetch(`/locales/${language}.json`);
  if (!answer.ok) throw new Error(`no catalogue for ${language}`);
  return answer.json();
}

function remembered() {
  const wanted = localStorage.getItem("language") ?? navigator.language.slice(0, 2);
  return wanted in LANGUAGES ? wanted : "en";
}

/** Load the remembered language, or the browser's, and put its texts into the document. */
export async function start() {
  english = await load("en");
  await use(remembered());
}

export async function use(language) {
  messages = language === "en" ? english : await load(language);
  document.documentElement.lang = language;
  localStorage.setItem("language", language);
  translate(document);
}

export function has(key) {
  return key in messages || key in english;
}

/** The text of a key, with its {placeholders} filled. */
export function t(key, values = {}) {
  const text = messages[key] ?? english[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** Fill the elements that name a text: data-t for their content, data-t-title and data-t-label for attributes. */
export function translate(root) {
  for (const node of root.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of root.querySelectorAll("[data-t-title]")) node.title = t(node.dataset.tTitle);
  for (const node of root.querySelectorAll("[data-t-label]")) node.setAttribute("aria-label", t(node.dataset.tLabel));
}
