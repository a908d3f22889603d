// Logging in, where the device asks for a password.

import { byId, el, number, show } from "./dom.js";
import { t } from "./i18n.js";
import { get, send } from "./api.js";
import { store } from "./store.js";

let entered = () => {};

async function logIn(event) {
  event.preventDefault();
  const form = event.target;
  const place = byId("login-message");
  place.replaceChildren();
  try {
    await send("POST", "/session", { password: form.password.value });
    form.reset();
    await ask();
  } catch (error) {
    const words =
      error.status === 429 ? t("login.wait", { seconds: number(error.wait_s ?? 60, 0) }) : t("login.wrong");
    place.replaceChildren(el("p", { class: "refusal", role: "alert" }, words));
    form.password.select();
  }
}

/** Learn who is logged in; show the log-in if nobody is. Returns whether the page may be used. */
export async function ask() {
  const session = await get("/session");
  store.set("session", session);
  const outside = session.needs_login && session.role === "none";
  show(byId("login"), outside);
  show(byId("page"), !outside);
  if (outside) byId("password").focus();
  else entered();
  return !outside;
}

export function start(onEntered) {
  entered = onEntered;
  byId("login-form").addEventListener("submit", logIn);
  addEventListener("logged-out", () => {
    show(byId("login"), true);
    show(byId("page"), false);
  });
}
