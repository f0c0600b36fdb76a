// The rows of one kind of flag: single rows with the evidence marked, pairs side by side, and the buttons that settle them.

const PAIRS = new Set(["contradiction", "duplicate", "near-duplicate", "leak"]);
const SIGNS = { approved: "✓", draft: "○", rejected: "✕", deleted: "−" };
let editing = null; // id of the row that is edited
let drafted = null; // what is typed there: question, answer

function cards(kind, rows) {
  const seen = new Set();
  return rows.flatMap((row) => {
    const flags = row.flags.filter((flag) => !(PAIRS.has(kind) && flag.other && seen.has(pairKey(row.id, flag.other_id))));
    for (const flag of flags) if (flag.other) seen.add(pairKey(row.id, flag.other_id));
    const paired = flags.filter((flag) => PAIRS.has(kind) && flag.other);
    if (paired.length) return paired.map((flag) => pairCard(row, flag));
    return flags.length || !PAIRS.has(kind) ? [singleCard(row, flags)] : [];
  });
}

/** Two rows that flag each other are one pair. */
function pairKey(one, other) {
  return [one, other].sort().join(" ");
}

// One row -----------------------------------------------------------------------------------------------------------

function singleCard(row, flags) {
  const reasons = [...new Set(flags.map((flag) => flag.reason))];
  const isOpen = editing === row.id;
  return el(
    "li",
    { class: "st-card-row", "data-id": row.id },
    el("div", { class: "st-card-head" }, badge(row), ...reasons.map((text) => el("span", { class: "st-card-reason" }, text))),
    ...(isOpen ? [editorOf(row)] : texts(row, flags)),
    isOpen ? null : el("div", { class: "st-card-buttons" }, ...singleButtons(row, flags)),
  );
}

function singleButtons(row, flags) {
  const act = (name, sign, go) => button(el("span", { class: "st-icon", "aria-hidden": "true" }, sign), { class: `st-action st-q-${name}`, "data-focus": `${name} ${row.id}`, onclick: go }, word(`do.${name}`));
  return [
    act("edit", "✎", () => (row.cut ? toTable(row.id) : startEdit(row))),
    flags.length ? act("dismiss", "✓", () => doIt("dismiss", { keys: flags.map((flag) => flag.key) })) : null,
    act("reject", "✕", () => doIt("status", { id: row.id, status: "rejected", version: row.version })),
    act("delete", "−", () => doIt("status", { id: row.id, status: "deleted", version: row.version })),
    button(word("in_table"), { class: "st-link st-q-table", "data-focus": `table ${row.id}`, onclick: () => toTable(row.id) }),
  ].filter(Boolean);
}

/** The question and the answer; an earlier turn only where something in it is flagged. */
function texts(row, flags) {
  const last = row.turns.length - 1;
  const shown = row.turns.map((turn, index) => [turn, index]).filter(([, index]) => index >= last - 1 || flags.some((flag) => flag.field === `messages[${index}]`));
  return shown.map(([turn, index]) => {
    const field = index === last ? "answer" : `messages[${index}]`;
    const marks = row.cut ? [] : flags.filter((flag) => flag.field === field && flag.span);
    return el("div", { class: index === last ? "st-card-a" : "st-card-q" }, el("span", { class: "st-sr" }, `${word(index === last ? "answer" : `role.${turn.role}`)}: `), ...(turn.content ? markedText(turn.content, marks) : [el("em", { class: "st-hint" }, word("no_text"))]));
  });
}

function badge(row) {
  return el("span", { class: `st-status st-status-${row.status}` }, el("span", { class: "st-status-sign", "aria-hidden": "true" }, SIGNS[row.status] ?? "•"), word(`status.${row.status}`));
}

// Two rows ----------------------------------------------------------------------------------------------------------

/** The earlier row on the left, the flagged one on the right. */
function pairCard(row, flag) {
  const other = flag.other;
  const isDiff = !row.cut && !other.cut;
  const side = (name, tag, one) => {
    const nodes = (before, after) => (isDiff ? diffNodes(before, after).filter((node) => !node.tagName || node.tagName === tag) : [tag === "DEL" ? before : after]);
    const isOpen = editing === one.id;
    return el(
      "div",
      { class: "st-side-text st-pair-side" },
      el("div", { class: "st-card-head" }, el("strong", { class: "st-caption" }, word(name)), badge(one)),
      ...(isOpen
        ? [editorOf(one)]
        : [
            el("div", { class: "st-diff st-card-q" }, ...nodes(other.question, row.question)),
            el("div", { class: "st-diff st-card-a" }, ...nodes(other.answer, row.answer)),
            el(
              "div",
              { class: "st-card-buttons" },
              button(word(`keep.${name}`), { class: "st-button st-small st-keep", "data-keep": name, "data-focus": `${name} ${flag.key}`, onclick: () => doIt("settle", { id: row.id, other: other.id, key: flag.key, keep: name }) }),
              button(word("do.edit"), { class: "st-link", "data-focus": `edit ${one.id} ${flag.key}`, onclick: () => (one.cut ? toTable(one.id) : startEdit(one)) }),
            ),
          ]),
    );
  };
  return el(
    "li",
    { class: "st-card-row st-card-pair", "data-id": row.id, "data-other": other.id },
    el("div", { class: "st-card-head" }, el("span", { class: "st-card-reason" }, flag.reason)),
    el("div", { class: "st-pair" }, side("left", "DEL", other), side("right", "INS", row)),
    el(
      "div",
      { class: "st-card-buttons" },
      button(word(`both.${flag.kind === "contradiction" ? "right" : "fine"}`), { class: "st-button st-small st-both", "data-focus": `both ${flag.key}`, onclick: () => doIt("settle", { id: row.id, other: other.id, key: flag.key, keep: "both" }) }),
      flag.kind === "leak" && row.aside ? button(word("join"), { class: "st-button st-small", "data-focus": `join ${row.id}`, onclick: () => doIt("join", { id: row.id }) }) : null,
      el("span", { class: "st-caption" }, word("settle_hint")),
    ),
  );
}

// Editing in place --------------------------------------------------------------------------------------------------

function startEdit(row) {
  editing = row.id;
  drafted = { question: row.question, answer: row.answer, version: row.version };
  paint();
  root.querySelector(".st-q-editor textarea[data-focus='answer']")?.focus();
}

function stopEdit() {
  editing = null;
  drafted = null;
  paint();
}

function editorOf(row) {
  const area = (name) => {
    const node = el("textarea", { class: "st-area", rows: "2", "aria-label": word(name), "data-focus": name });
    node.value = drafted[name];
    const fit = () => {
      node.style.height = "auto";
      node.style.height = `${node.scrollHeight + 2}px`;
    };
    node.addEventListener("input", () => {
      drafted[name] = node.value;
      fit();
    });
    requestAnimationFrame(fit);
    return node;
  };
  const save = () => {
    const changes = {};
    if (drafted.answer !== row.answer) changes.answer = drafted.answer;
    if (drafted.question !== row.question) changes.question = drafted.question;
    if (!Object.keys(changes).length) return stopEdit();
    return ask("edit", { id: row.id, version: drafted.version, ...changes }, (reply) => {
      if (!reply.ok) return;
      stopEdit();
      say(word("did.edited"));
      pollIn(1_200); // saved rows are looked at a moment later
    });
  };
  const node = el(
    "div",
    { class: "st-editor st-q-editor", role: "group", "aria-label": word("editor") },
    el("span", { class: "st-caption" }, word("question")), area("question"),
    el("span", { class: "st-caption" }, word("answer")), area("answer"),
    el(
      "div",
      { class: "st-editor-buttons" },
      button(word("cancel"), { class: "st-button st-small", onclick: stopEdit }),
      button(word("save"), { class: "st-button st-small st-primary st-save", onclick: save }),
    ),
  );
  node.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) save();
    else if (event.key === "Escape") stopEdit();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return node;
}
