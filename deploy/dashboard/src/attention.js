// What a person has to look at: per device, the most serious first.

const BACKLOG_AGE_S = 300;
const BACKLOG_COUNT = 20;
const LEAST_READINGS = 20;

/** In this order where several apply. What is "serious" raises an alarm. */
const LEVELS = {
  lost: "serious",
  silent: "serious",
  safe_mode: "serious",
  rival: "serious",
  check: "serious",
  degraded: "serious",
  refusing: "serious",
  backlog: "serious",
  certificate: "note",
  drift: "note",
  roll_out: "note",
  clock: "note",
  provisional: "note",
  discarded: "note",
  missing: "note",
  unknown: "note",
  stopped: "note",
  paused: "note",
};
const ORDER = Object.keys(LEVELS);

/** Checks that have a word of their own. */
const CHECKS = { model: "drift", clock: "clock" };

function checkCode({ name, code }) {
  if (/certificate/.test(`${name} ${code}`)) return "certificate";
  return CHECKS[name] ?? "check";
}

function ofState(device, now_ms) {
  const state = device.state(now_ms);
  if (state === "lost" || state === "silent") return [{ code: state }];
  if (state === null) return [{ code: "unknown" }];
  if (state === "disconnected") return [{ code: "stopped" }];
  if (state === "sleeping") return [{ code: "paused" }];
  return [];
}

/** The device's own words, of each check that fails; of its status alone where there is no health. */
function ofHealth(device, now_ms) {
  const { code } = device.liveness;
  if (device.state(now_ms) === "degraded" && code === "agent_safe_mode") {
    const check = device.healthNow(now_ms)?.checks.find((each) => each.state === "degraded");
    return [{ code: "safe_mode", own: check }];
  }
  const failing = (device.healthNow(now_ms)?.checks ?? []).filter((each) => each.state === "degraded");
  if (failing.length > 0) return failing.map((each) => ({ code: checkCode(each), own: each, part: each.name }));
  return device.state(now_ms) === "degraded" ? [{ code: "degraded", own: { code, message: "", remedy: "" } }] : [];
}

function ofBacklog({ metrics, waiting_counts }) {
  if (metrics === null || metrics.waiting_count === null) return [];
  const growing =
    waiting_counts.length > 2 && waiting_counts.every((each, at) => at === 0 || each > waiting_counts[at - 1]);
  const old = metrics.oldest_age_s !== null && metrics.oldest_age_s > BACKLOG_AGE_S;
  if (!old && !(growing && metrics.waiting_count >= BACKLOG_COUNT)) return [];
  return [{ code: "backlog", waiting_count: metrics.waiting_count, oldest_age_s: metrics.oldest_age_s, growing }];
}

function ofReadings(device) {
  const newest = device.readings.newest(LEAST_READINGS);
  if (newest.length < LEAST_READINGS || newest.some((each) => each.outcome === "classified")) return [];
  const reasons = new Map();
  for (const { reason, errorCode } of newest) {
    const key = reason ?? errorCode ?? "other";
    reasons.set(key, (reasons.get(key) ?? 0) + 1);
  }
  const [reason] = [...reasons].sort(([, many], [, more]) => more - many)[0];
  // A provisional model gives no labels, which is said already.
  return reason === "model_unproven" ? [] : [{ code: "refusing", count: LEAST_READINGS, reason }];
}

function ofModel(device) {
  const found = [];
  const { state, error, desired } = device.model ?? {};
  if (state === "rolled_back" || state === "refused") {
    found.push({ code: "roll_out", own: error, name: desired ?? "", state });
  }
  if (device.provisional()) found.push({ code: "provisional" });
  return found;
}

function ofLosses(device) {
  const found = [];
  const { dropped_count, quarantined_count, refused_count } = device.metrics ?? {};
  const discarded_count = (dropped_count ?? 0) + (quarantined_count ?? 0) + (refused_count ?? 0);
  if (discarded_count > 0) found.push({ code: "discarded", count: discarded_count });
  const missing_count = device.sequences.missing_count;
  if (missing_count > 0) found.push({ code: "missing", count: missing_count });
  return found;
}

/** [{level, code, own, …figures}]: own is {code, message, remedy} in the device's English, if it said so itself. */
export function findings(device, now_ms) {
  const found = ofState(device, now_ms);
  if (device.liveness.present(now_ms)) {
    found.push(...ofHealth(device, now_ms), ...ofBacklog(device), ...ofReadings(device), ...ofModel(device));
    if (device.clockAhead_ms !== 0 && !found.some((each) => each.code === "clock")) {
      found.push({ code: "clock", ahead_ms: device.clockAhead_ms });
    }
    if (device.liveness.rivalries > 1) found.push({ code: "rival" });
  }
  found.push(...ofLosses(device));
  return found
    // One that has ended stops the device; one that ends soon does not.
    .map((each) => ({ level: each.own?.code === "certificate_expired" ? "serious" : LEVELS[each.code], ...each }))
    .sort((a, b) => ORDER.indexOf(a.code) - ORDER.indexOf(b.code));
}

/** Devices with something to look at, the most serious first: [{device, findings}]. */
export function needing(all) {
  return all
    .filter((each) => each.findings.length > 0)
    .sort(
      (a, b) =>
        ORDER.indexOf(a.findings[0].code) - ORDER.indexOf(b.findings[0].code) || (a.device.key < b.device.key ? -1 : 1),
    );
}
