// The newest items, as many as there is room for.

export class Ring {
  #items = [];
  #next = 0;
  #capacity;

  constructor(capacity) {
    this.#capacity = capacity;
  }

  get capacity() {
    return this.#capacity;
  }

  get size() {
    return this.#items.length;
  }

  get oldest() {
    return this.#items[this.#items.length < this.#capacity ? 0 : this.#next];
  }

  add(item) {
    this.#items[this.#next] = item;
    this.#next = (this.#next + 1) % this.#capacity;
  }

  /** The newest items that a test lets through, the newest first; at most so many. */
  newest(most = Infinity, wanted = () => true) {
    const found = [];
    for (let back = 1; back <= this.#items.length && found.length < most; back += 1) {
      const item = this.#items[(this.#next - back + this.#capacity) % this.#capacity];
      if (wanted(item)) found.push(item);
    }
    return found;
  }
}
