// The form in which a person says which broker and who they are.

import { byId, el } from "../../../edge_agent/web/assets/dom.js";
import { brokerUrl } from "./config.js";
import { t } from "./i18n.js";

export function start({ settings, problems }, onConnect) {
  byId("connect-url").value = settings.broker;
  byId("connect-username").value = settings.username;
  byId("connect-version").value = settings.version;
  if (problems.length > 0) say(t("connect.config", { names: problems.join(", ") }));
  byId("connect-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const url = brokerUrl(byId("connect-url").value.trim());
    if (url === null) return say(t("connect.url.wrong"));
    if (location.protocol === "https:" && url.startsWith("ws:")) return say(t("connect.url.plain"));
    byId("connect-message").replaceChildren();
    return onConnect({
      url,
      username: byId("connect-username").value,
      password: byId("connect-password").value,
      version: byId("connect-version").value,
    });
  });
}

export function say(text) {
  byId("connect-message").replaceChildren(el("p", { class: "refusal", role: "alert" }, text));
}

export function forgetPassword() {
  byId("connect-password").value = "";
}
