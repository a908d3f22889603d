// The readings that this page has seen, as a table that sorts and can be saved.

import { byId, el } from "../../../edge_agent/web/assets/dom.js";
import { moment, whole } from "./format.js";
import { t } from "./i18n.js";
import { READING_HEADS, readingCells, setText } from "./parts.js";
import { csv, SORTABLE, sorted } from "./table.js";

const PAGE = 100;
const FIRST = { by: "received", descending: true };

let fleet = null;
let order = FIRST;
let page = 0;
/** The rows in their order; null while the newest ones are shown as they come. */
let held = null;
let heldAt_count = 0;
let drawn = "";

const filter = () => ({
  text: byId("readings-text").value.trim().toLowerCase(),
  outcome: byId("readings-outcome").value,
});

function wanted({ text, outcome }) {
  return (row) =>
    (outcome === "" || row.outcome === outcome) &&
    (text === "" || [row.device.key, row.label, row.reason, row.errorCode, row.specimen].some((each) => each?.toLowerCase().includes(text)));
}

const isLive = () => order.by === FIRST.by && order.descending && page === 0;

/** Take the readings as they are now. */
function hold() {
  const rows = fleet.readings.newest(Infinity, wanted(filter()));
  held = order.by === FIRST.by && order.descending ? rows : sorted(rows, order.by, order.descending);
  heldAt_count = fleet.results_count;
}

function change(make) {
  make();
  held = null;
  drawn = "";
  draw({ fleet });
}

function heads() {
  return Object.entries(READING_HEADS).map(([name, key]) => {
    if (!SORTABLE.includes(name)) return el("th", { scope: "col" }, t(key));
    const now = order.by === name;
    const button = el("button", { type: "button", class: "sort", "data-sort": name }, t(key), el("span", { "aria-hidden": "true" }, now ? (order.descending ? " ↓" : " ↑") : ""));
    button.addEventListener("click", () => {
      change(() => {
        order = { by: name, descending: now ? !order.descending : name === "received" || name === "captured" };
        page = 0;
      });
      byId("readings-heads").querySelector(`[data-sort="${name}"]`).focus();
    });
    return el("th", { scope: "col", "aria-sort": now ? (order.descending ? "descending" : "ascending") : "none" }, button);
  });
}

function drawCover() {
  const { readings } = fleet;
  const from = readings.oldest;
  setText(
    byId("readings-cover"),
    from === undefined ? t("readings.none") : t("readings.cover", {
      count: whole(readings.size), most: whole(readings.capacity), from: moment(from.receivedAt), all: whole(fleet.results_count),
    }),
  );
}

/** Nobody reads faster than once a second, so what only came in waits for the next look at everything. */
export function draw({ fleet: given, all = true }) {
  fleet = given;
  if (!all && drawn !== "") return;
  if (!isLive() && held === null) hold();
  const rows = isLive() ? fleet.readings.newest(PAGE, wanted(filter())) : held.slice(page * PAGE, (page + 1) * PAGE);
  const newer = isLive() ? 0 : fleet.results_count - heldAt_count;
  byId("readings-newer").hidden = newer === 0;
  setText(byId("readings-newer"), t("readings.newer", { count: whole(newer) }));
  const key = [rows.length, rows[0]?.id, rows.at(-1)?.id, order.by, order.descending, page, document.documentElement.lang].join();
  if (key === drawn) return;
  drawn = key;
  drawCover();
  byId("readings-heads").replaceChildren(...heads());
  byId("readings-rows").replaceChildren(...rows.map((row) => el("tr", { "data-id": row.id }, ...readingCells(row).map((cell) => el("td", {}, cell)))));
  const from = page * PAGE;
  setText(byId("readings-page"), t("readings.page", { from: whole(rows.length === 0 ? 0 : from + 1), to: whole(from + rows.length) }));
  byId("readings-before").disabled = page === 0;
  byId("readings-after").disabled = rows.length < PAGE;
}

/** All rows of the filter, in the table's order. */
function save() {
  hold();
  const rows = held;
  const url = URL.createObjectURL(new Blob([csv(rows)], { type: "text/csv;charset=utf-8" }));
  const stamp = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
  const link = el("a", { href: url, download: `leukoscope-readings-${stamp}.csv` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  if (isLive()) held = null;
  setText(byId("readings-saved"), t("readings.saved", { count: whole(rows.length) }));
}

export function start() {
  byId("readings-text").addEventListener("input", () => change(() => (page = 0)));
  byId("readings-outcome").addEventListener("change", () => change(() => (page = 0)));
  byId("readings-newer").addEventListener("click", () => change(() => {}));
  byId("readings-save").addEventListener("click", save);
  // Leafing must not move under the reader: what is held stays.
  for (const [id, step] of [["readings-before", -1], ["readings-after", 1]]) {
    byId(id).addEventListener("click", () => {
      if (held === null) hold();
      page += step;
      drawn = "";
      draw({ fleet });
    });
  }
}
