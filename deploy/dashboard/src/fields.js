// Reading one field of a message that anybody may have written: the value if it has the type, else null.

const MOST_CHARACTERS = 300;
const MOST_ENTRIES = 64;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const SLUG = /^[a-z0-9-]+$/;

export function text(value) {
  return typeof value === "string" ? value.slice(0, MOST_CHARACTERS) : null;
}

export function slug(value) {
  return typeof value === "string" && value.length <= MOST_CHARACTERS && SLUG.test(value) ? value : null;
}

export function uuid(value) {
  const lower = typeof value === "string" ? value.toLowerCase() : "";
  return UUID.test(lower) ? lower : null;
}

export function number(value) {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

export function count(value) {
  return Number.isSafeInteger(value) && value >= 0 ? value : null;
}

export function flag(value) {
  return typeof value === "boolean" ? value : null;
}

/** Milliseconds since 1970, or null. */
export function time(value) {
  const at = typeof value === "string" && value.length <= 40 ? Date.parse(value) : NaN;
  return Number.isNaN(at) ? null : at;
}

/** The object, or an empty one: its fields are then missing. */
export function object(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
}

export function list(value) {
  return Array.isArray(value) ? value.slice(0, MOST_ENTRIES) : [];
}

/** Entries of an object whose values have a type: [[name, value], …]. */
export function entries(value, type) {
  return Object.entries(object(value))
    .slice(0, MOST_ENTRIES)
    .map(([name, each]) => [name.slice(0, MOST_CHARACTERS), type(each)])
    .filter(([, each]) => each !== null);
}
