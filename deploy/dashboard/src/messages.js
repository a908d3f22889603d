// From a topic and a payload to what the page uses of it. Never throws, and never keeps what it does not use.

import { count, entries, flag, list, number, object, slug, text, time, uuid } from "./fields.js";

/** The largest payload that the shipped brokers let through. The contract's largest is half as long. */
export const MOST_BYTES = 131_072;

const TOPIC = /^leukoscope\/v1\/([a-z0-9-]{1,100})\/([a-z0-9-]{1,100})\/(.+)$/;
const KINDS = {
  status: "status", info: "info", health: "health", metrics: "metrics", report: "report", event: "event",
  last: "last", specimen: "specimen", "model/reported": "model",
};
const SCHEMAS = { last: "result", model: "model-reported" };
/** What is said to a device, and its answers: not for this page. */
const OTHERS = /^(?:command|answer)\/|^model\/desired$/;

function place(topic) {
  const found = TOPIC.exec(topic);
  if (found === null) return null;
  const [, site, device, rest] = found;
  const [first, camera, ...more] = rest.split("/");
  if (first === "result" && more.length === 0 && slug(camera) !== null) return { site, device, kind: "result" };
  if (OTHERS.test(rest)) return { site, device, kind: null };
  return Object.hasOwn(KINDS, rest) ? { site, device, kind: KINDS[rest] } : null;
}

function json(payload) {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
  } catch {
    return undefined;
  }
}

function model(value) {
  const { name, version, head } = object(value);
  const found = { name: text(name), version: text(version), head: text(object(head).name) };
  return found.name === null ? null : { ...found, headVersion: text(object(head).version) };
}

function failure(value) {
  const { code, message, remedy } = object(value);
  return text(code) === null ? null : { code: text(code), message: text(message) ?? "", remedy: text(remedy) ?? "" };
}

function reading(body) {
  const [specimen, decision] = [object(body.specimen), object(body.decision)];
  const { name, version, head, headVersion } = model(body.model) ?? {};
  return {
    id: uuid(body.id), session: uuid(body.session), seq: count(body.seq), capturedAt: time(body.captured_at),
    outcome: text(body.outcome), camera: text(body.camera), replayed: body.replayed === true,
    demonstration: flag(body.demonstration), provisional: flag(body.provisional),
    clockSynchronised: flag(object(body.clock).synchronised),
    reason: text(body.reason), errorCode: text(object(body.error).code),
    label: text(body.label), malignant: flag(body.malignant), malignantRatio: number(body.malignant_ratio),
    confidenceRatio: number(decision.confidence_ratio),
    specimen: text(specimen.id), slide: count(specimen.slide), field: count(specimen.field),
    latency_ms: number(object(body.latency_ms).total),
    modelName: name ?? null, modelVersion: version ?? null, headName: head ?? null, headVersion: headVersion ?? null,
    software: text(body.software),
  };
}

function share(value) {
  const { fields_count, ratio, low_ratio, high_ratio } = object(value);
  if (count(fields_count) === null) return null;
  return { fields_count, ratio: number(ratio), low_ratio: number(low_ratio), high_ratio: number(high_ratio) };
}

const percentiles = (value) => {
  const { p50_ms, p95_ms, p99_ms } = object(value);
  return number(p50_ms) === null ? null : { p50_ms, p95_ms: number(p95_ms), p99_ms: number(p99_ms) };
};

const READ = {
  status: (body) => ({
    session: uuid(body.session), state: text(body.state), code: text(body.code), at: time(body.at),
  }),
  info: (body) => ({
    session: uuid(body.session), startedAt: time(body.started_at), machine: text(body.machine),
    software: text(object(body.software).leukoscope), model: model(body.model),
    demonstration: body.demonstration === true, provisional: body.provisional === true,
    cameras: list(body.cameras).map((each) => text(object(each).kind)).filter((kind) => kind !== null),
  }),
  health: (body) => ({
    session: uuid(body.session), at: time(body.at), state: text(body.state),
    checks: list(body.checks).map(object).filter((each) => text(each.name) !== null).map((each) => ({
      name: text(each.name), state: text(each.state), code: text(each.code), message: text(each.message) ?? "",
      remedy: text(each.remedy) ?? "",
    })),
  }),
  metrics: (body) => ({
    session: uuid(body.session), at: time(body.at), uptime_s: number(body.uptime_s),
    readings_count: count(body.readings_count), rate_hz: number(body.reading_rate_hz),
    latency_ms: entries(body.latency_ms, percentiles),
    waiting_count: count(object(body.spool).waiting_count), oldest_age_s: number(object(body.spool).oldest_age_s),
    dropped_count: count(object(body.spool).dropped_count),
    quarantined_count: count(object(body.spool).quarantined_count),
    refused_count: count(object(body.spool).refused_count),
    cpu_temperature_c: number(object(body.machine).cpu_temperature_c),
    disk_free_bytes: count(object(body.machine).disk_free_bytes),
    outcomes_count: new Map(entries(body.outcomes_count, count)),
    reasons_count: new Map(entries(body.reasons_count, count)),
  }),
  result: reading,
  last: reading,
  report: (body) => ({
    id: uuid(body.id), session: uuid(body.session), demonstration: body.demonstration === true,
    provisional: body.provisional === true, specimen: text(object(body.specimen).id),
    slide: count(object(body.specimen).slide), beganAt: time(body.began_at), finishedAt: time(body.finished_at),
    wished_count: count(body.wished_fields_count), readings_count: count(body.readings_count),
    judged_count: count(body.judged_count), repeated_count: count(body.repeated_count),
    outcomes_count: entries(body.outcomes_count, count), reasons_count: entries(body.reasons_count, count),
    labels: list(body.labels).map((each) => ({
      ...share(each), label: text(object(each).label), name: text(object(each).name), malignant: flag(object(each).malignant),
    })).filter((each) => each.label !== null && each.fields_count !== undefined),
    malignant: share(body.malignant), model: model(body.model), models_count: count(body.models_count),
    software: text(body.software),
  }),
  event: (body) => ({
    id: uuid(body.id), session: uuid(body.session), at: time(body.at), kind: text(body.kind), code: text(body.code),
    message: text(body.message) ?? "",
  }),
  specimen: (body) => ({
    session: uuid(body.session), at: time(body.at), specimen: text(object(body.specimen).id),
    slide: count(object(body.specimen).slide), readings_count: count(body.readings_count),
    judged_count: count(body.judged_count), wished_count: count(body.wished_fields_count),
  }),
  model: (body) => ({
    session: uuid(body.session), at: time(body.at), model: model(body.model), state: text(body.state),
    error: failure(body.error), desired: text(object(body.desired).name),
  }),
};

/** Without these a message of the kind says nothing. */
const NEEDED = {
  status: ["session", "state"], info: ["session"], health: ["session", "state"], metrics: ["session", "at"],
  result: ["id", "session", "seq", "capturedAt", "outcome"], last: ["id", "session", "seq", "capturedAt", "outcome"],
  report: ["id", "finishedAt", "readings_count"], event: ["id", "kind"], specimen: ["session"],
  model: ["session", "state"],
};

/**
 * What a message says: {site, device, kind, body}, or {unreadable: why} with "foreign" (no topic of the contract),
 * "too_large", "damaged" (no JSON), "future" (another version of its schema) or "invalid" (not what its schema says).
 * A kind of null is for others; a body of null clears a retained message.
 */
export function parse(topic, payload) {
  const found = place(topic);
  if (found === null) return { unreadable: "foreign" };
  if (found.kind === null || payload.length === 0) return { ...found, body: null };
  if (payload.length > MOST_BYTES) return { ...found, unreadable: "too_large" };
  const body = json(payload);
  if (body === undefined) return { ...found, unreadable: "damaged" };
  const { schema, site, device } = object(body);
  const name = SCHEMAS[found.kind] ?? found.kind;
  if (schema !== `leukoscope/${name}/v1`) {
    const future = typeof schema === "string" && schema.startsWith(`leukoscope/${name}/v`);
    return { ...found, unreadable: future ? "future" : "invalid" };
  }
  // Releases up to 0.2.0 said only the device.
  if (device !== found.device || (site ?? found.site) !== found.site) return { ...found, unreadable: "invalid" };
  const read = READ[found.kind](body);
  if (NEEDED[found.kind].some((field) => read[field] === null)) return { ...found, unreadable: "invalid" };
  return { ...found, body: read };
}
