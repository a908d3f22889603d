// Alarms as text: a bar at the top of every view, and their list.

import { byId, el, show } from "../../../edge_agent/web/assets/dom.js";
import { when, whole } from "./format.js";
import { t } from "./i18n.js";
import { findingWords } from "./words.js";

const SHOWN = 5;
let drawn = "";

function line({ at_ms, key, site, name, finding }) {
  const where = key === null ? null : el("a", { href: `#/device/${key}` }, `${site} / ${name}`);
  return el("li", {}, el("time", {}, when(at_ms)), " ", where, where === null ? null : ": ", findingWords(finding).text);
}

export function draw({ alarms }) {
  const newest = alarms.entries.newest();
  const key = JSON.stringify([alarms.unseen_count, newest.length, newest[0]?.at_ms, newest[0]?.key, document.documentElement.lang]);
  if (key === drawn) return;
  drawn = key;
  show(byId("alarm-bar"), alarms.unseen_count > 0);
  byId("alarm-title").textContent = t("alarms.new", { count: whole(alarms.unseen_count) });
  byId("alarm-newest").replaceChildren(...newest.slice(0, Math.min(SHOWN, alarms.unseen_count)).map(line));
  show(byId("alarms-none"), newest.length === 0);
  byId("alarms").replaceChildren(...newest.map(line));
}

export function start(alarms, redraw) {
  byId("alarm-seen").addEventListener("click", () => {
    alarms.seen();
    redraw();
    byId("main").focus({ preventScroll: true });
  });
}
