import assert from "node:assert/strict";
import test from "node:test";

import { Liveness } from "../../../deploy/dashboard/src/liveness.js";
import { NEWER, SESSION } from "./made.js";

function said(liveness, state, at_s, { session = SESSION, retained = false, expiry_s = null } = {}) {
  const context = { now_ms: 1000 * at_s, retained, expiry_s, heartbeat_s: 60 };
  return liveness.take({ session, state, code: null, at: null }, context);
}

test("a device is what its newest session says, and an old will is ignored and counted", () => {
  const liveness = new Liveness();
  said(liveness, "ready", 0);
  said(liveness, "ready", 5, { session: NEWER });
  assert.equal(said(liveness, "lost", 6), false);
  assert.equal(liveness.state(6000), "ready");
  assert.equal(liveness.ignoredWills, 1);
  assert.equal(said(liveness, "lost", 7, { session: NEWER }), true);
  assert.equal(liveness.state(7000), "lost");
});

test("the will of a session that nobody heard is believed if it is the newest", () => {
  const liveness = new Liveness();
  said(liveness, "ready", 0);
  said(liveness, "lost", 1, { session: NEWER });
  assert.equal(liveness.state(1000), "lost");
});

test("a new session whose clock was set back is believed, and the will of the one before is not", () => {
  const liveness = new Liveness();
  said(liveness, "ready", 0, { session: NEWER });
  said(liveness, "ready", 5, { session: SESSION });
  said(liveness, "lost", 6, { session: NEWER });
  assert.equal(liveness.state(6000), "ready");
  assert.equal(liveness.session, SESSION);
});

test("what is left of the broker's expiry decides, also of a retained status", () => {
  const liveness = new Liveness();
  said(liveness, "ready", 0, { retained: true, expiry_s: 40 });
  assert.equal(liveness.state(40_000), "ready");
  assert.equal(liveness.state(40_001), "silent");
  assert.equal(liveness.present(40_001), false);
  said(liveness, "ready", 50, { expiry_s: 180 });
  assert.equal(liveness.state(50_000), "ready");
});

test("without an expiry it is three of the device's own heartbeats", () => {
  const liveness = new Liveness();
  said(liveness, "ready", 0);
  assert.equal(liveness.state(180_000), "ready", "the usual heartbeat until it is known");
  for (const at_s of [10, 20, 30]) said(liveness, "ready", at_s);
  assert.equal(liveness.heartbeat_ms, 10_000);
  assert.equal(liveness.state(60_000), "ready");
  assert.equal(liveness.state(60_001), "silent");
});

test("a change of state between heartbeats does not make the heartbeat look shorter", () => {
  const liveness = new Liveness();
  for (const [at_s, state] of [[0, "ready"], [60, "ready"], [61, "sleeping"], [62, "ready"]]) said(liveness, state, at_s);
  assert.equal(liveness.heartbeat_ms, 60_000);
});

test("neither a device that was stopped nor one that is lost becomes silent", () => {
  for (const state of ["disconnected", "lost"]) {
    const liveness = new Liveness();
    said(liveness, state, 0, { expiry_s: 10 });
    assert.equal(liveness.state(1e9), state);
    assert.equal(liveness.present(0), false);
  }
});

test("two programs with one name are noticed, a restart is not", () => {
  const liveness = new Liveness();
  said(liveness, "ready", 0);
  said(liveness, "ready", 1, { session: NEWER });
  assert.equal(liveness.rivalries, 0);
  said(liveness, "ready", 2);
  said(liveness, "ready", 3, { session: NEWER });
  assert.equal(liveness.rivalries, 2);
});
