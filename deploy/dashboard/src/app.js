// Puts the parts together: the connection fills the fleet, a tick each second looks what has changed, frames draw it.

import { byId, show } from "../../../edge_agent/web/assets/dom.js";
import { Alarms } from "./alarms.js";
import * as alarmsView from "./alarms-view.js";
import { findings } from "./attention.js";
import * as config from "./config.js";
import * as connectView from "./connect-view.js";
import { Connection } from "./connection.js";
import * as deviceView from "./device-view.js";
import { Fleet } from "./fleet.js";
import { Frames } from "./frames.js";
import * as i18n from "./i18n.js";
import * as overview from "./overview.js";
import * as pageView from "./page-view.js";
import * as readingsView from "./readings-view.js";
import * as reportsView from "./reports-view.js";
import * as sound from "./sound.js";

const TICK_MS = 1000;
const THEME = "leukoscope-theme";

/** View → what draws it, and the entry of the menu that it belongs to. */
const VIEWS = {
  overview: { draw: overview.draw, nav: "overview" },
  device: { draw: deviceView.draw, nav: "overview" },
  readings: { draw: readingsView.draw, nav: "readings" },
  reports: { draw: reportsView.drawList, nav: "reports" },
  report: { draw: reportsView.drawOne, nav: "reports" },
  alarms: { draw: () => {}, nav: "alarms" },
  page: { draw: pageView.draw, nav: "page" },
};

const alarms = new Alarms();
let fleet = new Fleet();
let settings = { heartbeat_s: 60 };
let connection = null;
let link = { url: "", username: "", version: null, state: "off" };
let evaluated = [];
let all = true;
let view = "overview";
let place = [];

function context() {
  const now_ms = performance.now();
  return { now_ms: fleet.seen_ms(now_ms), at_ms: Date.now() };
}

const frames = new Frames(() => {
  const isMore = VIEWS[view].draw({ fleet, evaluated, context: context(), place, connection: link, all });
  alarmsView.draw({ alarms });
  all = false;
  if (isMore) frames.ask();
});

/** Also in a hidden tab, where nothing is drawn. */
function tick() {
  const now = context();
  evaluated = [...fleet.devices.values()].map((device) => ({ device, findings: findings(device, now.now_ms) }));
  const fresh = evaluated.flatMap(({ device, findings: found }) => alarms.look(device, found, now));
  if (fresh.length > 0) sound.play(performance.now());
  all = true;
  frames.ask();
}

function drawLink() {
  const node = byId("link");
  node.className = `link ${link.state}`;
  node.textContent = i18n.t(`link.${link.state}`);
  show(byId("away"), link.state === "away");
}

function setLink(change) {
  link = { ...link, ...change };
  drawLink();
  frames.ask();
}

function connect(typed) {
  config.remember(typed);
  fleet = new Fleet(settings);
  setLink({ url: typed.url, username: typed.username, version: null, state: "connecting" });
  connection = new Connection(typed, {
    onConnected(version) {
      fleet.back(performance.now());
      setLink({ version, state: "on" });
    },
    onAway() {
      if (link.state === "on") {
        alarms.away(Date.now());
        sound.play(performance.now());
      }
      fleet.away(performance.now());
      setLink({ state: link.version === null ? "connecting" : "away" });
    },
    onMessage(topic, payload, { retained, expiry_s }) {
      fleet.take(topic, payload, { at_ms: Date.now(), now_ms: performance.now(), retained, expiry_s });
      frames.ask();
    },
    onRefused(reason) {
      leave();
      connectView.say(i18n.t(`connect.refused.${reason}`));
    },
  });
  show(byId("connect"), false);
  show(byId("page"), true);
  route();
  // Where one can read, not where one could change something.
  byId(`view-${view}`).querySelector("h2").focus();
}

function leave() {
  connection?.close();
  connection = null;
  config.forget();
  connectView.forgetPassword();
  setLink({ state: "off", version: null });
  show(byId("page"), false);
  show(byId("connect"), true);
  byId("connect-username").focus();
}

function route() {
  const [, name = "", ...rest] = location.hash.split("/");
  const wanted = Object.hasOwn(VIEWS, name) ? name : "overview";
  const moved = wanted !== view;
  [view, place, all] = [wanted, rest, true];
  for (const each of Object.keys(VIEWS)) show(byId(`view-${each}`), each === view);
  for (const node of document.querySelectorAll("nav a")) {
    if (node.id === `nav-${VIEWS[view].nav}`) node.setAttribute("aria-current", "page");
    else node.removeAttribute("aria-current");
  }
  document.title = `${i18n.t(`nav.${view}`)} · Leukoscope`;
  frames.now();
  if (moved) byId(`view-${view}`).querySelector("h2").focus();
}

function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  localStorage.setItem(THEME, theme);
  byId("theme").value = theme;
}

async function start() {
  i18n.start();
  pageView.start(
    (language) => {
      i18n.use(language);
      drawLink();
      pageView.drawSound();
      route();
    },
    setTheme,
    leave,
  );
  setTheme(["light", "dark"].find((each) => each === localStorage.getItem(THEME)) ?? "auto");
  pageView.drawSound();
  readingsView.start();
  alarmsView.start(alarms, () => frames.now());
  const loaded = await config.load();
  settings = loaded.settings;
  connectView.start(loaded, connect);
  addEventListener("hashchange", route);
  setInterval(tick, TICK_MS);
  const typed = config.remembered();
  if (typed === null) leave();
  else connect(typed);
}

start();
