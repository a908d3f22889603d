// About this page: its connection, its sound, its language, and the messages that it could not read.

import { byId, el, show } from "../../../edge_agent/web/assets/dom.js";
import { when, whole } from "./format.js";
import { LANGUAGES, t } from "./i18n.js";
import { facts, setText } from "./parts.js";
import * as sound from "./sound.js";

let drawn = "";

export function draw({ fleet, connection }) {
  const unreadable = [...fleet.unreadable].sort();
  const key = JSON.stringify([connection, fleet.messages_count, unreadable, document.documentElement.lang]);
  if (key === drawn) return;
  drawn = key;
  byId("page-facts").replaceChildren(
    facts([
      ["page.broker", connection.url],
      ["page.user", connection.username || "–"],
      ["page.version", connection.version ?? "–"],
      ["page.messages", whole(fleet.messages_count)],
      ["page.results", whole(fleet.results_count)],
      ["page.repeats", whole(fleet.repeats_count)],
      ["page.missing", whole(fleet.missing_count)],
      ["page.left_out", whole(fleet.left_out_count)],
    ]),
  );
  show(byId("unreadable-none"), unreadable.length === 0);
  byId("unreadable").replaceChildren(
    ...unreadable.map(([why, count]) => el("li", { "data-why": why }, `${t(`unreadable.${why}`)}: ${whole(count)}`)),
  );
  byId("unreadable-examples").replaceChildren(
    ...fleet.examples.newest().map(({ at_ms, topic, why, size_bytes }) =>
      el("li", {}, el("time", {}, when(at_ms)), ` ${t(`unreadable.${why}`)} · ${whole(size_bytes)} B · `, el("code", {}, topic)),
    ),
  );
}

export function drawSound() {
  setText(byId("sound"), t(sound.isOn() ? "sound.off" : "sound.on"));
  byId("sound").setAttribute("aria-pressed", String(sound.isOn()));
}

export function start(onLanguage, onTheme, onLogOut) {
  byId("language").replaceChildren(...Object.entries(LANGUAGES).map(([value, name]) => el("option", { value }, name)));
  byId("language").value = document.documentElement.lang;
  byId("language").addEventListener("change", (event) => onLanguage(event.target.value));
  byId("theme").addEventListener("change", (event) => onTheme(event.target.value));
  byId("log-out").addEventListener("click", onLogOut);
  byId("sound").addEventListener("click", async () => {
    await (sound.isOn() ? sound.turnOff() : sound.turnOn());
    drawSound();
  });
}
