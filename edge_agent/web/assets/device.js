// The device itself: its state, self-test, the bundle, and this page's own settings.

import { byId, el, number, show } from "./dom.js";
import { has, LANGUAGES, t, use } from "./i18n.js";
import { command, send } from "./api.js";
import { onPress } from "./actions.js";
import { store } from "./store.js";

let modelInUse = null;
let chosenModel = null;

function draw() {
  const state = store.state;
  if (state === null) return;
  const pairs = [
    ["device.name", `${state.site} / ${state.device}`],
    ["device.software", state.software],
    ["device.model", [`${state.model ?? "–"} ${state.model_version ?? ""}`, state.in_use?.head].filter(Boolean).join(" + ")],
    ["device.trigger", t(`device.trigger.${state.trigger}`)],
    ["device.readings", number(state.readings_count, 0)],
    ["device.waiting", number(state.waiting_count, 0)],
  ];
  byId("device-facts").replaceChildren(
    ...pairs.flatMap(([key, value]) => [el("dt", {}, t(key)), el("dd", {}, value)]),
  );
  const select = byId("model");
  if (document.activeElement !== select) {
    select.replaceChildren(
      ...state.models.flatMap((model) => [
        modelOption(model, [model.reference], `${model.name} ${model.version}`),
        ...model.heads.map((head) =>
          modelOption(head, [model.reference, head.reference], `${model.name} ${model.version} + ${head.name} ${head.version}`),
        ),
      ]),
    );
    const used = state.in_use === null ? "" : [state.in_use.bundle, state.in_use.head].filter(Boolean).join("\n");
    // The state comes again and again: what somebody has chosen stays until another model is in use.
    if (used !== modelInUse) chosenModel = null;
    modelInUse = used;
    select.value = chosenModel ?? used;
    if (select.selectedIndex < 0) select.value = used;
  }
}

/** An entry of the list of models, whose value is the bundle, or the bundle and the head. */
function modelOption(model, value, name) {
  const notes = [model.demonstration ? t("device.demonstration") : "", model.provisional ? t("device.provisional") : ""];
  return el("option", { value: value.join("\n") }, [name, ...notes.filter((note) => note)].join(", "));
}

/** The entry of the list of models that is chosen, as commands name it. */
export function listedModel() {
  const [model, head = null] = byId("model").value.split("\n");
  return { model, head };
}

function drawSession() {
  const { role, needs_login: needs } = store.session;
  byId("session-role").textContent = t(`role.${role}`);
  show(byId("log-out"), needs && role !== "none");
}

async function selfTest() {
  const { checks } = await command("self-test");
  byId("checks").replaceChildren(
    ...checks.map((check) =>
      el(
        "li",
        { class: `check ${check.state}` },
        el("b", {}, t(`check.${check.state}`)),
        ` ${has(`part.${check.name}`) ? t(`part.${check.name}`) : check.name}`,
        check.message ? el("p", {}, [check.message, check.remedy].filter(Boolean).join(" ")) : null,
      ),
    ),
  );
}

function useTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  localStorage.setItem("theme", theme);
  byId("theme").value = theme;
}

/** Whether single keys do something: some people's tools send keys that they did not mean. */
export const keysAreOn = () => localStorage.getItem("keys") !== "off";

export function start() {
  onPress(byId("self-test"), selfTest);
  onPress(byId("choose-model"), async () => {
    const { model, version } = await command("select-model", listedModel());
    return t("device.chosen", { model: `${model} ${version}` });
  });
  byId("model").addEventListener("change", (event) => {
    chosenModel = event.target.value;
  });
  byId("log-out").addEventListener("click", async () => {
    await send("DELETE", "/session");
    location.reload();
  });
  byId("language").replaceChildren(
    ...Object.entries(LANGUAGES).map(([code, name]) => el("option", { value: code, lang: code }, name)),
  );
  byId("language").value = document.documentElement.lang;
  byId("language").addEventListener("change", async (event) => {
    await use(event.target.value);
    store.dispatchEvent(new Event("language"));
  });
  byId("theme").addEventListener("change", (event) => useTheme(event.target.value));
  useTheme(localStorage.getItem("theme") ?? "auto");
  byId("keys").checked = keysAreOn();
  byId("keys").addEventListener("change", (event) => localStorage.setItem("keys", event.target.checked ? "on" : "off"));
  store.on("state language", draw);
  store.on("session language", drawSession);
  drawSession();
}
