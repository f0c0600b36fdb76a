// The loop bar. Its nodes stay; only texts, classes and buttons change, so a training tick every second never
// steals the focus from a button.

const LOCK_MS = 5_000; // After a click the buttons wait for the server, at most this long.
const SPEAK_EVERY_MS = 15_000; // A screen reader shouldn't have to hear each step of training.
const SIGNS = { live: "✓", failed: "!", idle: "", ready: "", training: "", checking: "", loading: "" };

const sign = el("span", { class: "st-sign", "aria-hidden": "true" });
const badge = el("span", { class: "st-badge" });
const headline = el("strong", { class: "st-headline" });
const detail = el("span", { class: "st-detail" });
const hint = el("span", { class: "st-loop-hint" });
const buttons = el("div", { class: "st-loop-buttons" });
const fill = el("div", { class: "st-fill" });
const bar = el("div", { class: "st-progress", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100" }, fill);
const spoken = el("div", { class: "st-sr", role: "status", "aria-live": "polite" });
const sentence = el("p", { class: "st-sentence" }, sign, headline, " ", detail);
root.replaceChildren(
  el("div", { class: "st-loop-row" }, badge, sentence, hint, buttons),
  bar,
  spoken,
);

let asking = null;
let locked = 0;
let spokenAt = 0;
let spokenState = "";

/** The names are spelled out: gr.HTML offers Python the events it finds quoted in this script. */
function send(event) {
  if (event === "train") trigger("train", {});
  else if (event === "cancel") trigger("cancel", {});
  else if (event === "undo") trigger("undo", {});
  else if (event === "retry") trigger("retry", {});
  else if (event === "sample") trigger("sample", {});
  else if (event === "details") trigger("details", {});
}

function lock() {
  clearTimeout(locked);
  locked = setTimeout(unlock, LOCK_MS);
  paintLock();
}

function unlock() {
  clearTimeout(locked);
  locked = 0;
  paintLock();
}

/** aria-disabled and not disabled: a disabled button would drop the keyboard's focus. */
function paintLock() {
  for (const button of buttons.children) {
    if (button.dataset.event !== undefined) button.setAttribute("aria-disabled", String(Boolean(locked)));
  }
  root.classList.toggle("st-locked", Boolean(locked));
}

function press(action) {
  if (locked) return;
  if (action.confirm && asking !== action.event) {
    asking = action.event;
    paintButtons();
    buttons.querySelector("[data-event]")?.focus();
    return;
  }
  asking = null;
  // Opening details changes nothing on the server, so it may be pressed again at once.
  if (action.event !== "details") lock();
  send(action.event);
  paintButtons();
}

function actionButton(action, label) {
  const kind = action.primary ? "st-button st-primary" : "st-button";
  return el("button", { type: "button", class: kind, "data-event": action.event, onclick: () => press(action) }, label);
}

function paintButtons() {
  const actions = props.value?.actions ?? [];
  const asked = actions.find((action) => action.event === asking);
  const signature = JSON.stringify([actions, asking, language()]);
  if (buttons.dataset.shown !== signature) {
    const focused = buttons.contains(document.activeElement) ? document.activeElement.dataset.event : null;
    buttons.dataset.shown = signature;
    if (asked) {
      const stop = () => {
        asking = null;
        paintButtons();
        buttons.querySelector(`[data-event="${asked.event}"]`)?.focus();
      };
      const no = el("button", { type: "button", class: "st-button", onclick: stop }, word("no"));
      buttons.replaceChildren(el("span", { class: "st-confirm", role: "alert" }, asked.confirm), actionButton({ ...asked, primary: true }, word("yes")), no);
    } else buttons.replaceChildren(...actions.map((action) => actionButton(action, action.label)));
    if (focused) buttons.querySelector(`[data-event="${focused}"]`)?.focus();
  }
  root.classList.toggle("st-asking", Boolean(asked));
  paintLock();
}

function paintProgress(state, progress) {
  const known = typeof progress === "number";
  const running = known || ["training", "checking", "loading"].includes(state);
  bar.hidden = !running;
  bar.classList.toggle("st-unknown", running && !known);
  bar.setAttribute("aria-label", word("progress"));
  if (known) {
    const percent = Math.round(Math.min(1, Math.max(0, progress)) * 100);
    bar.setAttribute("aria-valuenow", String(percent));
    fill.style.width = `${percent}%`;
  } else {
    bar.removeAttribute("aria-valuenow");
    fill.style.width = "";
  }
}

function speak(value) {
  const text = [value.headline, value.detail].filter(Boolean).join(" ");
  const now = Date.now();
  if (value.state === spokenState && now - spokenAt < SPEAK_EVERY_MS) return;
  if (spoken.textContent === text) return;
  spoken.textContent = text;
  spokenAt = now;
  spokenState = value.state;
}

function paint() {
  const value = props.value ?? {};
  const state = value.state in SIGNS ? value.state : "idle";
  root.dataset.state = state;
  root.setAttribute("role", "region");
  root.setAttribute("aria-label", word("label"));
  setText(sign, SIGNS[state]);
  setText(badge, value.badge ?? "");
  badge.hidden = !value.badge;
  setText(headline, value.headline ?? "");
  setText(detail, value.detail ?? "");
  setText(hint, value.hint ?? "");
  hint.hidden = !value.hint;
  if (asking && !(value.actions ?? []).some((action) => action.event === asking)) asking = null;
  paintButtons();
  paintProgress(state, value.progress);
  speak(value);
}

onDocument("keydown", (event) => {
  if (event.key !== "Escape" || !asking || !buttons.contains(event.target)) return;
  const event_name = asking;
  asking = null;
  paintButtons();
  buttons.querySelector(`[data-event="${event_name}"]`)?.focus();
});
onLanguageChange(paint);
watch("value", () => {
  unlock();
  paint();
});
paint();
