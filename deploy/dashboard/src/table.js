// The readings as rows: their columns, order and file.

const iso = (time_ms) => (time_ms === null ? null : new Date(time_ms).toISOString());

/** Each column of the file, named as the collector's, with what it is of a reading. */
export const COLUMNS = {
  received_at: (row) => iso(row.receivedAt),
  captured_at: (row) => iso(row.capturedAt),
  site: (row) => row.device.site,
  device: (row) => row.device.name,
  camera: (row) => row.camera,
  session: (row) => row.session,
  seq: (row) => row.seq,
  id: (row) => row.id,
  clock_synchronised: (row) => row.clockSynchronised,
  replayed: (row) => row.replayed,
  demonstration: (row) => row.demonstration,
  provisional: (row) => row.provisional,
  specimen: (row) => row.specimen,
  slide: (row) => row.slide,
  field: (row) => row.field,
  outcome: (row) => row.outcome,
  reason: (row) => row.reason,
  error_code: (row) => row.errorCode,
  label: (row) => row.label,
  malignant: (row) => row.malignant,
  malignant_ratio: (row) => row.malignantRatio,
  confidence_ratio: (row) => row.confidenceRatio,
  latency_total_ms: (row) => row.latency_ms,
  model_name: (row) => row.modelName,
  model_version: (row) => row.modelVersion,
  head_name: (row) => row.headName,
  head_version: (row) => row.headVersion,
  software: (row) => row.software,
  use: () => "research-only",
};

/** What a table can be sorted by, where it is not the column as it is. */
const KEYS = {
  received: (row) => row.receivedAt,
  captured: (row) => row.capturedAt,
  device: (row) => row.device.key,
  outcome: (row) => row.outcome,
  reason: (row) => row.label ?? row.reason ?? row.errorCode,
  malignant: (row) => row.malignantRatio,
  latency: (row) => row.latency_ms,
  specimen: (row) => row.specimen,
};

export const SORTABLE = Object.keys(KEYS);

/** A sorted copy: what is not known comes last, and equal rows keep their order. */
export function sorted(rows, by, descending) {
  const key = KEYS[by];
  const sign = descending ? -1 : 1;
  return rows
    .map((row) => [key(row), row])
    .sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      return a === b ? 0 : a < b ? -sign : sign;
    })
    .map(([, row]) => row);
}

/** A field of RFC 4180. What a spreadsheet would take for a formula becomes text. */
function field(value) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "string") return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function csv(rows) {
  const columns = Object.values(COLUMNS);
  const lines = [Object.keys(COLUMNS).join(","), ...rows.map((row) => columns.map((of) => field(of(row))).join(","))];
  return `${lines.join("\r\n")}\r\n`;
}
