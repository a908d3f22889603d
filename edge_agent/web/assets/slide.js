// The slide under the microscope: start, progress, finish.

import { byId, el, number, show } from "./dom.js";
import { t } from "./i18n.js";
import { command } from "./api.js";
import { onPress, sayRefusal } from "./actions.js";
import { store } from "./store.js";
import { reportLinks } from "./slides.js";

function draw() {
  const slide = store.state?.slide ?? null;
  show(byId("slide-form"), slide === null);
  show(byId("slide-open"), slide !== null);
  if (slide === null) return;
  const counted = slide.judged_count;
  const wished = slide.wished_fields_count;
  byId("slide-name").textContent = t("slide.name", { id: slide.specimen.id, slide: slide.specimen.slide });
  byId("slide-progress").max = wished ?? Math.max(1, counted);
  byId("slide-progress").value = counted;
  byId("slide-count").textContent =
    wished === null
      ? t("slide.count", { counted: number(counted, 0) })
      : t("slide.count.of", { counted: number(counted, 0), wished: number(wished, 0) });
  show(byId("slide-reached"), wished !== null && counted >= wished);
  const details = Object.entries(slide.outcomes_count).map(([outcome, count]) => `${t(`outcome.${outcome}`)}: ${count}`);
  if (slide.repeated_count) details.push(`${t("slide.repeated")}: ${slide.repeated_count}`);
  byId("slide-outcomes").textContent = details.join(" · ");
  const { judged_count, blasts_count } = slide.cells ?? {};
  byId("slide-cells").textContent = slide.cells
    ? t("slide.cells", { judged: number(judged_count, 0), blasts: number(blasts_count, 0) })
    : "";
}

async function begin(event) {
  event.preventDefault();
  const form = event.target;
  const fields = { specimen: form.specimen.value.trim(), slide: Number(form.slide.value) };
  if (form.fields.value !== "") fields.fields_count = Number(form.fields.value);
  byId("slide-message").replaceChildren();
  try {
    await command("set-specimen", fields);
    form.reset();
  } catch (error) {
    // The device's own words are for programs that send commands.
    const words = error.code === "command_invalid" ? { message: t("slide.invalid"), remedy: t("slide.help") } : error;
    sayRefusal(byId("slide-message"), words);
    form.specimen.focus();
  }
}

async function finish() {
  byId("finish-dialog").close();
  byId("slide-message").replaceChildren();
  try {
    const { report, readings_count } = await command("finish-specimen");
    byId("slide-message").replaceChildren(
      el("p", { class: "done", role: "status" }, t("slide.finished", { count: number(readings_count, 0) })),
      reportLinks(report),
    );
  } catch (error) {
    sayRefusal(byId("slide-message"), error);
  }
}

export function start() {
  byId("slide-form").addEventListener("submit", begin);
  byId("finish").addEventListener("click", () => byId("finish-dialog").showModal());
  byId("finish-no").addEventListener("click", () => byId("finish-dialog").close());
  byId("finish-yes").addEventListener("click", finish);
  onPress(byId("capture"), async () => {
    await command("capture");
    return t("action.captured");
  });
  onPress(byId("pause"), async () => {
    await command(store.state.paused ? "resume" : "pause");
  });
  store.on("state language", () => {
    draw();
    byId("pause").textContent = t(store.state?.paused ? "action.resume" : "action.pause");
  });
}
