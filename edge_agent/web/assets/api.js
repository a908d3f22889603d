// Requests to the device. A refusal becomes a Refusal, with the device's words and what to do.

import { t } from "./i18n.js";

export class Refusal extends Error {
  constructor(status, { code, message, remedy }, wait_s = null) {
    super(message);
    this.status = status;
    this.code = code;
    this.remedy = remedy ?? "";
    this.wait_s = wait_s;
  }
}

async function ask(path, options) {
  try {
    return await read(await fetch(path, options));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    // The browser's own words for a network that is gone differ by browser.
    throw new Refusal(0, { code: "unreachable", message: t("banner.lost"), remedy: t("banner.lost.remedy") });
  }
}

const unexpected = (status) => ({
  code: "unexpected",
  message: t("error.unexpected", { status }),
  remedy: t("error.unexpected.remedy"),
});

async function read(answer) {
  if (answer.status === 204) return null;
  const json = (answer.headers.get("content-type") ?? "").includes("json");
  const content = json ? await answer.json() : unexpected(answer.status);
  if (!answer.ok) {
    const refusal = content.error ?? content;
    const wait_s = Number(answer.headers.get("retry-after")) || null;
    if (answer.status === 401) dispatchEvent(new Event("logged-out"));
    throw new Refusal(answer.status, refusal, wait_s);
  }
  return content;
}

export async function get(path) {
  return ask(path, { cache: path.startsWith("/readings/") ? "default" : "no-store" });
}

export async function send(method, path, content) {
  return ask(path, {
    method,
    headers: { "Content-Type": "application/json" },
    body: content === undefined ? undefined : JSON.stringify(content),
  });
}

// crypto.randomUUID needs a secure context, which plain HTTP to a loopback name is not everywhere.
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, "$1-$2-$3-$4-$5");
}

/** Have the device carry out a command of its MQTT contract; returns the answer's data. */
export async function command(name, fields = {}) {
  return (await send("POST", `/commands/${name}`, { id: newId(), ...fields })).data;
}
