// More examples: the methods with what they are good for, and the drafts that wait beside their sources.

const METHODS = ["paraphrase", "back-translation", "synonyms", "deletion", "insertion"];
const PAGE = 8;
const MOST = 5; // drafts of one example that can be asked for here; more are hardly ever different
const FIRST_WISH = { method: "paraphrase", n: 1, what: "approved", seed: null };
let state = null;
let offset = 0;
let wish = FIRST_WISH;
let next = null; // where the focus goes once a draft has left the list: the button of the one that follows
const deciding = new Set(); // drafts whose decision is on its way

const form = el("section", { class: "st-card" });
const drafts = el("section", { class: "st-card st-drafts" });
const columns = el("div", { class: "st-augment-columns" }, form, drafts);
root.append(el("h2", { class: "st-board-title" }), columns, toast);

function view() {
  return { offset };
}

function reset() {
  state = null;
  offset = 0;
  wish = FIRST_WISH;
  next = null;
}

function take(value) {
  if (!("drafts" in value)) return;
  const isFirst = !state;
  const hasEnded = value.work && !value.work.running && !toldEnds.has(value.work.number);
  followWorks([value.work], isFirst);
  state = value;
  offset = value.offset;
  if (hasEnded && !isFirst && value.made) tellMade(value.made);
}

function tellMade(made) {
  const undo = made.actions.length ? () => ask("undo", { actions: made.actions }, told) : null;
  say(word(made.is_whole ? "did.made" : "did.stopped", { n: number_(made.drafts), tried: number_(made.sources) }), "done", undo);
}

function told(reply) {
  if (!reply.ok || !reply.did) return;
  const undo = reply.undo ? () => ask("undo", { actions: reply.undo }, told) : null;
  const parts = [word(`did.${reply.did}`, { n: number_(reply.n ?? 0) })];
  for (const why of ["blocked", "doubtful"]) if (reply[why]) parts.push(word(`wait_on.${why}`, { n: number_(reply[why]) }));
  say(sentences(parts), "done", undo);
}

function sentences(parts) {
  return parts.filter(Boolean).join(language() === "ja" ? "" : " ");
}

function paint() {
  setText(root.firstChild, word("title"));
  if (!state) return;
  // On a narrow screen what waits stands above the long form.
  columns.classList.toggle("st-has-drafts", Boolean(state.total || state.work?.running));
  part(form, [wish, state.counts, state.language, state.seed, state.work?.running], formNodes);
  part(drafts, [state.drafts, state.total, state.offset, state.work, state.made], draftNodes);
  if (next) focusNext();
}

function focusNext() {
  const { kind, at } = next;
  const buttons = drafts.querySelectorAll(`[data-decides="${kind}"]`);
  if (deciding.size || document.activeElement !== document.body) return;
  next = null;
  (buttons[Math.min(at, buttons.length - 1)] ?? form.querySelector('[data-focus="make"]'))?.focus({ preventScroll: true });
}

function set(changes) {
  wish = { ...wish, ...changes };
  paint();
}

// What is asked for -------------------------------------------------------------------------------------------------

function formNodes() {
  const isRunning = Boolean(state.work?.running);
  const rows = state.counts[wish.what];
  const seed = wish.seed ?? state.seed;
  const make = () => {
    if (isRunning || !rows) return;
    offset = state.total; // what comes stands behind what waits already
    ask("make", { ...wish, seed }, (reply) => {
      if (!reply.ok) return;
      // Another time another seed, or the same drafts would come.
      set({ seed: seed + 1 });
      if (drafts.offsetTop < form.offsetTop) drafts.scrollIntoView({ block: "start" });
    });
  };
  const source = (value) => button(word(`what.${value}`), { class: "st-chip", "data-focus": `what-${value}`, "aria-pressed": String(wish.what === value), onclick: () => set({ what: value }) }, " ", el("span", { class: "st-number" }, number_(state.counts[value])));
  return [
    el("p", { class: "st-hint" }, word("about")),
    el("fieldset", { class: "st-methods" }, el("legend", { class: "st-subhead" }, word("method")), ...METHODS.map(methodLine)),
    el("div", { class: "st-augment-field" }, el("div", { class: "st-subhead" }, word("from")), el("div", { class: "st-chips", role: "group", "aria-label": word("from") }, source("approved"), source("shown"))),
    el("div", { class: "st-augment-field" }, el("div", { class: "st-subhead" }, word("per_row")), el("div", { class: "st-chips", role: "group", "aria-label": word("per_row") }, ...Array.from({ length: MOST }, (_, i) => countChip(i + 1)))),
    el("details", { class: "st-more", open: form.querySelector("details")?.open ?? false }, el("summary", {}, word("seed_title")), seedField(seed)),
    el("div", { class: "st-deal-buttons" }, button(word("make"), { class: "st-button st-primary", "data-focus": "make", "aria-disabled": String(isRunning || !rows), onclick: make }), el("span", { class: "st-caption" }, rows ? word("at_most", { n: number_(rows * wish.n) }) : word("no_sources"))),
  ];
}

function methodLine(name) {
  const input = el("input", { type: "radio", name: "st-method", value: name, "data-focus": `method-${name}`, checked: wish.method === name });
  input.addEventListener("change", () => set({ method: name }));
  const about = sentences([word(`method.${name}.about`), state.language === "ja" ? word(`method.${name}.japanese`) : null]);
  return el("label", { class: "st-method" }, input, el("span", { class: "st-method-text" }, el("span", { class: "st-method-name" }, word(`method.${name}`), name === "paraphrase" || name === "back-translation" ? el("span", { class: "st-tag" }, word("by_model")) : null), el("span", { class: "st-caption" }, about)));
}

function countChip(n) {
  return button(String(n), { class: "st-chip", "data-focus": `n-${n}`, "aria-pressed": String(wish.n === n), onclick: () => set({ n }) });
}

function seedField(seed) {
  const input = el("input", { type: "number", class: "st-number-field", min: 0, max: 1_000_000, "aria-label": word("seed"), "data-focus": "seed", value: seed });
  input.addEventListener("change", () => set({ seed: Math.max(0, Math.min(1_000_000, Math.floor(Number(input.value) || 0))) }));
  return el("label", { class: "st-seed" }, input, el("span", { class: "st-caption" }, word("seed_about")));
}

// What waits --------------------------------------------------------------------------------------------------------

function draftNodes() {
  const go = (to) => {
    offset = to;
    ask("look");
  };
  return [
    el("div", { class: "st-part-head" }, el("h3", {}, word("drafts_title", { n: number_(state.total) })), pager(state.offset, PAGE, state.total, go)),
    workRow(state.work, "augment"),
    state.total ? allButtons() : el("p", { class: "st-hint" }, nothingText()),
    el("ul", { class: "st-draft-list" }, ...state.drafts.map(draftCard)),
  ];
}

function allButtons() {
  const isRunning = Boolean(state.work?.running);
  const all = (kind) => button(word(`${kind}_all`, { n: number_(state.total) }), { class: "st-button st-small", "data-focus": `${kind}-all`, "aria-disabled": String(isRunning), onclick: () => (isRunning ? null : ask(kind, {}, told)) });
  return el("div", { class: "st-deal-buttons" }, all("approve"), all("discard"), button(word("to_table"), { class: "st-link", "data-focus": "to-table", onclick: () => trigger("table", {}) }));
}

function nothingText() {
  if (state.work?.running) return word("coming");
  if (!state.made) return word("none_yet");
  const came = state.made.drafts ? word("all_decided") : word("none_came", { n: number_(state.made.sources) });
  return sentences([came, state.made.left_out ? word("left_out", { n: number_(state.made.left_out) }) : null]);
}

function draftCard(draft, at) {
  const differs = draft.doubt === "answer";
  const warning = draft.doubt ? word(`doubt.${draft.doubt}`) : draft.blocked ? word("blocked", { reason: draft.blocked }) : null;
  return el(
    "li",
    { class: "st-draft" },
    draft.source_question ? draftLine(word("source"), "", [draft.source_question]) : null,
    draftLine(word(METHODS.includes(draft.method) ? `method.${draft.method}` : "draft"), "st-side-q", draft.source_question ? diffNodes(draft.source_question, draft.question) : [draft.question]),
    draftLine(word("answer"), "st-draft-answer", differs ? diffNodes(draft.source_answer, draft.answer) : [draft.answer]),
    warning ? el("p", { class: "st-warning" }, warning) : null,
    el("div", { class: "st-leak-buttons" }, decision(draft, "approve", at), decision(draft, "discard", at), button(word("edit"), { class: "st-link", "data-focus": `edit-${draft.id}`, onclick: () => trigger("table", { id: draft.id }) })),
  );
}

function draftLine(label, className, nodes) {
  return el("div", { class: "st-draft-line" }, el("span", { class: "st-caption" }, label), el("div", { class: `st-diff ${className}` }, ...nodes));
}

function decision(draft, kind, at) {
  const decide = () => {
    if (deciding.has(draft.id)) return;
    deciding.add(draft.id);
    next = { kind, at };
    ask(kind, { id: draft.id, version: draft.version }, (reply) => {
      deciding.delete(draft.id);
      if (!reply.ok) next = null;
      told(reply);
    });
  };
  return button(word(kind), { class: "st-button st-small", "data-focus": `${kind}-${draft.id}`, "data-decides": kind, onclick: decide });
}

begin();
