// The thread: a keyed list of messages, the keys that act on the selected answer, and scrolling that never fights
// the reader. Gradio sends the whole value some fifteen times a second while an answer streams.

const NEAR_BOTTOM_PX = 60;
const records = new Map();
const thread = { busy: false, selected: null, act, select, settled, lastUser: null };
let order = [];
let stick = true;
let lastAnswer = null;

const list = el("ol", { class: "st-list" });
const empty = el("div", { class: "st-empty", hidden: true });
const waiting = el("div", { class: "st-pending st-thinking", hidden: true }, el("span", { class: "st-sr" }, word("thinking")));
const spoken = el("div", { class: "st-sr", role: "status", "aria-live": "polite" });
const scroller = el("div", { class: "st-scroll", tabindex: "0", role: "region" }, empty, list, waiting);
const jump = el("button", { type: "button", class: "st-jump", hidden: true, onclick: toBottom }, "↓ ", el("span"));
root.replaceChildren(scroller, jump, spoken);

/** Tell the server. The names are spelled out: gr.HTML offers Python the events it finds quoted in this script. */
function act(name, record, data) {
  const payload = { id: record?.id, ...data };
  if (name === "accept") trigger("accept", payload);
  else if (name === "correct") trigger("correct", payload);
  else if (name === "reject") trigger("reject", payload);
  else if (name === "retry") trigger("retry", payload);
  else if (name === "page") trigger("page", payload);
  else if (name === "edit") trigger("edit", payload);
  else if (name === "undo") trigger("undo", payload);
  else if (name === "noticed") trigger("noticed", payload);
}

/** Answers that the keys can act on, in order. */
function answers() {
  return order.map((id) => records.get(id)).filter((record) => record.role === "assistant" && !record.seen.streaming);
}

function select(record) {
  if (record && record.role !== "assistant") return;
  if (thread.selected === record) return;
  thread.selected?.node.classList.remove("st-selected");
  thread.selected = record;
  record?.node.classList.add("st-selected");
}

function settled(record) {
  setText(spoken, record.seen.error ? word("failed") : word("ready"));
}

function render() {
  const value = props.value ?? {};
  const messages = value.messages ?? [];
  thread.busy = Boolean(value.busy);
  const firstId = order[0];
  const previous = order;
  order = messages.map((message) => message.id);
  const keep = new Set(order);
  for (const [id, record] of records) {
    if (keep.has(id)) continue;
    record.editor?.dispose();
    record.node.remove();
    records.delete(id);
    if (thread.selected === record) thread.selected = null;
  }
  messages.forEach((message, index) => place(message, index));
  // A second pass, because which message is the last of the user's is only known once all are in.
  thread.lastUser = records.get(messages.findLast((message) => message.role === "user")?.id) ?? null;
  for (const message of messages) refresh(records.get(message.id), message);
  const grewByQuestion = messages.at(-1)?.role === "user" || messages.at(-2)?.role === "user";
  const grew = order.length > previous.length && grewByQuestion;
  if (firstId !== order[0] || (grew && !previous.includes(order.at(-1)))) stick = true;
  selectDefault();
  paintEmpty(value.empty, messages.length === 0);
  waiting.hidden = !(thread.busy && messages.at(-1)?.role === "user");
  root.classList.toggle("st-busy", thread.busy);
  follow();
}

/** Fifteen values a second, of which one message differs: leave the others alone. */
function refresh(record, message) {
  const signature = JSON.stringify([message, thread.busy, record === thread.lastUser]);
  if (record.signature === signature) return;
  record.signature = signature;
  updateMessage(record, message, thread);
}

function place(message, index) {
  let record = records.get(message.id);
  if (!record) {
    record = buildMessage(message, thread);
    record.seen = message;
    records.set(message.id, record);
  }
  const at = list.children[index];
  if (at !== record.node) list.insertBefore(record.node, at ?? null);
  const draft = drafts.read(message.id);
  if (draft?.open && !record.editor && !record.offered && !message.streaming) {
    updateMessage(record, message, thread);
    showEditor(record, draft.kind === "edit" ? "edit" : "correct", thread);
  }
  record.offered = true;
}

/** The newest answer is selected when it arrives; until then the reader's own choice stands. */
function selectDefault() {
  const newest = answers().at(-1) ?? null;
  if (newest !== lastAnswer || !thread.selected) {
    const typing = thread.selected?.editor?.node.contains(document.activeElement);
    if (!typing) select(newest);
  }
  lastAnswer = newest;
}

function paintEmpty(content, isEmpty) {
  empty.hidden = !(isEmpty && content);
  const signature = JSON.stringify(content ?? null);
  if (empty.hidden || empty.dataset.shown === signature) return;
  empty.dataset.shown = signature;
  const ask = (text) => () => {
    if (!thread.busy) trigger("suggest", { text });
  };
  const suggestions = (content.suggestions ?? []).map((text) =>
    el("button", { type: "button", class: "st-suggestion", onclick: ask(text) }, text),
  );
  empty.replaceChildren(
    el("h2", {}, content.title ?? ""),
    el("p", {}, content.body ?? ""),
    el("div", { class: "st-suggestions" }, ...suggestions),
  );
}

/** Follow the text only while the reader is at the bottom; otherwise offer a way down. */
function follow() {
  if (stick) scroller.scrollTop = scroller.scrollHeight;
  jump.hidden = stick || scroller.scrollHeight - scroller.clientHeight < NEAR_BOTTOM_PX;
}

function toBottom() {
  stick = true;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  scroller.scrollTo({ top: scroller.scrollHeight, behavior: calm ? "auto" : "smooth" });
  jump.hidden = true;
}

let lastTop = 0;
scroller.addEventListener("scroll", () => {
  const atBottom = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_BOTTOM_PX;
  // Only moving up lets go: while text streams in, being short of the bottom for a frame means nothing.
  if (atBottom) stick = true;
  else if (scroller.scrollTop < lastTop - 1) stick = false;
  lastTop = scroller.scrollTop;
  jump.hidden = stick;
});

new ResizeObserver(() => {
  for (const record of records.values()) record.editor?.fit();
  follow();
}).observe(scroller);

function moveSelection(step) {
  const all = answers();
  const at = all.indexOf(thread.selected);
  const next = all[Math.min(all.length - 1, Math.max(0, (at < 0 ? all.length : at) + step))];
  if (!next) return;
  select(next);
  next.node.focus({ preventScroll: true });
  next.node.scrollIntoView({ block: "nearest" });
}

onDocument("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing || event.keyCode === 229) return;
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (element.offsetParent === null || document.querySelector("dialog[open]")) return;
  const inside = root.contains(event.target) || event.target === document.body;
  if (inside && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
    event.preventDefault();
    moveSelection(event.key === "ArrowUp" ? -1 : 1);
    return;
  }
  const record = thread.selected;
  const name = Object.keys(KEYS).find((action) => KEYS[action].toLowerCase() === event.key.toLowerCase());
  if (!record || !name || event.repeat || event.shiftKey) return;
  if (isFailure(record.seen) && name !== "retry") return;
  event.preventDefault();
  press(record, name, thread);
});

onLanguageChange(() => {
  for (const record of records.values()) record.editor?.dispose();
  records.clear();
  list.replaceChildren();
  order = [];
  thread.selected = null;
  labels();
  render();
});

function labels() {
  scroller.setAttribute("aria-label", word("label"));
  setText(jump.lastChild, word("new_below"));
}

labels();
watch("value", render);
render();
