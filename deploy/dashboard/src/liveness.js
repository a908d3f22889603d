// Whether a device is there. A broker delivers a last will late, and keeps a status after its device is gone.

const HEARTBEATS = 3;
const LONGEST_HEARTBEAT_MS = 3_600_000;
const INTERVALS = 8;
const FORMER = 8;

/** What a device's own sessions say. Times are milliseconds of a clock that never jumps. */
export class Liveness {
  session = null;
  code = null;
  at = null;
  ignoredWills = 0;
  /** Times that a former session spoke again: two programs use one name. */
  rivalries = 0;
  #state = null;
  #deadline_ms = Infinity;
  #heard_ms = null;
  #intervals_ms = [];
  #former = [];

  /** The interval at which the device repeats its status, as far as it was seen; null before. */
  get heartbeat_ms() {
    return this.#intervals_ms.length === 0 ? null : Math.min(LONGEST_HEARTBEAT_MS, Math.max(...this.#intervals_ms));
  }

  /** Take a status; false if it is to be ignored. expiry_s is what is left of the broker's, null where it is unknown. */
  take(status, { now_ms, retained, expiry_s, heartbeat_s }) {
    const { session, state } = status;
    const other = this.session !== null && session !== this.session;
    const past = other && (session < this.session || this.#former.includes(session));
    const ended = state === "lost" || state === "disconnected";
    if (past && ended) {
      if (state === "lost") this.ignoredWills += 1;
      return false;
    }
    if (other) this.#begin(session);
    const before_ms = this.#heard_ms;
    if (before_ms !== null && !retained && !ended) {
      this.#intervals_ms = [...this.#intervals_ms, now_ms - before_ms].slice(-INTERVALS);
    }
    this.#heard_ms = retained || ended ? null : now_ms;
    Object.assign(this, { session, code: status.code, at: status.at });
    this.#state = state;
    const own_ms = HEARTBEATS * (this.heartbeat_ms === null ? 1000 * heartbeat_s : Math.max(this.heartbeat_ms, 1000));
    this.#deadline_ms = ended ? Infinity : now_ms + (expiry_s === null ? own_ms : 1000 * expiry_s);
    return true;
  }

  #begin(session) {
    // A clock that was set back makes a new session look older, so only one that spoke before is a rival.
    if (this.#former.includes(session)) this.rivalries += 1;
    this.#former = [...this.#former.filter((each) => each !== session), this.session].slice(-FORMER);
    this.#heard_ms = null;
    this.#intervals_ms = [];
  }

  /** The device's own word, or "silent" where it did not repeat it in time, or null before the first. */
  state(now_ms) {
    return now_ms > this.#deadline_ms ? "silent" : this.#state;
  }

  /** Whether what else it said may still be true. */
  present(now_ms) {
    const state = this.state(now_ms);
    return state !== null && state !== "lost" && state !== "silent" && state !== "disconnected";
  }

  /** The page itself was away: give the device until then to speak. */
  wait(until_ms) {
    this.#deadline_ms = Math.max(this.#deadline_ms, until_ms);
  }
}
