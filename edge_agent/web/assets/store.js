// What the page knows of the device. Modules listen to "state", "reading", "session", "connection" and "tick".

class Store extends EventTarget {
  state = null;
  /** The details of the latest reading whose picture is loaded: {result, labels, picture, quality_limits}. */
  shown = null;
  session = { role: "administer", needs_login: false };
  connected = true;
  #clockOffset_ms = 0;

  set(name, value) {
    this[name] = value;
    this.dispatchEvent(new Event(name));
  }

  /** The device's clock, which the age of a reading is counted against. */
  setClock(at) {
    this.#clockOffset_ms = Date.parse(at) - Date.now();
    this.dispatchEvent(new Event("tick"));
  }

  now_ms() {
    return Date.now() + this.#clockOffset_ms;
  }

  may(role) {
    const order = ["none", "look", "work", "administer"];
    return order.indexOf(this.session.role) >= order.indexOf(role);
  }

  on(names, listener) {
    for (const name of names.split(" ")) this.addEventListener(name, listener);
  }
}

export const store = new Store();
