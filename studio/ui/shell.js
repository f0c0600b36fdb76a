// Opening and closing the side panels. The state sits in data attributes of .st-shell, which Gradio leaves alone;
// unset means "as the width suggests": open on a desk, closed on a phone.

const NARROW = matchMedia("(max-width: 900px)");
const title = el("h1", { class: "st-title" });
const left = toggle("left", "◧");
const right = toggle("right", "◨");
root.replaceChildren(left, title, right);

function shell() {
  return element.closest(".st-shell");
}

function isOpen(side) {
  const state = shell()?.dataset[side];
  return state ? state === "open" : !NARROW.matches;
}

function set(side, open) {
  const frame = shell();
  if (!frame) return;
  frame.dataset[side] = open ? "open" : "closed";
  // On a phone one panel covers the screen; two would cover each other.
  if (open && NARROW.matches) frame.dataset[side === "left" ? "right" : "left"] = "closed";
  paint();
}

function toggle(side, sign) {
  const label = el("span", { class: "st-toggle-label" });
  const button = el(
    "button",
    { type: "button", class: `st-toggle st-toggle-${side}`, onclick: () => set(side, !isOpen(side)) },
    el("span", { class: "st-icon", "aria-hidden": "true" }, sign),
    label,
  );
  button.label = label;
  return button;
}

function paint() {
  setText(title, props.value?.title ?? "");
  for (const [side, button] of [["left", left], ["right", right]]) {
    setText(button.label, word(side));
    button.setAttribute("aria-label", word(side));
    button.setAttribute("aria-expanded", String(isOpen(side)));
  }
}

/** On a phone, Escape or a tap beside the panel closes it. */
function closeDrawers() {
  for (const side of ["left", "right"]) if (isOpen(side)) set(side, false);
}

onDocument("click", (event) => {
  if (!NARROW.matches || !shell()?.contains(event.target)) return;
  if (!event.target.closest(".st-side, .st-toggle")) closeDrawers();
});
onDocument("keydown", (event) => {
  if (event.key === "Escape" && NARROW.matches && !event.defaultPrevented) closeDrawers();
});
NARROW.addEventListener("change", () => {
  const frame = shell();
  if (frame) {
    delete frame.dataset.left;
    delete frame.dataset.right;
  }
  paint();
});
onLanguageChange(paint);
watch("value", paint);
paint();
