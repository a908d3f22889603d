// Messages of the contract, with what a test changes.

export const SESSION = "01900000-0000-7000-8000-000000000001";
export const NEWER = "01900000-0000-7000-8000-000000000002";

let made = 0;

export function id() {
  made += 1;
  return `01900000-0000-7000-9000-${made.toString(16).padStart(12, "0")}`;
}

const who = { use: "research-only", site: "clinic", device: "scope-1", session: SESSION };

export const result = (changes = {}) => ({
  schema: "leukoscope/result/v1", ...who, id: id(), camera: "camera0", seq: 0, demonstration: true,
  captured_at: "2026-11-29T12:00:00.000Z", clock: { synchronised: true, boot_id: null, monotonic_ns: 1 },
  outcome: "classified", reason: null, error: null, label: "benign", malignant: false, malignant_ratio: 0.02,
  latency_ms: { total: 61.5 }, model: { name: "demo", version: "1.0.0", sha256: "0" }, software: "0.3.0", ...changes,
});

export const status = (state, changes = {}) => ({
  schema: "leukoscope/status/v1", ...who, state, code: null, at: "2026-11-29T12:00:00.000Z", ...changes,
});

export const health = (...checks) => ({
  schema: "leukoscope/health/v1", ...who, at: "2026-11-29T12:00:00.000Z", state: "degraded",
  checks: checks.map((each) => ({ state: "degraded", code: "a_code", message: "What.", remedy: "Do.", ...each })),
});

export const metrics = (spool = {}) => ({
  schema: "leukoscope/metrics/v1", ...who, at: "2026-11-29T12:00:00.000Z", uptime_s: 60, readings_count: 1,
  latency_ms: { total: { p50_ms: 60, p95_ms: 80, p99_ms: 90, samples_count: 3 } },
  spool: { waiting_count: 0, oldest_age_s: null, dropped_count: 0, quarantined_count: 0, refused_count: 0, ...spool },
  outcomes_count: { classified: 1 }, reasons_count: {}, machine: {},
});

export const bytes = (content) => new TextEncoder().encode(typeof content === "string" ? content : JSON.stringify(content));

export const AT = Date.parse("2026-11-29T12:00:00Z");

/** Tell a fleet something, at a second of the test's own clock. */
export function tell(fleet, kind, content, { at_s = 0, ...rest } = {}) {
  const payload = content instanceof Uint8Array ? content : bytes(content);
  fleet.take(`leukoscope/v1/clinic/scope-1/${kind}`, payload, { at_ms: AT + 1000 * at_s, now_ms: 1000 * at_s, ...rest });
  return fleet.devices.get("clinic/scope-1");
}
