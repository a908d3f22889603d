// Draws at most a few times a second, in an animation frame, however much has changed.

const INTERVAL_MS = 200;

export class Frames {
  #draw;
  #asked = false;
  #drawn_ms = -Infinity;

  constructor(draw) {
    this.#draw = draw;
  }

  ask() {
    if (this.#asked) return;
    this.#asked = true;
    setTimeout(() => requestAnimationFrame(() => this.now()), Math.max(0, this.#drawn_ms + INTERVAL_MS - performance.now()));
  }

  now() {
    this.#asked = false;
    this.#drawn_ms = performance.now();
    this.#draw();
  }
}
