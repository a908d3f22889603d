// What happens on the device, as server-sent events, and whether it can still be heard.

import { store } from "./store.js";

const SILENCE_MS = 2500;
const RETRY_MS = 2500;

let source = null;
let heard_ms = 0;
let opened_ms = 0;

function heard() {
  heard_ms = performance.now();
  if (!store.connected) store.set("connected", true);
}

/** ``onReading`` gets each result; ``onRetry`` is called with each attempt to connect again. */
export function start(onReading, onRetry) {
  heard_ms = performance.now();
  open(onReading);
  setInterval(() => {
    const now_ms = performance.now();
    if (now_ms - heard_ms < SILENCE_MS) return;
    if (store.connected) store.set("connected", false);
    // The browser's own attempts may take longer, and end for good after some errors.
    if (now_ms - opened_ms > RETRY_MS) {
      open(onReading);
      onRetry();
    }
  }, 250);
}

export function stop() {
  source?.close();
  source = null;
}

function open(onReading) {
  source?.close();
  opened_ms = performance.now();
  source = new EventSource("/events");
  source.addEventListener("state", (event) => {
    heard();
    const state = JSON.parse(event.data);
    store.setClock(state.at);
    store.set("state", state);
  });
  source.addEventListener("reading", (event) => {
    heard();
    onReading(JSON.parse(event.data));
  });
  source.addEventListener("heartbeat", (event) => {
    heard();
    store.setClock(JSON.parse(event.data).at);
  });
}
