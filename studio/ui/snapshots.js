// Snapshots: a form to freeze the rows, the list, and the comparison of two.

const PAGE = 6;
let state = null;
let offset = 0;
let what = "approved";
let name = "";

const form = el("section", { class: "st-card" });
const list = el("section", { class: "st-card" });
const difference = el("section", { class: "st-card", hidden: true });
root.append(el("h2", { class: "st-board-title" }), form, list, difference, toast);

function view() {
  return { offset, compare: compared };
}

function reset() {
  state = exporting = compared = null;
  offset = 0;
  name = "";
}

function take(value) {
  if (!("snapshots" in value)) return;
  const before = state?.works ?? {};
  followWorks(Object.values(value.works), !state);
  state = value;
  offset = value.offset;
  // The list was read before the work ended, or the result came with another question.
  if (Object.entries(before).some(([kind, work]) => work?.running && !value.works[kind]?.running)) ask("look");
}

function paint() {
  setText(root.firstChild, word("title"));
  if (!state) return;
  part(form, [state.counts, what, state.works.snapshot], formNodes);
  part(list, [state.snapshots, state.total, offset, exporting?.id, state.exported, state.works["snapshot-export"]], listNodes);
  difference.hidden = state.total < 2;
  part(difference, [state.diff, compared, state.names, state.works["snapshot-diff"]], () => [diffCard()]);
}

function formNodes() {
  const input = el("input", { type: "text", class: "st-text-field", maxlength: 100, placeholder: word("name_hint"), "aria-label": word("name"), "data-focus": "snapshot-name" });
  input.value = name;
  input.addEventListener("input", () => (name = input.value));
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.isComposing) freeze();
  });
  const choice = (value) => button(word(`what.${value}`), { class: "st-chip", "data-focus": `what-${value}`, "aria-pressed": String(what === value), onclick: () => { what = value; paint(); } }, " ", el("span", { class: "st-number" }, number_(state.counts[value])));
  const work = state.works.snapshot;
  return [
    el("p", { class: "st-hint" }, word("about")),
    el("div", { class: "st-chips", role: "group", "aria-label": word("what") }, choice("approved"), choice("shown")),
    el("div", { class: "st-export-line" }, input, button(word("take"), { class: "st-button st-primary", "data-focus": "snapshot-take", "aria-disabled": String(Boolean(work?.running)), onclick: () => (work?.running ? null : freeze()) })),
    workRow(work, "snapshot"),
  ];
}

function freeze() {
  ask("take", { name, what }, (reply) => {
    if (!reply.ok) return;
    name = "";
    form.shown = null;
    if (reply.did) say(word(`did.${reply.did}`));
    paint();
  });
}

function listNodes() {
  const go = (to) => {
    offset = to;
    ask("look");
  };
  const head = el("div", { class: "st-part-head" }, el("h3", {}, word("list_title")), pager(state.offset, PAGE, state.total, go));
  if (!state.total) return [head, el("p", { class: "st-hint" }, word("none_yet"))];
  return [head, el("ul", { class: "st-snapshot-list" }, ...state.snapshots.map(snapshotItem))];
}

begin();
