// What a person should know of the device's state, and what to do about it. The most serious comes first.

import { byId, el, clock } from "./dom.js";
import { t, has } from "./i18n.js";
import { store } from "./store.js";

function age_s() {
  const shown = store.shown;
  return shown === null ? null : (store.now_ms() - Date.parse(shown.result.captured_at)) / 1000;
}

/** Whether the reading that is shown must not be taken for the present. */
export function outdated() {
  const state = store.state;
  if (state === null || store.shown === null) return null;
  if (!store.connected) return "lost";
  if (state.safe_mode) return "safe_mode";
  if (state.paused) return "paused";
  if (state.problems.some((problem) => problem.part === "camera")) return "camera";
  if (state.stale_after_s !== null && age_s() > state.stale_after_s) return "stale";
  return null;
}

function own(key, values = {}) {
  return { id: key, text: t(`banner.${key}`, values), remedy: t(`banner.${key}.remedy`, values) };
}

/** The device's own words are English; in another language what they are about comes first. */
function problem(found) {
  const words = [found.message, found.remedy ?? ""];
  const translated = document.documentElement.lang !== "en" && has(`problem.${found.part}`);
  return {
    id: found.part,
    text: translated ? t(`problem.${found.part}`) : words[0],
    remedy: translated ? words.join(" ") : words[1],
    language: "en",
    code: found.code,
  };
}

export function current() {
  const state = store.state;
  if (!store.connected) return [{ level: "serious", ...own("lost") }];
  if (state === null) return [];
  const found = [];
  if (state.safe_mode) found.push({ level: "serious", ...own("safe_mode") });
  for (const each of state.problems) found.push({ level: "serious", ...problem(each) });
  if (state.paused) found.push({ level: "note", ...own("paused") });
  if (outdated() === "stale") {
    found.push({ level: "note", ...own("stale", { time: clock(store.shown.result.captured_at) }) });
  }
  if (state.demonstration) found.push({ level: "note", ...own("demonstration") });
  if (state.provisional) found.push({ level: "note", ...own("provisional") });
  return found;
}

let drawn = "";

function draw() {
  const banners = current();
  const key = JSON.stringify([document.documentElement.lang, banners]);
  // A region that is written anew is read out anew.
  if (key === drawn) return;
  drawn = key;
  byId("banners").replaceChildren(
    ...banners.map((banner) =>
      el(
        "div",
        { class: `banner ${banner.level}`, "data-testid": `banner-${banner.id}` },
        el("strong", {}, banner.text),
        banner.remedy ? el("span", { lang: banner.language }, banner.remedy) : null,
        banner.code ? el("code", {}, banner.code) : null,
      ),
    ),
  );
}

export function start() {
  store.on("state connected shown tick language", draw);
  draw();
}
