// One message of the thread: built once, then only what differs is touched.

const VERDICTS = { accept: "accepted", correct: "corrected", reject: "rejected" };
const ICONS = { accept: "✓", correct: "✎", reject: "✕", retry: "↻", edit: "✎", undo: "↶" };
const KEYS = { accept: "A", correct: "C", reject: "X", retry: "R" };

/** Replace only the blocks that differ, so that a selection in a finished paragraph survives streaming. */
function patchHtml(target, html) {
  const template = document.createElement("template");
  template.innerHTML = html; // The one place that parses markup: `html` is rendered and made safe by the server.
  const next = [...template.content.childNodes];
  next.forEach((node, index) => {
    const old = target.childNodes[index];
    if (!old) target.append(node);
    else if (!old.isEqualNode(node)) old.replaceWith(node);
  });
  while (target.childNodes.length > next.length) target.lastChild.remove();
}

function actionButton(name, onclick) {
  const label = el("span", { class: "st-label" }, word(name));
  const button = el(
    "button",
    { type: "button", class: `st-action st-${name}`, "data-action": name, "aria-keyshortcuts": KEYS[name], onclick },
    el("span", { class: "st-icon", "aria-hidden": "true" }, ICONS[name]),
    label,
    KEYS[name] ? keyCap(KEYS[name]) : null,
  );
  button.label = label;
  return button;
}

/**
 * Build a message. `thread` offers act(name, record, data), select(record) and settled(record).
 * The record keeps the nodes, the last value seen, the open editor, and what waits for the server.
 */
function buildMessage(message, thread) {
  const record = { id: message.id, role: message.role, seen: null, editor: null, waiting: null, diffOpen: false };
  const assistant = message.role === "assistant";
  const parts = {};
  record.parts = parts;
  parts.label = el("div", { class: "st-who" });
  parts.body = el("div", { class: "st-body" });
  parts.toggle = el("button", { type: "button", class: "st-link st-original", hidden: true, onclick: toggleDiff });
  parts.diff = el("div", { class: "st-diff", hidden: true });
  parts.bubble = el("div", { class: "st-bubble" }, parts.body, parts.diff, parts.toggle);
  parts.slot = el("div", { class: "st-slot" });
  parts.error = el("p", { class: "st-problem", role: "alert", hidden: true });
  parts.notices = el("div", { class: "st-notices", role: "status", hidden: true });
  parts.pager = buildPager(record, thread);
  const names = assistant ? ["accept", "correct", "reject", "retry"] : ["edit", "undo"];
  parts.buttons = names.map((name) => actionButton(name, () => press(record, name, thread)));
  parts.actions = el("div", { class: "st-actions", role: "group" }, ...parts.buttons, parts.pager);
  parts.why = el("div", { class: "st-chips st-why", role: "group", "aria-label": word("why"), hidden: true });
  record.node = el(
    "li",
    { class: `st-msg st-${message.role}`, "data-id": message.id, tabindex: "-1", onclick: () => thread.select(record) },
    parts.label,
    parts.bubble,
    parts.slot,
    parts.error,
    parts.notices,
    parts.actions,
    parts.why,
  );
  record.node.addEventListener("focusin", () => thread.select(record));

  function toggleDiff() {
    record.diffOpen = !record.diffOpen;
    paintCorrection(record);
  }
  return record;
}

function buildPager(record, thread) {
  const turn = (delta) => (event) => {
    if (event.currentTarget.getAttribute("aria-disabled") !== "true") thread.act("page", record, { delta });
  };
  const count = el("span", { class: "st-count" });
  const back = el("button", { type: "button", class: "st-turn", "aria-label": word("previous"), onclick: turn(-1) }, "‹");
  const on = el("button", { type: "button", class: "st-turn", "aria-label": word("next"), onclick: turn(1) }, "›");
  const pager = el("span", { class: "st-pager", hidden: true }, back, count, on);
  Object.assign(pager, { count, back, on });
  return pager;
}

/** What a click or a key does to a message. */
function press(record, name, thread) {
  const message = record.seen;
  if (!canPress(record, name, thread)) return;
  if (name === "correct" || name === "edit") showEditor(record, name, thread);
  else if (name === "retry" || name === "undo") thread.act(name, record, {});
  else if (message.verdict !== VERDICTS[name]) {
    // Not shown as done until the server says so; only as under way.
    record.waiting = { verdict: VERDICTS[name], timer: setTimeout(() => giveUp(record), CONFIRM_WITHIN_MS) };
    record.complaint = "";
    record.askWhy = name === "reject";
    paintActions(record, thread);
    thread.act(name, record, name === "reject" ? { reason: "" } : {});
  }
}

function canPress(record, name, thread) {
  if (record.seen.streaming || record.waiting) return false;
  if (record.editor && name !== record.editor.kind) return false;
  return !(thread.busy && ["retry", "edit", "undo"].includes(name));
}

function giveUp(record) {
  record.waiting = null;
  record.complaint = word("no_reply");
  record.repaint();
}

function showEditor(record, kind, thread) {
  if (!record.editor) {
    record.editor = openEditor({
      kind,
      message: record.seen,
      send: (draft) => {
        if (kind === "correct") thread.act("correct", record, draft);
        else thread.act("edit", record, { text: draft.text });
      },
      close: () => closeEditor(record, thread),
    });
    record.editor.kind = kind;
    record.parts.slot.replaceChildren(record.editor.node);
    record.node.classList.add("st-editing");
    updateMessage(record, record.seen, thread);
  }
  record.editor.focus();
}

function closeEditor(record, thread) {
  const hadFocus = record.editor?.node.contains(document.activeElement);
  record.editor?.dispose();
  record.editor = null;
  record.parts.slot.replaceChildren();
  record.node.classList.remove("st-editing");
  updateMessage(record, record.seen, thread);
  if (hadFocus) record.node.focus({ preventScroll: true });
}

/** Bring a record up to date with `message`. */
function updateMessage(record, message, thread) {
  const before = record.seen;
  record.seen = message;
  record.repaint = () => paintActions(record, thread);
  if (record.waiting && (message.verdict ?? null) !== (before?.verdict ?? null)) settle(record);
  if (record.waiting && message.error) settle(record);
  record.editor?.receive(message);
  const { parts, node } = record;
  node.classList.toggle("st-streaming", Boolean(message.streaming));
  node.classList.toggle("st-left", message.side === "left");
  node.classList.toggle("st-right", message.side === "right");
  for (const verdict of Object.values(VERDICTS)) node.classList.toggle(`st-is-${verdict}`, message.verdict === verdict);
  const correcting = record.editor?.kind === "correct";
  const version = (message.label ?? "").split(" · ")[0];
  setText(parts.label, correcting ? [version, word("correcting")].filter(Boolean).join(" · ") : message.label ?? "");
  parts.label.hidden = !parts.label.textContent;
  paintBody(record);
  paintCorrection(record);
  paintNotices(record, thread);
  paintActions(record, thread);
  node.setAttribute("aria-label", message.role === "user" ? word("you") : word("answer"));
  if (before?.streaming && !message.streaming) thread.settled(record);
}

function settle(record) {
  clearTimeout(record.waiting.timer);
  record.waiting = null;
}

function paintBody(record) {
  const { message, body } = { message: record.seen, body: record.parts.body };
  const corrected = message.correction;
  const html = corrected ? corrected.html : message.html;
  const text = corrected ? corrected.text : message.text ?? "";
  body.classList.toggle("st-plain", !html);
  if (html) {
    if (record.html !== html) patchHtml(body, html);
  } else setText(body, text);
  record.html = html ?? null;
  const thinking = Boolean(message.streaming && !text && !html);
  record.parts.bubble.classList.toggle("st-thinking", thinking);
  record.parts.bubble.hidden = !text && !html && !message.streaming && Boolean(message.error);
}

/** The way back to what the model said, as a comparison. */
function paintCorrection(record) {
  const { toggle, diff } = record.parts;
  const { correction, text } = record.seen;
  const shown = Boolean(correction) && record.diffOpen;
  toggle.hidden = !correction;
  diff.hidden = !shown;
  record.parts.body.hidden = shown;
  toggle.setAttribute("aria-expanded", String(shown));
  setText(toggle, word(shown ? "hide_original" : "show_original"));
  if (shown) diff.replaceChildren(...diffNodes(text ?? "", correction.text));
}

/** What the saved answer is beside another row, each with a way to the two. */
function paintNotices(record, thread) {
  const notices = record.seen.notices ?? [];
  const signature = JSON.stringify(notices);
  if (record.noticed === signature) return;
  record.noticed = signature;
  record.parts.notices.hidden = !notices.length;
  record.parts.notices.replaceChildren(
    ...notices.map((notice) =>
      el(
        "p",
        { class: "st-notice" },
        el("span", { "aria-hidden": "true" }, "⚑ "),
        el("span", {}, notice.text),
        " ",
        el("button", { type: "button", class: "st-link", onclick: () => thread.act("noticed", record, { ids: notice.ids }) }, notice.open),
      ),
    ),
  );
}

function paintActions(record, thread) {
  const { parts } = record;
  const message = record.seen;
  const siblings = message.siblings;
  const several = Boolean(siblings && siblings.count > 1);
  for (const button of parts.buttons) {
    const name = button.dataset.action;
    const done = VERDICTS[name] && message.verdict === VERDICTS[name];
    setText(button.label, word(done ? VERDICTS[name] : name));
    if (VERDICTS[name]) button.setAttribute("aria-pressed", String(Boolean(done)));
    button.setAttribute("aria-disabled", String(!canPress(record, name, thread)));
    button.classList.toggle("st-waiting", record.waiting?.verdict === VERDICTS[name] && Boolean(VERDICTS[name]));
    if (name === "undo") button.hidden = record !== thread.lastUser;
    // An answer that failed has nothing to judge; it can only be asked again.
    if (name !== "retry" && message.role === "assistant") button.hidden = isFailure(message);
  }
  parts.actions.hidden = Boolean(message.streaming || record.editor);
  parts.pager.hidden = !several;
  if (several) {
    setText(parts.pager.count, `${siblings.index}/${siblings.count}`);
    parts.pager.count.setAttribute("aria-label", word("pager", siblings));
    parts.pager.back.setAttribute("aria-disabled", String(siblings.index <= 1));
    parts.pager.on.setAttribute("aria-disabled", String(siblings.index >= siblings.count));
  }
  const problem = record.editor ? "" : message.error || record.complaint || "";
  parts.error.hidden = !problem;
  setText(parts.error, problem);
  paintWhy(record, thread);
}

function isFailure(message) {
  return Boolean(message.error && !message.text && !message.html);
}

/** After a rejection, and only then, a reason may be given; nobody has to. */
function paintWhy(record, thread) {
  const { why } = record.parts;
  const { verdict, reason } = record.seen;
  const shown = verdict === "rejected" && Boolean(record.askWhy || reason) && !record.editor;
  if (shown && why.hidden) {
    const chips = reasonChips(reason ?? "", (chosen) => thread.act("reject", record, { reason: chosen }));
    why.replaceChildren(el("span", { class: "st-caption" }, word("why")), ...chips);
  }
  why.hidden = !shown;
}
