// What the boards of the Data tab share: they ask for their value when they come into sight, every message carries a
// number, every answer repeats it and holds the board as it is then.

const ANSWER_WITHIN_MS = 30_000;

const out = new Map(); // number → what to do with its answer, as long as that is out
let serial = 0;
let taken = 0;
let shownProject = null;
let isSeen = false;
let pollTimer = 0;

/** Ask the server. `view()` is the script's own: where it stands in its lists. */
function ask(kind, data = {}, onReply = null) {
  serial += 1;
  const number = serial;
  const timer = setTimeout(() => answered(number, { ok: false, text: word("no_answer") }), ANSWER_WITHIN_MS);
  out.set(number, { timer, onReply });
  trigger(kind, { seq: number, project: shownProject, ...view(), ...data });
  return number;
}

function answered(number, reply) {
  const waiting = out.get(number);
  if (!waiting) return;
  clearTimeout(waiting.timer);
  out.delete(number);
  if (reply && !reply.ok) say(reply.text, "refused");
  waiting.onReply?.(reply ?? { ok: true });
}

/** A value from the server; an older answer than the one shown still tells what became of its gesture. */
function receive() {
  const value = props.value ?? {};
  if (!value.project) return;
  if (value.project !== shownProject) {
    shownProject = value.project;
    reset();
  }
  const number = value.seq ?? taken; // without one it comes from another part of the page
  if (number >= taken) {
    taken = number;
    take(value);
  }
  answered(number, value.reply);
  paint();
}

function pollIn(ms) {
  clearTimeout(pollTimer);
  pollTimer = setTimeout(() => {
    if (isSeen && element.isConnected) ask("look");
  }, ms);
}

function begin() {
  new IntersectionObserver((entries) => {
    const now = entries.at(-1).isIntersecting;
    if (now && !isSeen) ask("look");
    isSeen = now;
  }).observe(root);
  onLanguageChange(() => {
    paint();
    ask("look");
  });
  watch("value", receive);
  receive();
  paint();
}

// Parts -------------------------------------------------------------------------------------------------------------

function button(label, attributes, ...more) {
  return el("button", { type: "button", ...attributes }, label, ...more);
}

function number_(value) {
  return new Intl.NumberFormat(language()).format(value);
}

/** Fill `node` anew only when what it shows differs; the control in use keeps the focus. */
function part(node, signature, build) {
  const text = JSON.stringify([signature, language()]);
  if (node.shown === text) return;
  node.shown = text;
  const focused = node.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
  node.replaceChildren(...build().filter((child) => child !== null && child !== undefined && child !== false));
  if (focused) node.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

/** "11–20 of 43" between two arrows; nothing where one page holds all. */
function pager(offset, page, total, go) {
  if (total <= page) return null;
  const last = Math.min(offset + page, total);
  const turn = (sign, name, to, isOff) => button(sign, { class: "st-turn", "data-focus": name, "aria-label": word(name), "aria-disabled": String(isOff), onclick: () => (isOff ? null : go(to)) });
  return el(
    "span",
    { class: "st-pages" },
    turn("‹", "page_back", Math.max(0, offset - page), offset === 0),
    el("span", { class: "st-caption" }, word("place", { from: number_(offset + 1), to: number_(last), total: number_(total) })),
    turn("›", "page_on", offset + page, last >= total),
  );
}

// A sentence at the foot of the board: what was done, with the way back, or why it was refused.

const toast = el("div", { class: "st-toast", role: "status", "aria-live": "polite", hidden: true });
let toastTimer = 0;

function say(text, kind = "done", undo = null) {
  clearTimeout(toastTimer);
  toast.hidden = !text;
  toast.className = `st-toast st-toast-${kind}`;
  toast.replaceChildren(
    el("span", {}, text),
    ...(undo ? [button(word("undo"), { class: "st-link", onclick: () => { say(""); undo(); } })] : []),
    button("✕", { class: "st-turn", "aria-label": word("close"), onclick: () => say("") }),
  );
  if (text) toastTimer = setTimeout(() => say(""), undo ? 20_000 : 12_000);
}
