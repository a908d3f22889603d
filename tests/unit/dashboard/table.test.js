import assert from "node:assert/strict";
import test from "node:test";

import { brokerUrl, examine } from "../../../deploy/dashboard/src/config.js";
import { Fleet } from "../../../deploy/dashboard/src/fleet.js";
import { COLUMNS, csv, sorted } from "../../../deploy/dashboard/src/table.js";
import { result, tell } from "./made.js";

function rows(...changes) {
  const fleet = new Fleet();
  changes.forEach((each, seq) => tell(fleet, "result/camera0", result({ seq, ...each })));
  return fleet.readings.newest();
}

test("rows are sorted both ways, and what is not known comes last", () => {
  const made = rows({ malignant_ratio: 0.5 }, { malignant_ratio: null }, { malignant_ratio: 0.1 });
  const ratios = (descending) => sorted(made, "malignant", descending).map((row) => row.malignantRatio);
  assert.deepEqual(ratios(false), [0.1, 0.5, null]);
  assert.deepEqual(ratios(true), [0.5, 0.1, null]);
});

test("rows that are equal keep their order, and the given rows stay as they are", () => {
  const made = rows({}, {}, {});
  assert.deepEqual(sorted(made, "device", true), made);
});

test("a file has every column, and a header", () => {
  const [head, line, end] = csv(rows({ label: "benign" })).split("\r\n");
  assert.equal(head, Object.keys(COLUMNS).join(","));
  assert.equal(line.split(",").length, Object.keys(COLUMNS).length);
  assert.match(line, /,clinic,scope-1,camera0,/);
  assert.match(line, /,research-only$/);
  assert.equal(end, "");
});

test("text is quoted, and no text becomes a formula", () => {
  const file = csv(rows({ label: 'a "b", c' }, { label: "=HYPERLINK(1)" }, { label: "+1" }, { label: "@x" }, { label: "-1" }));
  for (const field of ['"a ""b"", c"', "'=HYPERLINK(1)", "'+1", "'@x", "'-1"]) assert.ok(file.includes(`,${field},`), field);
});

test("an address of a broker is a WebSocket's, without a password", () => {
  assert.equal(brokerUrl("wss://broker.example.org/mqtt"), "wss://broker.example.org/mqtt");
  for (const wrong of ["", "broker", "https://x/", "javascript:alert(1)", "wss://me:secret@x/", 7, null]) {
    assert.equal(brokerUrl(wrong), null, String(wrong));
  }
});

test("each wrong setting is named, and the others are used", () => {
  const { settings, problems } = examine({ broker: "http://x", username: "viewer", heartbeat_s: -1, password: "secret" });
  assert.deepEqual(problems, ["broker", "heartbeat_s", "password"]);
  assert.deepEqual([settings.username, settings.heartbeat_s, settings.version], ["viewer", 60, "auto"]);
  assert.deepEqual(examine("damaged").problems, ["config.json"]);
  assert.deepEqual(examine({}).problems, []);
});
