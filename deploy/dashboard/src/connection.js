// The connection to the broker. It only ever subscribes.

import { parseVersion } from "./config.js";

const FILTER = "leukoscope/v1/#";
const KEEPALIVE_S = 60;
const PAUSE_MS = 2_000;
const SESSION_S = 120;
/** Codes of CONNACK for a user or password that is not accepted, of MQTT 3.1.1 and 5. */
const REFUSED = new Set([4, 5, 0x86, 0x87]);

function clientId() {
  const random = crypto.getRandomValues(new Uint8Array(8));
  return `leukoscope-dashboard-${[...random].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/**
 * Connect, and again whenever that is needed, until close() is called. The callbacks: onMessage(topic, payload,
 * {retained, expiry_s}), onConnected(version), onAway(), and onRefused(reason), after which it has ended.
 */
export class Connection {
  #settings;
  #callbacks;
  #versions;
  #client = null;
  #timer = null;
  #id = clientId();

  constructor(settings, callbacks) {
    this.#settings = settings;
    this.#callbacks = callbacks;
    this.#versions = parseVersion(settings.version);
    this.#open(0);
  }

  #open(attempt) {
    const { url, username, password } = this.#settings;
    const version = this.#versions[attempt % this.#versions.length];
    let connected = false;
    const client = globalThis.mqtt.connect(url, {
      protocolVersion: version,
      clientId: this.#id,
      username: username || undefined,
      password: username ? password : undefined,
      keepalive: KEEPALIVE_S,
      // What comes while the connection is away for a moment is kept; 3.1.1 would keep it for ever.
      clean: version !== 5,
      properties: version === 5 ? { sessionExpiryInterval: SESSION_S } : undefined,
      reconnectPeriod: PAUSE_MS,
      // The library's own timer runs in a worker that the page's policy forbids.
      timerVariant: "native",
    });
    this.#client = client;
    client.on("connect", ({ sessionPresent }) => {
      connected = true;
      if (!sessionPresent) {
        client.subscribe(FILTER, { qos: 1 }, (error, granted) => {
          if (error || (granted?.[0]?.qos ?? 0) >= 0x80) this.#refuse("subscription");
        });
      }
      this.#callbacks.onConnected(version === 5 ? "5" : "3.1.1");
    });
    client.on("message", (topic, payload, packet) => {
      const expiry_s = packet.properties?.messageExpiryInterval ?? null;
      this.#callbacks.onMessage(topic, payload, { retained: packet.retain, expiry_s });
    });
    client.on("error", (error) => {
      if (REFUSED.has(error.code)) this.#refuse("credentials");
    });
    client.on("close", () => {
      if (client !== this.#client) return;
      this.#callbacks.onAway();
      if (connected || this.#versions.length === 1) return;
      // A broker without MQTT 5 may just hang up.
      client.end(true);
      this.#timer = setTimeout(() => this.#open(attempt + 1), PAUSE_MS);
    });
  }

  #refuse(reason) {
    this.close();
    this.#callbacks.onRefused(reason);
  }

  close() {
    clearTimeout(this.#timer);
    const client = this.#client;
    this.#client = null;
    client?.end(true);
  }
}
