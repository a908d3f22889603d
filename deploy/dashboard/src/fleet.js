// All devices that were heard of, and the readings and reports of this page's life. Every store is bounded.

import { Device } from "./device.js";
import { parse } from "./messages.js";
import { RecentIds } from "./recent-ids.js";
import { Ring } from "./ring.js";

const READINGS = 20_000;
const REPORTS = 500;
const EXAMPLES = 50;
const MOST_DEVICES = 5_000;
const GRACE_MS = 5_000;
const TOPIC_CHARACTERS = 120;

export class Fleet {
  devices = new Map();
  readings = new Ring(READINGS);
  reports = new Ring(REPORTS);
  /** Messages that were not read, by why. */
  unreadable = new Map();
  examples = new Ring(EXAMPLES);
  messages_count = 0;
  results_count = 0;
  repeats_count = 0;
  /** Devices that were not taken, since there are too many. */
  left_out_count = 0;
  /** Devices of which something changed since the page was drawn. */
  dirty = new Set();
  #reportIds = new RecentIds(REPORTS);
  #heartbeat_s;
  #awaySince_ms = null;

  constructor({ heartbeat_s = 60 } = {}) {
    this.#heartbeat_s = heartbeat_s;
  }

  /**
   * Take a message as it came. at_ms is the time of day, now_ms that of a clock that never jumps, expiry_s what is left
   * of the broker's expiry, null where it said none.
   */
  take(topic, payload, { at_ms, now_ms, retained = false, expiry_s = null }) {
    this.messages_count += 1;
    const { site, device: name, kind, body, unreadable } = parse(topic, payload);
    if (unreadable !== undefined) {
      this.unreadable.set(unreadable, (this.unreadable.get(unreadable) ?? 0) + 1);
      this.examples.add({ at_ms, topic: topic.slice(0, TOPIC_CHARACTERS), why: unreadable, size_bytes: payload.length });
      return;
    }
    if (kind === null) return;
    if (kind === "status" && body === null) {
      // Somebody has taken the device off the broker.
      const gone = this.devices.get(`${site}/${name}`);
      this.devices.delete(`${site}/${name}`);
      if (gone !== undefined) this.dirty.add(gone);
      return;
    }
    const device = body === null ? this.devices.get(`${site}/${name}`) : this.#device(site, name);
    if (device === undefined || device === null) return;
    if (kind === "report") this.#takeReport(device, body);
    else this.#takeOther(device, kind, body, { at_ms, now_ms, retained, expiry_s, heartbeat_s: this.#heartbeat_s });
    this.dirty.add(device);
  }

  #takeOther(device, kind, body, context) {
    const taken = device.take(kind, body, context);
    if (kind !== "result") return;
    if (taken) {
      this.results_count += 1;
      this.readings.add(device.readings.newest(1)[0]);
    } else this.repeats_count += 1;
  }

  #takeReport(device, body) {
    if (this.#reportIds.add(body.id)) this.reports.add({ ...body, device });
  }

  #device(site, name) {
    const key = `${site}/${name}`;
    const known = this.devices.get(key);
    if (known !== undefined) return known;
    if (this.devices.size >= MOST_DEVICES) {
      this.left_out_count += 1;
      return null;
    }
    const device = new Device(site, name);
    this.devices.set(key, device);
    return device;
  }

  get missing_count() {
    let sum = 0;
    for (const device of this.devices.values()) sum += device.sequences.missing_count;
    return sum;
  }

  /** The page has lost its broker: nothing more can be said of any device than up to now. */
  away(now_ms) {
    this.#awaySince_ms ??= now_ms;
  }

  /** It is back: devices have a moment to speak before they count as silent. */
  back(now_ms) {
    this.#awaySince_ms = null;
    for (const device of this.devices.values()) device.liveness.wait(now_ms + GRACE_MS);
  }

  /** The time up to which the page can tell anything. */
  seen_ms(now_ms) {
    return this.#awaySince_ms ?? now_ms;
  }
}
