import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";

import { MOST_BYTES, parse } from "../../../deploy/dashboard/src/messages.js";
import { bytes, result, status } from "./made.js";

const TOPIC = "leukoscope/v1/clinic/scope-1/result/camera0";
const read = (content, topic = TOPIC) => parse(topic, bytes(content));

test("a result is read, and a field of a later release ignored", () => {
  const { kind, site, device, body } = read({ ...result({ reason: "of_next_year" }), new_field: { a: 1 } });
  assert.deepEqual([kind, site, device], ["result", "clinic", "scope-1"]);
  assert.equal(body.reason, "of_next_year");
  assert.equal(body.capturedAt, Date.parse("2026-11-29T12:00:00Z"));
  assert.equal("new_field" in body, false);
});

for (const topic of ["other/product", "leukoscope/v1/clinic", "leukoscope/v2/clinic/scope-1/status",
  "leukoscope/v1/Clinic/scope-1/status", "leukoscope/v1/clinic/scope-1/result/a/b", "leukoscope/v1/clinic/scope-1/toString",
  "leukoscope/v1/clinic/<img src=x>/status"]) {
  test(`${topic} is foreign`, () => assert.equal(read(result(), topic).unreadable, "foreign"));
}

for (const [why, content] of [
  ["damaged", "{"], ["damaged", new Uint8Array([0xff, 0xfe])], ["damaged", new Uint8Array([0x22, 0xff, 0x22])], ["damaged", "\u0000"],
  ["future", { ...result(), schema: "leukoscope/result/v2" }],
  ["invalid", null], ["invalid", []], ["invalid", "7"], ["invalid", { ...result(), schema: undefined }],
  ["invalid", result({ id: "no-id" })], ["invalid", result({ seq: -1 })], ["invalid", result({ seq: 1.5 })],
  ["invalid", result({ captured_at: "yesterday" })], ["invalid", result({ outcome: 7 })],
  ["invalid", result({ device: "scope-2" })], ["invalid", result({ site: "elsewhere" })],
]) {
  test(`${why}: ${JSON.stringify(content)?.slice(0, 60)}`, () => {
    const payload = content instanceof Uint8Array ? content : bytes(content);
    assert.equal(parse(TOPIC, payload).unreadable, why);
  });
}

test("what is too large is not even read", () => {
  assert.equal(parse(TOPIC, new Uint8Array(MOST_BYTES + 1)).unreadable, "too_large");
});

test("a long text is cut, and what has another type than it should is left out", () => {
  const { body } = read(result({ label: "x".repeat(10_000), malignant_ratio: "0.5", latency_ms: [1], model: 3 }));
  assert.equal(body.label.length, 300);
  assert.deepEqual([body.malignantRatio, body.latency_ms, body.modelName], [null, null, null]);
});

test("an empty payload clears, and what is said to a device is not for this page", () => {
  assert.deepEqual(parse("leukoscope/v1/clinic/scope-1/status", new Uint8Array(0)).body, null);
  for (const rest of ["command/pause", "answer/me", "model/desired"]) {
    const found = parse(`leukoscope/v1/clinic/scope-1/${rest}`, bytes("{"));
    assert.deepEqual([found.kind, found.unreadable], [null, undefined]);
  }
});

test("a message of release 0.2.0 has no site", () => {
  const { site, ...old } = status("ready", { at: null });
  assert.equal(site, "clinic");
  assert.equal(parse("leukoscope/v1/clinic/scope-1/status", bytes(old)).body.state, "ready");
});

test("no bytes at all can make it throw", () => {
  // A fixed sequence, so that a failure can be repeated.
  let seed = 7;
  const next = () => (seed = (seed * 48271) % 2147483647);
  const whole = JSON.stringify(result());
  for (let round = 0; round < 2000; round += 1) {
    const cut = bytes(whole);
    for (let change = 0; change < 3; change += 1) cut[next() % cut.length] = next() % 256;
    const found = parse(TOPIC, cut);
    assert.ok(found.unreadable !== undefined || found.kind === "result");
  }
});

const RELEASED = new URL("../../contract/0.2.0/", import.meta.url);
let released = [];
try {
  released = readdirSync(RELEASED).filter((name) => name.endsWith(".json"));
} catch {
  // The contract's own fixtures are made elsewhere.
}
const PLACES = { "model-reported": "model/reported", result: "result/camera0" };
for (const name of released) {
  const content = JSON.parse(readFileSync(new URL(name, RELEASED), "utf8"));
  const kind = typeof content.schema === "string" ? content.schema.split("/")[1] : "";
  if (!["status", "info", "health", "metrics", "result", "report", "event", "model-reported"].includes(kind)) continue;
  test(`${name} of release 0.2.0 is read`, () => {
    const topic = `leukoscope/v1/${content.site ?? "clinic"}/${content.device}/${PLACES[kind] ?? kind}`;
    assert.equal(parse(topic, bytes(content)).unreadable, undefined);
  });
}
