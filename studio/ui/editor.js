// The editor that opens in place: for correcting an answer, and (plainer) for rewording a question.

const REASONS = ["wrong fact", "tone", "format", "unsafe", "incomplete", "other"];
const CONFIRM_WITHIN_MS = 15_000;

/** A row of reasons of which at most one is chosen; choosing it again takes it back. */
function reasonChips(chosen, onChoose) {
  const chips = REASONS.map((reason) =>
    el(
      "button",
      {
        type: "button",
        class: "st-chip",
        "aria-pressed": String(reason === chosen),
        "data-reason": reason,
        onclick: () => {
          const next = chips.find((chip) => chip.dataset.reason === reason).getAttribute("aria-pressed") === "true";
          for (const chip of chips) chip.setAttribute("aria-pressed", String(!next && chip.dataset.reason === reason));
          onChoose(next ? "" : reason);
        },
      },
      word(`reason.${reason}`),
    ),
  );
  return chips;
}

/**
 * Open an editor for a message.
 * kind is "correct" or "edit"; send(draft) tells the server; close() takes the editor off the page.
 */
function openEditor({ kind, message, send, close }) {
  const correcting = kind === "correct";
  const saved = message.correction;
  const fresh = { text: saved?.text ?? message.text ?? "", reason: saved?.reason ?? "", note: saved?.note ?? "" };
  const kept = drafts.read(message.id);
  const resumed = Boolean(typeof kept?.text === "string" && kept.kind === kind && !sameDraft(kept, fresh));
  const draft = resumed ? { text: kept.text, reason: kept.reason ?? "", note: kept.note ?? "" } : { ...fresh };
  let original = message.text ?? "";
  let sent = null;
  let latest = message;
  let timer = 0;

  const area = el("textarea", { class: "st-area", rows: "1", "aria-label": correcting ? word("editor") : word("edit") });
  area.value = draft.text;
  const diff = el("div", { class: "st-diff" });
  const problem = el("p", { class: "st-problem", role: "alert", hidden: true });
  const note = el("input", { class: "st-note", type: "text", placeholder: word("note"), "aria-label": word("note") });
  note.value = draft.note;
  note.hidden = !draft.note;
  const addNote = el(
    "button",
    { type: "button", class: "st-chip st-addnote", "aria-expanded": String(!note.hidden), onclick: toggleNote },
    word("add_note"),
  );
  const chips = reasonChips(draft.reason, (reason) => {
    draft.reason = reason;
    remember();
  });
  const startOver = el(
    "p",
    { class: "st-resumed", hidden: !resumed },
    word("draft"),
    " ",
    el("button", { type: "button", class: "st-link", onclick: reset }, word("start_over")),
  );
  const saveLabel = el("span", {}, correcting ? word("save") : word("send_again"));
  const mac = /Mac|iPhone|iPad/.test(navigator.platform);
  const save = el(
    "button",
    { type: "button", class: "st-button st-primary st-save", "aria-keyshortcuts": "Control+Enter", onclick: submit },
    saveLabel,
    keyCap(mac ? "⌘ ↵" : "Ctrl ↵"),
  );
  const cancel = el(
    "button",
    { type: "button", class: "st-button st-cancel", "aria-keyshortcuts": "Escape", onclick: leave },
    word("cancel"),
    keyCap("Esc"),
  );
  const node = el(
    "div",
    { class: `st-editor st-editor-${kind}`, role: "group", "aria-label": correcting ? word("editor") : word("edit") },
    startOver,
    area,
    correcting ? el("div", { class: "st-changes" }, el("span", { class: "st-caption" }, word("changes")), diff) : null,
    correcting ? el("div", { class: "st-chips", role: "group", "aria-label": word("why") }, ...chips, addNote) : null,
    correcting ? note : null,
    problem,
    el(
      "div",
      { class: "st-editor-foot" },
      el("p", { class: "st-hint" }, correcting ? word("kept") : word("edit_hint")),
      el("div", { class: "st-editor-buttons" }, cancel, save),
    ),
  );

  function sameDraft(a, b) {
    return a.text === b.text && (a.reason ?? "") === b.reason && (a.note ?? "") === b.note;
  }

  function remember() {
    drafts.write(message.id, { kind, open: true, ...draft });
  }

  function fit() {
    // Growing with the text keeps the whole answer in sight; +2 for the borders.
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight + 2}px`;
    if (document.activeElement === area) node.scrollIntoView({ block: "nearest" });
  }

  function showDiff() {
    if (!correcting) return;
    diff.replaceChildren(...(draft.text === original ? [word("no_changes")] : diffNodes(original, draft.text)));
    diff.classList.toggle("st-quiet", draft.text === original);
  }

  function complain(text) {
    problem.hidden = !text;
    setText(problem, text ?? "");
  }

  function toggleNote() {
    note.hidden = !note.hidden;
    addNote.setAttribute("aria-expanded", String(!note.hidden));
    if (!note.hidden) note.focus();
  }

  function reset() {
    Object.assign(draft, fresh);
    area.value = fresh.text;
    note.value = fresh.note;
    for (const chip of chips) chip.setAttribute("aria-pressed", String(chip.dataset.reason === fresh.reason));
    startOver.hidden = true;
    drafts.drop(message.id);
    complain("");
    fit();
    showDiff();
    area.focus();
  }

  function refusal() {
    const text = draft.text.trim();
    if (!text) return correcting ? "refuse_empty" : "refuse_empty_edit";
    if (text === original.trim()) return correcting ? "refuse_same" : "refuse_same_edit";
    if (saved && sameDraft(draft, fresh)) return "refuse_saved";
    return "";
  }

  function submit() {
    if (timer) return;
    const refused = refusal();
    if (refused) {
      complain(word(refused));
      area.focus();
      return;
    }
    complain("");
    sent = { ...draft, verdict: latest.verdict ?? null, failure: failureOf(latest) };
    waiting(true);
    remember();
    send({ ...draft });
  }

  /** Tells a new failure from one that was already there; `attempt` sets two with the same words apart. */
  function failureOf(value) {
    return JSON.stringify([value.error ?? null, value.attempt ?? null]);
  }

  function waiting(on) {
    clearTimeout(timer);
    timer = on ? setTimeout(() => fail(word("not_saved")), CONFIRM_WITHIN_MS) : 0;
    area.readOnly = on;
    save.setAttribute("aria-disabled", String(on));
    node.classList.toggle("st-waiting", on);
    setText(saveLabel, on ? word(correcting ? "saving" : "sending") : word(correcting ? "save" : "send_again"));
  }

  function fail(text) {
    waiting(false);
    complain(text);
  }

  /** Closing keeps a changed draft: Escape is too easily pressed to throw work away. */
  function leave() {
    waiting(false);
    if (sameDraft(draft, fresh)) drafts.drop(message.id);
    else drafts.write(message.id, { kind, open: false, ...draft });
    close();
  }

  /** A later value of the same message: the server's confirmation, its refusal, or nothing of either. */
  function receive(next) {
    latest = next;
    if ((next.text ?? "") !== original) {
      original = next.text ?? "";
      showDiff();
    }
    if (!sent) return;
    const confirmed = correcting
      ? next.correction?.text === sent.text || (next.verdict ?? null) !== sent.verdict
      : next.text === sent.text;
    if (confirmed) {
      waiting(false);
      drafts.drop(message.id);
      close();
    } else if (next.error && timer && failureOf(next) !== sent.failure) fail(next.error);
  }

  area.addEventListener("input", () => {
    draft.text = area.value;
    showDiff();
    fit();
    complain("");
    remember();
  });
  note.addEventListener("input", () => {
    draft.note = note.value;
    remember();
  });
  node.addEventListener("keydown", (event) => {
    // Enter and Escape belong to the input method while it composes.
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      submit();
    } else if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      leave();
    }
  });
  remember();
  showDiff();
  requestAnimationFrame(fit);
  return { node, receive, fit, focus: () => area.focus({ preventScroll: true }), dispose: () => clearTimeout(timer) };
}
