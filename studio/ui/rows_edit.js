// Editing the open row in place, what another person's change does to that, and typing in a new row.

let editor = null;
let creator = null;

function draftKey(id) {
  return `row.${id}`;
}

/** The id of the row being edited, or null. */
function editing() {
  return editor?.id ?? null;
}

function textArea(label, value) {
  const area = el("textarea", { class: "st-area", rows: "1", "aria-label": label });
  area.value = value;
  area.fit = () => {
    // Growing with the text keeps all of it in sight; +2 for the borders.
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight + 2}px`;
  };
  area.addEventListener("input", area.fit);
  requestAnimationFrame(area.fit);
  return area;
}

function commandKeys(node, { save, leave }) {
  node.addEventListener("keydown", (event) => {
    // Enter and Escape belong to the input method while it composes.
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      event.stopPropagation();
      save(event.shiftKey);
    } else if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      leave();
    }
  });
}

function keyName() {
  return /Mac|iPhone|iPad/.test(navigator.platform) ? "⌘ ↵" : "Ctrl ↵";
}

/** Open the editor on a row. What was half typed before comes back, on the version it was typed on. */
function openEditor(id, { focus = true } = {}) {
  if (editor?.id === id) return editor.answer.focus();
  const row = whole(rows.get(id));
  if (row.cut) return say(word("loading_rest"));
  closeEditor();
  const kept = drafts.read(draftKey(id));
  const resumed = kept && (kept.answer !== row.answer || kept.question !== row.question);
  const base = resumed ? kept.base ?? row.version : row.version;
  let against = row.rejected ? "model" : "before";
  const question = textArea(word("role.user"), resumed ? kept.question : row.question);
  const answer = textArea(word("role.answer"), resumed ? kept.answer : row.answer);
  const diff = el("div", { class: "st-diff" });
  const sides = el("span", { class: "st-chips" });
  const problem = el("p", { class: "st-problem", role: "alert", hidden: true });
  const clash = el("div", { class: "st-clash", hidden: true });
  const startOver = el("p", { class: "st-resumed", hidden: !resumed }, word("draft_kept"), " ", button(word("start_over"), { class: "st-link", onclick: reset }));
  const approves = row.status === "draft";
  const saveLabel = el("span", {}, word(approves ? "save_approve" : "save"));
  const save = button(saveLabel, { class: "st-button st-primary st-save", "aria-keyshortcuts": "Control+Enter", onclick: () => submit(false) }, keyCap(keyName()));
  const saveOnly = approves ? button(word("save_draft"), { class: "st-button st-save-draft", "aria-keyshortcuts": "Control+Shift+Enter", onclick: () => submit(true) }) : null;
  const cancel = button(word("cancel"), { class: "st-button st-cancel", "aria-keyshortcuts": "Escape", onclick: leaveEditor }, keyCap("Esc"));
  const node = el(
    "div",
    { class: "st-editor st-row-editor", role: "group", "aria-label": word("editor") },
    startOver,
    el("label", { class: "st-caption" }, word("role.user")), question,
    el("label", { class: "st-caption" }, word("role.answer")), answer,
    el("div", { class: "st-changes" }, el("div", { class: "st-changes-head" }, el("span", { class: "st-caption" }, word("changes")), sides), diff),
    clash,
    problem,
    el("div", { class: "st-editor-buttons" }, cancel, saveOnly, save),
  );
  editor = { id, node, question, answer, base, keep, showDiff, complain, waiting: false };

  function keep() {
    drafts.write(draftKey(id), { open: true, question: question.value, answer: answer.value, base: editor?.base ?? base });
  }
  function showDiff() {
    const now = whole(rows.get(id));
    const before = against === "model" ? now.rejected : now.answer;
    part(sides, [against, Boolean(now.rejected)], () => (now.rejected ? ["model", "before"].map((name) => button(word(`against.${name}`), { class: "st-chip", "data-focus": name, "aria-pressed": String(against === name), onclick: () => { against = name; showDiff(); } })) : []));
    const same = before === answer.value;
    diff.replaceChildren(...(same ? [word("no_changes")] : diffNodes(before, answer.value)));
    diff.classList.toggle("st-quiet", same);
  }
  function complain(text) {
    problem.hidden = !text;
    setText(problem, text ?? "");
  }
  function reset() {
    const now = whole(rows.get(id));
    question.value = now.question;
    answer.value = now.answer;
    editor.base = now.version;
    startOver.hidden = true;
    clash.hidden = true;
    drafts.drop(draftKey(id));
    complain("");
    showDiff();
    question.fit();
    answer.fit();
    answer.focus();
  }
  function wait(on) {
    editor.waiting = on;
    question.readOnly = answer.readOnly = on;
    save.setAttribute("aria-disabled", String(on));
    node.classList.toggle("st-waiting", on);
    setText(saveLabel, word(on ? "saving" : approves ? "save_approve" : "save"));
  }
  function submit(asDraft) {
    if (editor.waiting) return;
    const now = whole(rows.get(id));
    const text = { question: question.value, answer: answer.value };
    if (!text.question.trim()) return refuse("refuse_question", question);
    if (!text.answer.trim()) return refuse("refuse_answer", answer);
    const isSame = text.answer === now.answer && text.question === now.question;
    const approve = approves && !asDraft;
    if (isSame && !approve) return refuse("refuse_same", answer);
    complain("");
    wait(true);
    keep();
    const mine = editor;
    const isDone = (row) => (isSame || (whole(row).answer === text.answer && whole(row).question === text.question)) && (!approve || row.status === "approved");
    change(id, isSame ? "status" : "edit", isSame ? { status: "approved" } : { ...text, status: approve ? "approved" : null }, isDone, {
      base: mine.base,
      onDone: () => {
        drafts.drop(draftKey(id));
        if (editor !== mine) return;
        closeEditor();
        if (state.selected === id) move(1);
        focusRow(state.selected);
      },
      onFail: (reply) => {
        if (editor !== mine) {
          problems.set(id, reply.text);
          return;
        }
        wait(false);
        if (reply.theirs) showClash(reply);
        else complain(reply.text);
      },
    });
  }
  function refuse(name, area) {
    complain(word(name));
    area.focus();
  }
  function showClash(reply) {
    const { theirs } = reply;
    const mine = { question: question.value, answer: answer.value };
    const side = (label, tag) => el("div", { class: "st-side-text" }, el("div", { class: "st-caption" }, label),
      mine.question === theirs.question ? null : el("div", { class: "st-diff st-side-q" }, ...sideOf(diffNodes(mine.question, theirs.question), tag)),
      el("div", { class: "st-diff" }, ...sideOf(diffNodes(mine.answer, theirs.answer), tag)));
    clash.replaceChildren(
      el("strong", { role: "alert" }, word("clash", { name: theirs.author || word("somebody") })),
      el("div", { class: "st-pair" }, side(word("mine"), "DEL"), side(word("theirs", { name: theirs.author || word("somebody"), when: ago(theirs.created_at) }), "INS")),
      el("div", { class: "st-editor-buttons" },
        button(word("take_theirs"), { class: "st-button", onclick: () => { drafts.drop(draftKey(id)); closeEditor(); paint(); focusRow(id); } }),
        button(word("keep_mine"), { class: "st-button st-primary st-keep-mine", onclick: () => { editor.base = theirs.version; clash.hidden = true; submit(false); } })),
    );
    clash.hidden = false;
    clash.scrollIntoView({ block: "nearest" });
    clash.querySelector("button").focus({ preventScroll: true });
  }
  for (const area of [question, answer]) {
    area.addEventListener("input", () => {
      showDiff();
      complain("");
      keep();
    });
  }
  commandKeys(node, { save: submit, leave: leaveEditor });
  editorSlot.replaceChildren(node);
  keep();
  showDiff();
  paint();
  if (focus) {
    answer.focus({ preventScroll: true });
    answer.setSelectionRange(answer.value.length, answer.value.length);
    node.scrollIntoView({ block: "nearest" });
  }
  return undefined;
}

/** Leaving keeps a changed draft: Escape is too easily pressed to throw work away. */
function leaveEditor() {
  if (!editor) return;
  const { id, question, answer, base } = editor;
  const row = whole(rows.get(id) ?? {});
  if (question.value === row.question && answer.value === row.answer) drafts.drop(draftKey(id));
  else drafts.write(draftKey(id), { open: false, question: question.value, answer: answer.value, base });
  const had = editor.node.contains(document.activeElement);
  closeEditor();
  paint();
  if (had) focusRow(id);
}

/** Whatever stands in the slot, the form for a new row too; what is typed in either is kept as it is typed. */
function closeEditor() {
  editor = creator = null;
  editorSlot.replaceChildren();
}

// A new row ---------------------------------------------------------------------------------------------------------

function newKey() {
  return `row.new.${state.project}`;
}

function settleNew(reply) {
  if (!reply.ok) return creator?.fail(reply.text);
  drafts.drop(newKey());
  creator?.leave();
  return load();
}

function openCreator() {
  if (creator) return creator.question.focus();
  leaveEditor();
  const kept = drafts.read(newKey()) ?? { question: "", answer: "" };
  const question = textArea(word("role.user"), kept.question);
  const answer = textArea(word("role.answer"), kept.answer);
  const problem = el("p", { class: "st-problem", role: "alert", hidden: true });
  const save = button(word("add"), { class: "st-button st-primary st-save", "aria-keyshortcuts": "Control+Enter", onclick: submit }, keyCap(keyName()));
  const node = el(
    "div",
    { class: "st-editor st-row-editor", role: "group", "aria-label": word("add_title") },
    el("label", { class: "st-caption" }, word("role.user")), question,
    el("label", { class: "st-caption" }, word("role.answer")), answer,
    problem,
    el("div", { class: "st-editor-buttons" }, button(word("cancel"), { class: "st-button st-cancel", onclick: leave }, keyCap("Esc")), save),
  );
  creator = { question, leave, fail };
  let waiting = false;

  function complain(text) {
    problem.hidden = !text;
    setText(problem, text);
  }
  function fail(text) {
    waiting = false;
    question.readOnly = answer.readOnly = false;
    complain(text);
  }
  function submit() {
    if (waiting) return;
    if (!question.value.trim() || !answer.value.trim()) {
      complain(word(question.value.trim() ? "refuse_answer" : "refuse_question"));
      (question.value.trim() ? answer : question).focus();
      return;
    }
    complain("");
    waiting = question.readOnly = answer.readOnly = true;
    ask("create", { question: question.value, answer: answer.value });
  }
  function leave() {
    closeEditor();
    paint();
    focusRow(state.selected);
  }
  for (const area of [question, answer]) {
    area.addEventListener("input", () => drafts.write(newKey(), { question: question.value, answer: answer.value }));
  }
  commandKeys(node, { save: submit, leave });
  editorSlot.replaceChildren(node);
  paint();
  question.focus();
  if (NARROW.matches) opened.scrollIntoView({ block: "start" });
  return undefined;
}
