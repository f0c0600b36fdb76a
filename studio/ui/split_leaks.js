// The rows set aside, each beside the row it is nearly the same as, with the ways to settle it.

let editing = null; // { id, question, answer }: an edit that is not saved yet

function leakCard(row) {
  const other = row.other;
  return el(
    "li",
    { class: "st-leak" },
    el("div", { class: "st-pair" }, leakSide(row, word("this_one"), other, true), other ? leakSide(other, word("other_one"), null, false) : null),
    editing?.id === row.id ? leakEditor(row) : leakButtons(row, other),
  );
}

/** One of the two; the one set aside shows by word how it differs from the other. */
function leakSide(row, label, from, isAside) {
  const text = (name) => (from ? diffNodes(from[name], row[name]) : [row[name]]);
  return el(
    "div",
    { class: `st-side-text st-leak-side${isAside ? " st-is-aside" : ""}` },
    el("div", { class: "st-caption st-leak-head" }, el("span", {}, label), sideBadge(row.split)),
    el("div", { class: "st-diff st-side-q" }, ...text("question")),
    el("div", { class: "st-diff" }, ...text("answer")),
  );
}

function sideBadge(side) {
  return el("span", { class: `st-side-badge st-side-${side}` }, word(`side.${side}`));
}

function leakButtons(row, other) {
  const settle = (kind, data = {}) => ask(kind, { id: row.id, version: row.version, ...data }, (reply) => told(reply));
  const edit = () => {
    editing = { id: row.id, question: row.question, answer: row.answer };
    paint();
    root.querySelector(".st-leak-editor textarea")?.focus();
  };
  const joins = other && !row.pinned ? button(word("join", { side: word(`to.${other.split}`) }), { class: "st-button st-small", "data-focus": `join-${row.id}`, onclick: () => settle("join") }) : null;
  return el(
    "div",
    { class: "st-leak-buttons" },
    joins,
    row.cut ? null : button(word("edit"), { class: "st-button st-small", "data-focus": `edit-${row.id}`, onclick: edit }),
    button(word("bin"), { class: "st-button st-small", "data-focus": `bin-${row.id}`, onclick: () => settle("bin") }),
    row.pinned ? el("span", { class: "st-caption" }, word("pinned", { side: word(`side.${row.split}`) })) : null,
  );
}

function leakEditor(row) {
  const field = (name) => {
    const area = el("textarea", { class: "st-area", rows: 2, "aria-label": word(name) });
    area.value = editing[name];
    area.addEventListener("input", () => (editing[name] = area.value));
    return el("label", { class: "st-leak-field" }, el("span", { class: "st-caption" }, word(name)), area);
  };
  const close = () => {
    editing = null;
    paint();
  };
  const save = () =>
    ask("edit", { id: row.id, version: row.version, question: editing.question, answer: editing.answer }, (reply) => {
      if (reply.ok) editing = null;
      told(reply);
    });
  return el(
    "div",
    { class: "st-leak-editor" },
    field("question"),
    field("answer"),
    el("div", { class: "st-leak-buttons" }, button(word("save"), { class: "st-button st-primary st-small", onclick: save }), button(word("dont"), { class: "st-button st-small", onclick: close })),
  );
}
