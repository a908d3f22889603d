import assert from "node:assert/strict";
import test from "node:test";

import { DayCounts } from "../../../deploy/dashboard/src/day-counts.js";
import { Fleet } from "../../../deploy/dashboard/src/fleet.js";
import { RecentIds } from "../../../deploy/dashboard/src/recent-ids.js";
import { Ring } from "../../../deploy/dashboard/src/ring.js";
import { Sequences } from "../../../deploy/dashboard/src/sequences.js";
import { bytes, id, NEWER, result, SESSION, status, tell } from "./made.js";

const HOUR_MS = 3_600_000;

test("an id is known until as many newer ones have come", () => {
  const ids = new RecentIds(3);
  const [a, b, c, d] = [id(), id(), id(), id()];
  assert.deepEqual([a, b, a, c, d].map((each) => ids.add(each)), [true, true, false, true, true]);
  assert.deepEqual([a, d].map((each) => ids.add(each)), [true, false]);
});

test("ids that differ in any part are different", () => {
  const ids = new RecentIds(8);
  const all = ["00000000-0000-7000-8000-000000000001", "10000000-0000-7000-8000-000000000001",
    "00000000-0001-7000-8000-000000000001", "00000000-0000-7000-8000-100000000001"];
  for (const each of all) assert.equal(ids.add(each), true);
  for (const each of all) assert.equal(ids.add(each), false);
});

test("gaps are counted, and closed by what comes late", () => {
  const sequences = new Sequences();
  for (const seq of [5, 6, 10, 11]) sequences.add(SESSION, seq);
  assert.equal(sequences.missing_count, 3, "what came before the first is not missing");
  sequences.add(SESSION, 8);
  assert.equal(sequences.missing_count, 2);
  for (const seq of [7, 9, 9, 1]) sequences.add(SESSION, seq);
  assert.equal(sequences.missing_count, 0);
});

test("a new session begins anew, and gaps of an old one are not forgotten", () => {
  const sequences = new Sequences();
  sequences.add(SESSION, 0);
  sequences.add(SESSION, 2);
  for (let session = 0; session < 9; session += 1) sequences.add(`${NEWER}${session}`, 100);
  assert.equal(sequences.missing_count, 1);
});

test("a thousand gaps are counted in little memory", () => {
  const sequences = new Sequences();
  for (let seq = 0; seq <= 2000; seq += 2) sequences.add(SESSION, seq);
  assert.equal(sequences.missing_count, 1000);
});

test("the newest items are kept, the newest first", () => {
  const ring = new Ring(3);
  for (const item of [1, 2, 3, 4, 5]) ring.add(item);
  assert.deepEqual(ring.newest(), [5, 4, 3]);
  assert.deepEqual(ring.newest(1, (item) => item < 5), [4]);
  assert.equal(ring.oldest, 3);
});

test("a day's counts forget what is older than a day", () => {
  const counts = new DayCounts();
  const now = 100 * HOUR_MS;
  assert.equal(counts.add("blurred", now - 23 * HOUR_MS, now), true);
  assert.equal(counts.add("blurred", now, now), true);
  assert.equal(counts.add("moving", now, now), true);
  assert.equal(counts.add("moving", now - 24 * HOUR_MS, now), false);
  assert.equal(counts.add("moving", now + HOUR_MS, now), false);
  assert.deepEqual(counts.totals(now), [["blurred", 2], ["moving", 1]]);
  assert.deepEqual(counts.totals(now + HOUR_MS), [["blurred", 1], ["moving", 1]]);
});

test("a day's counts are bounded, whatever the reasons are called", () => {
  const counts = new DayCounts();
  for (let number = 0; number < 1000; number += 1) counts.add(`reason-${number}`, 0, 0);
  assert.equal(counts.totals(0).length, 65);
  assert.equal(counts.totals(0).reduce((sum, [, count]) => sum + count, 0), 1000);
});

test("a repeated result is counted once, and the retained last one not at all", () => {
  const fleet = new Fleet();
  const first = result({ seq: 3 });
  tell(fleet, "last", result({ seq: 2 }), { retained: true });
  tell(fleet, "result/camera0", first);
  tell(fleet, "last", first);
  tell(fleet, "result/camera0", { ...first, replayed: true });
  const device = tell(fleet, "result/camera0", result({ seq: 4, outcome: "rejected", reason: "blurred", label: null }));
  assert.deepEqual([fleet.results_count, fleet.repeats_count, fleet.missing_count], [2, 1, 0]);
  assert.equal(device.readings.size, 2);
  assert.equal(fleet.readings.newest(1)[0].reason, "blurred");
  assert.deepEqual(device.refusals.totals(fleet.readings.oldest.receivedAt), [["blurred", 1]]);
});

test("the last reading is the newest of the newest session, whatever a clock says and whatever comes late", () => {
  const fleet = new Fleet();
  const late = { captured_at: "2026-12-24T12:00:00Z" };
  tell(fleet, "last", result({ seq: 7 }), { retained: true });
  const device = tell(fleet, "result/camera0", result({ seq: 3, replayed: true, ...late }));
  assert.equal(device.newest().seq, 7);
  tell(fleet, "last", result({ seq: 6, ...late }));
  assert.equal(device.newest().seq, 7);
  tell(fleet, "result/camera0", result({ seq: 0, session: NEWER }));
  assert.deepEqual([device.newest().session, device.newest().seq], [NEWER, 0]);
});

test("a live result with a clock two weeks off counts for today, an old one of the backlog does not", () => {
  const fleet = new Fleet();
  const wrong = "2026-12-13T12:00:00Z";
  tell(fleet, "status", status("ready", { at: wrong }));
  tell(fleet, "result/camera0", result({ captured_at: wrong }));
  const device = tell(fleet, "result/camera0", result({ captured_at: "2026-11-15T12:00:00Z", replayed: true }));
  assert.deepEqual(device.outcomes.totals(fleet.readings.oldest.receivedAt), [["classified", 1]]);
  assert.equal(device.clockAhead_ms, 14 * 24 * HOUR_MS);
  tell(fleet, "status", status("ready"));
  assert.equal(device.clockAhead_ms, 0);
});

test("what cannot be read is counted by why, and changes nothing", () => {
  const fleet = new Fleet();
  tell(fleet, "status", bytes("{"));
  tell(fleet, "nothing", status("ready"));
  tell(fleet, "status", { ...status("ready"), schema: "leukoscope/status/v9" });
  assert.deepEqual([...fleet.unreadable].sort(), [["damaged", 1], ["foreign", 1], ["future", 1]]);
  assert.equal(fleet.devices.size, 0);
  assert.equal(fleet.examples.size, 3);
});

test("a device whose status was cleared is gone", () => {
  const fleet = new Fleet();
  tell(fleet, "status", status("ready"));
  tell(fleet, "status", new Uint8Array(0));
  assert.equal(fleet.devices.size, 0);
});

test("while the page was away no device became silent, and then each has a moment to speak", () => {
  const fleet = new Fleet();
  const device = tell(fleet, "status", status("ready"), { expiry_s: 3 });
  fleet.away(2000);
  assert.equal(device.state(fleet.seen_ms(60_000)), "ready");
  fleet.back(60_000);
  assert.equal(device.state(fleet.seen_ms(64_000)), "ready");
  assert.equal(device.state(fleet.seen_ms(66_000)), "silent");
});

test("health is void when the device is lost, and when it was not repeated", () => {
  const fleet = new Fleet();
  tell(fleet, "status", status("ready"), { expiry_s: 10_000 });
  const device = tell(fleet, "health", { ...status("ok"), schema: "leukoscope/health/v1", checks: [] });
  assert.notEqual(device.healthNow(900_000), null);
  assert.equal(device.healthNow(900_001), null);
  tell(fleet, "status", status("lost"));
  assert.equal(device.healthNow(0), null);
});

test("more devices than there is room for are counted and left out", () => {
  const fleet = new Fleet();
  for (let number = 0; number < 5001; number += 1) {
    const said = { ...status("ready"), device: `d-${number}` };
    fleet.take(`leukoscope/v1/clinic/d-${number}/status`, bytes(said), { at_ms: 0, now_ms: 0 });
  }
  assert.deepEqual([fleet.devices.size, fleet.left_out_count], [5000, 1]);
});
