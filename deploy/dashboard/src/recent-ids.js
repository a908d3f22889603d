// The newest ids of a device in memory of a fixed size, so that a repeated message is counted once.

const WORDS = 4;

export class RecentIds {
  #words;
  #capacity;
  #next = 0;

  constructor(capacity = 1024) {
    this.#capacity = capacity;
    this.#words = new Uint32Array(capacity * WORDS);
  }

  /** Remember an id in UUID's form; false if it is already known. */
  add(id) {
    const hex = id.replaceAll("-", "");
    const [a, b, c, d] = [0, 8, 16, 24].map((at) => Number.parseInt(hex.slice(at, at + 8), 16) >>> 0);
    const words = this.#words;
    // The last word of a UUIDv7 is random, the first ones are nearly the same.
    for (let at = 0; at < words.length; at += WORDS) {
      if (words[at + 3] === d && words[at + 2] === c && words[at + 1] === b && words[at] === a) return false;
    }
    words.set([a, b, c, d], this.#next * WORDS);
    this.#next = (this.#next + 1) % this.#capacity;
    return true;
  }
}
