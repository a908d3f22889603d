// Counts of the last 24 hours, by the hour.

const HOUR_MS = 3_600_000;
const HOURS = 24;
const MOST_KEYS = 64;

export class DayCounts {
  /** Hour since 1970 → counts by key. */
  #hours = new Map();

  /** Count a key at a time; false if that was more than a day ago or is yet to come. */
  add(key, at_ms, now_ms) {
    const [hour, now] = [Math.floor(at_ms / HOUR_MS), Math.floor(now_ms / HOUR_MS)];
    if (hour > now || hour <= now - HOURS) return false;
    if (!this.#hours.has(hour)) this.#hours.set(hour, new Map());
    const counts = this.#hours.get(hour);
    const kept = counts.has(key) || counts.size < MOST_KEYS ? key : "other";
    counts.set(kept, (counts.get(kept) ?? 0) + 1);
    for (const each of this.#hours.keys()) if (each <= now - HOURS) this.#hours.delete(each);
    return true;
  }

  /** Counts by key, the largest first: [[key, count], …]. */
  totals(now_ms) {
    const oldest = Math.floor(now_ms / HOUR_MS) - HOURS;
    const sums = new Map();
    for (const [hour, counts] of this.#hours) {
      if (hour <= oldest) continue;
      for (const [key, count] of counts) sums.set(key, (sums.get(key) ?? 0) + count);
    }
    return [...sums].sort(([a, many], [b, more]) => more - many || (a < b ? -1 : 1));
  }
}
