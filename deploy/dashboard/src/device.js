// What the page knows of one device.

import { DayCounts } from "./day-counts.js";
import { Liveness } from "./liveness.js";
import { RecentIds } from "./recent-ids.js";
import { Ring } from "./ring.js";
import { Sequences } from "./sequences.js";

const HEALTH_EXPIRY_S = 900;
const CLOCK_TOLERANCE_MS = 120_000;
const READINGS = 20;
const EVENTS = 20;
const BACKLOGS = 4;

/** Retained, and void when they are cleared. */
const RETAINED = ["info", "health", "model", "last", "specimen"];

/** Within a session by number, else by the sessions: no clock that was set decides. */
function isNewer(reading, than) {
  return reading.session === than.session ? reading.seq > than.seq : reading.session > than.session;
}

export class Device {
  liveness = new Liveness();
  info = null;
  health = null;
  metrics = null;
  model = null;
  last = null;
  specimen = null;
  readings = new Ring(READINGS);
  events = new Ring(EVENTS);
  refusals = new DayCounts();
  outcomes = new DayCounts();
  sequences = new Sequences();
  results_count = 0;
  repeats_count = 0;
  /** How far the device's clock is ahead of this computer's, where it is beyond the tolerance. */
  clockAhead_ms = 0;
  /** Messages that waited, by the newest metrics, the newest last. */
  waiting_counts = [];
  #ids = new RecentIds();
  #eventIds = new RecentIds(64);
  #healthUntil_ms = 0;

  constructor(site, name) {
    this.site = site;
    this.name = name;
    this.key = `${site}/${name}`;
  }

  /** Take a message's body; false if it changes nothing. */
  take(kind, body, context) {
    if (body === null) {
      if (RETAINED.includes(kind)) this[kind] = null;
      return true;
    }
    this.#compareClocks(kind, body, context);
    switch (kind) {
      case "status":
        return this.liveness.take(body, context);
      case "health":
        this.#healthUntil_ms = context.now_ms + 1000 * (context.expiry_s ?? HEALTH_EXPIRY_S);
        this.health = body;
        return true;
      case "metrics":
        // Those of a time without a connection come all at once, the oldest first.
        this.metrics = body;
        this.waiting_counts = [...this.waiting_counts, body.waiting_count ?? 0].slice(-BACKLOGS);
        return true;
      case "result":
        return this.#takeResult(body, context);
      case "last":
        if (this.last === null || !isNewer(this.last, body)) this.last = body;
        return true;
      case "event":
        if (!this.#eventIds.add(body.id)) return false;
        this.events.add(body);
        return true;
      case "info":
      case "model":
      case "specimen":
        this[kind] = body;
        return true;
      default:
        return false;
    }
  }

  #takeResult(result, { at_ms }) {
    if (!this.#ids.add(result.id)) {
      this.repeats_count += 1;
      return false;
    }
    this.results_count += 1;
    this.sequences.add(result.session, result.seq);
    // A wrong clock must not move a live reading to another day; a late one belongs to when it was taken.
    const counted_ms = result.replayed ? result.capturedAt : at_ms;
    this.outcomes.add(result.outcome, counted_ms, at_ms);
    const refusal = result.reason ?? result.errorCode;
    if (result.outcome !== "classified" && refusal !== null) this.refusals.add(refusal, counted_ms, at_ms);
    this.readings.add({ ...result, receivedAt: at_ms, device: this });
    return true;
  }

  /** Only what was said just now can be compared: not what is retained, nor backlog, nor a will. */
  #compareClocks(kind, body, { retained, at_ms }) {
    if (retained || body.replayed || body.state === "lost" || !["status", "metrics"].includes(kind)) return;
    if (body.at === null) return;
    const ahead_ms = body.at - at_ms;
    // The heartbeat is never late; metrics of a time without a connection are.
    if (kind === "metrics" && ahead_ms < 0) return;
    this.clockAhead_ms = Math.abs(ahead_ms) > CLOCK_TOLERANCE_MS ? ahead_ms : 0;
  }

  state(now_ms) {
    return this.liveness.state(now_ms);
  }

  /** Its health, or null where that says nothing of the present. */
  healthNow(now_ms) {
    return this.liveness.present(now_ms) && now_ms <= this.#healthUntil_ms ? this.health : null;
  }

  /** The newest reading that is known of, also one from before the page was opened. */
  newest() {
    const [own] = this.readings.newest(1);
    if (own === undefined) return this.last;
    return this.last !== null && isNewer(this.last, own) ? this.last : own;
  }

  /** The model in use: {name, version, head}. */
  modelInUse() {
    return this.model?.model ?? this.info?.model ?? null;
  }

  provisional() {
    return this.info?.provisional ?? this.newest()?.provisional ?? false;
  }

  demonstration() {
    return this.info?.demonstration ?? this.newest()?.demonstration ?? false;
  }

  /** Latency in ms: half of the readings took at most so long. */
  latency_ms() {
    const total = this.metrics?.latency_ms.find(([stage]) => stage === "total");
    return total === undefined ? (this.newest()?.latency_ms ?? null) : total[1].p50_ms;
  }
}
