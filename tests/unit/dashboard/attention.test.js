import assert from "node:assert/strict";
import test from "node:test";

import { Alarms } from "../../../deploy/dashboard/src/alarms.js";
import { findings, needing } from "../../../deploy/dashboard/src/attention.js";
import { Fleet } from "../../../deploy/dashboard/src/fleet.js";
import { health, metrics, result, status, tell } from "./made.js";

const codes = (device, now_s = 0) => findings(device, 1000 * now_s).map((each) => each.code);

function working(fleet = new Fleet()) {
  return [fleet, tell(fleet, "status", status("ready"), { expiry_s: 1000 })];
}

test("a device that works needs nobody", () => {
  const [fleet, device] = working();
  for (let seq = 0; seq < 30; seq += 1) tell(fleet, "result/camera0", result({ seq }));
  tell(fleet, "metrics", metrics());
  assert.deepEqual(codes(device), []);
});

for (const [state, code] of [["lost", "lost"], ["disconnected", "stopped"], ["sleeping", "paused"], ["degraded", "degraded"]]) {
  test(`the state ${state} is said as ${code}`, () => {
    assert.deepEqual(codes(tell(new Fleet(), "status", status(state))), [code]);
  });
}

test("a device that was not heard in time is silent, and its health says nothing", () => {
  const [fleet, device] = working();
  tell(fleet, "health", health({ name: "camera" }));
  assert.deepEqual(codes(device), ["check"]);
  assert.deepEqual(codes(device, 1001), ["silent"]);
});

test("checks are said in the device's words, those of certificates, clock and drift by what they are", () => {
  const [fleet, device] = working();
  const names = ["camera", "model", "clock"];
  tell(fleet, "health", health(...names.map((name) => ({ name })), { name: "broker-tls", code: "certificate_expires" }));
  assert.deepEqual(codes(device), ["check", "certificate", "drift", "clock"]);
  assert.equal(findings(device, 0)[0].own.remedy, "Do.");
});

test("a certificate that has ended is serious, one that ends soon is not", () => {
  for (const [code, level] of [["certificate_expiring", "note"], ["certificate_expired", "serious"]]) {
    const [fleet, device] = working();
    tell(fleet, "health", health({ name: "certificates", code }));
    assert.deepEqual(findings(device, 0).map((each) => [each.code, each.level]), [["certificate", level]]);
  }
});

test("safe mode says what is wrong with the configuration", () => {
  const fleet = new Fleet();
  tell(fleet, "status", status("degraded", { code: "agent_safe_mode" }));
  const device = tell(fleet, "health", health({ name: "configuration", message: "Line 3." }));
  assert.deepEqual(findings(device, 0).map((each) => [each.code, each.own.message]), [["safe_mode", "Line 3."]]);
});

test("a backlog is said when it grows or is old, not when it is just there", () => {
  for (const [series, age_s, expected] of [
    [[50, 50, 50], 10, []], [[10, 30, 90], 10, ["backlog"]], [[90, 30, 10], 10, []], [[3, 4, 5], 10, []], [[5], 301, ["backlog"]],
  ]) {
    const [fleet, device] = working();
    for (const waiting_count of series) tell(fleet, "metrics", metrics({ waiting_count, oldest_age_s: age_s }));
    assert.deepEqual(codes(device), expected, series.join());
  }
});

test("a device that refuses everything is said with the commonest reason", () => {
  const [fleet, device] = working();
  const refused = (seq, reason) => tell(fleet, "result/camera0", result({ seq, outcome: "abstained", reason, label: null }));
  for (let seq = 0; seq < 19; seq += 1) refused(seq, seq % 3 === 0 ? "blurred" : "unfamiliar");
  assert.deepEqual(codes(device), [], "too few to say");
  refused(19, "unfamiliar");
  assert.equal(findings(device, 0)[0].reason, "unfamiliar");
  tell(fleet, "result/camera0", result({ seq: 20 }));
  assert.deepEqual(codes(device), []);
});

test("a provisional model and a model that was given up are said", () => {
  const [fleet, device] = working();
  const model = { name: "mine", version: "1.0.0" };
  tell(fleet, "info", { ...status(), schema: "leukoscope/info/v1", provisional: true, model, software: {}, cameras: [] });
  tell(fleet, "model/reported", {
    ...status("rolled_back"), schema: "leukoscope/model-reported/v1", model, desired: { name: "new" },
    error: { code: "model_slow", message: "Too slow.", remedy: "Take another." },
  });
  assert.deepEqual(codes(device), ["roll_out", "provisional"]);
  assert.equal(findings(device, 0)[0].name, "new");
});

test("the most serious device comes first", () => {
  const said = (key, ...found) => ({ device: { key }, findings: found.map((code) => ({ code })) });
  const order = needing([said("a", "paused"), said("b"), said("c", "backlog", "paused"), said("d", "lost"), said("a2", "lost")]);
  assert.deepEqual(order.map(({ device }) => device.key), ["a2", "d", "c", "a"]);
});

test("an alarm is raised once when a device that worked gets worse, and again after it was well", () => {
  const [fleet, device] = working();
  const alarms = new Alarms();
  const look = () => alarms.look(device, findings(device, 0), { now_ms: 0, at_ms: 0 }).map((each) => each.code);
  assert.deepEqual(look(), []);
  tell(fleet, "status", status("lost"));
  assert.deepEqual([look(), look()], [["lost"], []]);
  tell(fleet, "status", status("ready"), { expiry_s: 1000 });
  look();
  tell(fleet, "status", status("lost"));
  assert.deepEqual(look(), ["lost"]);
  assert.deepEqual([alarms.unseen_count, alarms.entries.size], [2, 2]);
});

test("a device that was lost before the page was opened raises no alarm", () => {
  const fleet = new Fleet();
  const device = tell(fleet, "status", status("lost"), { retained: true });
  const alarms = new Alarms();
  const look = () => alarms.look(device, findings(device, 0), { now_ms: 0, at_ms: 0 });
  assert.deepEqual(look(), []);
  // It comes back with a problem that it may have had all along.
  tell(fleet, "status", status("ready"));
  tell(fleet, "health", health({ name: "camera" }));
  assert.deepEqual(look(), []);
});
