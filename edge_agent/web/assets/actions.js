// Buttons that have the device do something: what it answers is said beside them.

import { byId, el, show } from "./dom.js";
import { t } from "./i18n.js";
import { store } from "./store.js";

/** Say what a refusal says, with what to do. */
export function sayRefusal(place, error) {
  const text = error.remedy ? `${error.message} ${error.remedy}` : error.message;
  place.replaceChildren(el("p", { class: "refusal", role: "alert" }, text));
}

/** Run what a button does, once at a time, and say what went wrong in the element that data-says names. */
export function onPress(button, act) {
  button.addEventListener("click", async () => {
    const place = byId(button.dataset.says ?? "action-message");
    place.replaceChildren();
    button.setAttribute("aria-busy", "true");
    button.disabled = true;
    try {
      const said = await act();
      if (said) place.replaceChildren(el("p", { class: "done", role: "status" }, said));
    } catch (error) {
      sayRefusal(place, error);
    } finally {
      button.removeAttribute("aria-busy");
      button.disabled = false;
      allow();
    }
  });
}

/** Why a button cannot be used now; null if it can. */
function obstacle(button) {
  const state = store.state;
  if (!store.may(button.dataset.role ?? "look")) return t("action.role", { role: t(`role.${button.dataset.role}`) });
  if (!store.connected || state === null) return t("banner.lost");
  if (state.safe_mode) return t("banner.safe_mode");
  if (button.dataset.when === "running" && state.paused) return t("banner.paused");
  // What the view itself says is missing.
  return button.dataset.obstacle || null;
}

/** Disable what the role or the state does not allow, and say why: a title is not seen by fingers. */
export function allow() {
  for (const button of document.querySelectorAll("button[data-role]")) {
    if (button.getAttribute("aria-busy")) continue;
    const why = obstacle(button);
    button.disabled = why !== null;
    button.title = why ?? "";
  }
  for (const note of document.querySelectorAll(".why")) {
    const buttons = [...note.closest(".card").querySelectorAll("button[data-role]:disabled")];
    const reasons = new Set(buttons.filter((button) => button.checkVisibility()).map((button) => button.title));
    note.textContent = [...reasons].join(" ");
    show(note, reasons.size > 0);
  }
}

export function start() {
  store.on("state connected session language", allow);
}
