// Which broker: from config.json beside the page, from what was typed in before, or from where the page came.

const VERSIONS = { auto: [5, 4], 5: [5], "3.1.1": [4] };
const KEPT = "leukoscope-connection";

export const parseVersion = (name) => VERSIONS[name];

function brokerBeside({ protocol, host }) {
  if (protocol !== "http:" && protocol !== "https:") return "";
  return `${protocol === "https:" ? "wss" : "ws"}://${host}/mqtt`;
}

/** The address of a broker's WebSocket listener, or null if it is none. */
export function brokerUrl(value) {
  if (typeof value !== "string" || !URL.canParse(value)) return null;
  const url = new URL(value);
  // A password in an address would be shown and remembered.
  return ["ws:", "wss:"].includes(url.protocol) && !url.username && !url.password && !url.hash ? url.href : null;
}

/** What config.json says, each setting by itself: {settings, problems}. */
export function examine(content) {
  const given = typeof content === "object" && content !== null ? content : {};
  const { broker = null, username = null, mqtt_version = "auto", heartbeat_s = 60 } = given;
  const settings = {
    broker: broker === null ? null : brokerUrl(broker),
    username: typeof username === "string" ? username : "",
    version: Object.hasOwn(VERSIONS, mqtt_version) ? mqtt_version : "auto",
    heartbeat_s: typeof heartbeat_s === "number" && heartbeat_s >= 1 && heartbeat_s <= 3600 ? heartbeat_s : 60,
  };
  const problems = Object.entries({
    broker: broker !== null && settings.broker === null,
    username: username !== null && typeof username !== "string",
    mqtt_version: settings.version !== mqtt_version,
    heartbeat_s: settings.heartbeat_s !== heartbeat_s,
  });
  const known = new Set(["broker", "username", "mqtt_version", "heartbeat_s"]);
  return {
    settings: { ...settings, broker: settings.broker ?? brokerBeside(globalThis.location ?? {}) },
    problems: [
      ...problems.filter(([, wrong]) => wrong).map(([name]) => name),
      ...Object.keys(given).filter((name) => !known.has(name)),
      ...(given === content ? [] : ["config.json"]),
    ],
  };
}

/** Without a file beside the page the settings are the usual ones. */
export async function load() {
  try {
    const answer = await fetch("config.json", { cache: "no-store" });
    return examine(answer.ok ? await answer.json() : {});
  } catch (error) {
    return examine(error instanceof SyntaxError ? "damaged" : {});
  }
}

/** What was typed in, for as long as the tab is open. */
export function remembered() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT));
  } catch {
    return null;
  }
}

export const remember = (typed) => sessionStorage.setItem(KEPT, JSON.stringify(typed));

export const forget = () => sessionStorage.removeItem(KEPT);
