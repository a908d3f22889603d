// What got worse while the page was open.

import { Ring } from "./ring.js";

const KEPT = 100;

export class Alarms {
  entries = new Ring(KEPT);
  unseen_count = 0;
  /** The serious findings of each device that was seen working. */
  #known = new WeakMap();

  /** Compare a device's findings with those before: a device that was never seen working raises nothing. Returns the new ones. */
  look(device, found, { now_ms, at_ms }) {
    const serious = found.filter((each) => each.level === "serious");
    const keys = new Set(serious.map((each) => `${each.code} ${each.own?.code ?? ""}`));
    const before = this.#known.get(device);
    if (before === undefined && !device.liveness.present(now_ms)) return [];
    this.#known.set(device, keys);
    if (before === undefined) return [];
    const fresh = serious.filter((each) => !before.has(`${each.code} ${each.own?.code ?? ""}`));
    for (const finding of fresh) this.#raise({ at_ms, key: device.key, site: device.site, name: device.name, finding });
    return fresh;
  }

  /** The page itself lost its broker: nobody is watched. */
  away(at_ms) {
    this.#raise({ at_ms, key: null, finding: { code: "away", level: "serious" } });
  }

  #raise(entry) {
    this.entries.add(entry);
    this.unseen_count += 1;
  }

  seen() {
    this.unseen_count = 0;
  }
}
