// More examples: the methods with what they are good for, and the drafts beside their sources.

const METHODS = ["paraphrase", "back-translation", "synonyms", "deletion", "insertion"];
const PAGE = 8;
const MOST = 5;
let state = null;
let offset = 0;
let wish = { method: "paraphrase", n: 1, what: "approved", seed: 0 };

const form = el("section", { class: "st-card" });
const drafts = el("section", { class: "st-card st-drafts" });
root.append(el("h2", { class: "st-board-title" }), el("div", { class: "st-augment-columns" }, form, drafts), toast);

function view() {
  return { offset };
}

function reset() {
  state = null;
  offset = 0;
  wish = { method: "paraphrase", n: 1, what: "approved", seed: 0 };
}

function take(value) {
  if (!("drafts" in value)) return;
  followWorks([value.work], !state);
  state = value;
  offset = value.offset;
}

function told(reply) {
  if (!reply.ok || !reply.did) return;
  const undo = reply.undo ? () => ask("undo", { action: reply.undo }, told) : null;
  say(word(`did.${reply.did}`, { n: number_(reply.n ?? 0) }), "done", undo);
}

function paint() {
  setText(root.firstChild, word("title"));
  if (!state) return;
  part(form, [wish.method, wish.what, wish.n, wish.seed, state.counts, state.language, state.work?.running], formNodes);
  part(drafts, [state.drafts, state.total, state.offset, state.waiting, state.work, state.left_out], draftNodes);
}

function set(changes) {
  wish = { ...wish, ...changes };
  paint();
}

// What is asked for -------------------------------------------------------------------------------------------------

function formNodes() {
  const isRunning = Boolean(state.work?.running);
  const rows = state.counts[wish.what];
  const make = () => {
    if (isRunning) return;
    offset = 0;
    ask("make", wish, (reply) => {
      // Another time another seed, or the same drafts would come.
      if (reply.ok) set({ seed: wish.seed + 1 });
    });
  };
  const source = (value) => button(word(`what.${value}`), { class: "st-chip", "data-focus": `what-${value}`, "aria-pressed": String(wish.what === value), onclick: () => set({ what: value }) }, " ", el("span", { class: "st-number" }, number_(state.counts[value])));
  return [
    el("p", { class: "st-hint" }, word("about")),
    el("fieldset", { class: "st-methods" }, el("legend", { class: "st-subhead" }, word("method")), ...METHODS.map(methodLine)),
    el("div", { class: "st-augment-field" }, el("div", { class: "st-subhead" }, word("from")), el("div", { class: "st-chips", role: "group", "aria-label": word("from") }, source("approved"), source("shown"))),
    el("div", { class: "st-augment-field" }, el("div", { class: "st-subhead" }, word("per_row")), el("div", { class: "st-chips", role: "group", "aria-label": word("per_row") }, ...Array.from({ length: MOST }, (_, i) => countChip(i + 1)))),
    el("details", { class: "st-more", open: form.querySelector("details")?.open ?? false }, el("summary", {}, word("seed_title")), seedField()),
    el("div", { class: "st-deal-buttons" }, button(word("make"), { class: "st-button st-primary", "data-focus": "make", "aria-disabled": String(isRunning || !rows), onclick: () => (rows ? make() : null) }), el("span", { class: "st-caption" }, rows ? word("at_most", { n: number_(rows * wish.n) }) : word("no_sources"))),
  ];
}

function methodLine(name) {
  const input = el("input", { type: "radio", name: "st-method", value: name, "data-focus": `method-${name}`, checked: wish.method === name });
  input.addEventListener("change", () => set({ method: name }));
  const about = [word(`method.${name}.about`), state.language === "ja" ? word(`method.${name}.japanese`) : null].filter(Boolean).join(" ");
  return el("label", { class: "st-method" }, input, el("span", { class: "st-method-text" }, el("span", { class: "st-method-name" }, word(`method.${name}`), name === "paraphrase" || name === "back-translation" ? el("span", { class: "st-tag" }, word("by_model")) : null), el("span", { class: "st-caption" }, about)));
}

function countChip(n) {
  return button(String(n), { class: "st-chip", "data-focus": `n-${n}`, "aria-pressed": String(wish.n === n), onclick: () => set({ n }) });
}

function seedField() {
  const input = el("input", { type: "number", class: "st-number-field", min: 0, max: 1_000_000, "aria-label": word("seed"), "data-focus": "seed", value: wish.seed });
  input.addEventListener("change", () => set({ seed: Math.max(0, Math.min(1_000_000, Math.floor(Number(input.value) || 0))) }));
  return el("label", { class: "st-seed" }, input, el("span", { class: "st-caption" }, word("seed_about")));
}

// What came of it ---------------------------------------------------------------------------------------------------

function draftNodes() {
  const go = (to) => {
    offset = to;
    ask("look");
  };
  const all = (kind) => ask(kind, { ids: [] }, told);
  const isRunning = Boolean(state.work?.running);
  const waiting = state.waiting ? el("p", { class: "st-hint st-waiting-line" }, el("span", {}, word("waiting", { n: number_(state.waiting) })), button(word("to_table"), { class: "st-link", "data-focus": "to-table", onclick: () => trigger("table", {}) })) : null;
  return [
    el("div", { class: "st-part-head" }, el("h3", {}, word("drafts_title", { n: number_(state.total) })), pager(state.offset, PAGE, state.total, go)),
    workRow(state.work, "augment"),
    waiting,
    state.total
      ? el(
          "div",
          { class: "st-deal-buttons" },
          button(word("keep_all"), { class: "st-button st-small", "data-focus": "keep-all", "aria-disabled": String(isRunning), onclick: () => (isRunning ? null : all("keep")) }),
          button(word("discard_all"), { class: "st-button st-small", "data-focus": "discard-all", "aria-disabled": String(isRunning), onclick: () => (isRunning ? null : all("discard")) }),
        )
      : el("p", { class: "st-hint" }, nothingText()),
    el("ul", { class: "st-draft-list" }, ...state.drafts.map(draftCard)),
  ];
}

function nothingText() {
  if (state.work?.running) return word("coming");
  if (!state.work) return word("none_yet");
  const left = state.left_out ? ` ${word("left_out", { n: number_(state.left_out) })}` : "";
  return word("none_came", { n: number_(state.looked_at) }) + left;
}

function draftCard(draft) {
  const settle = (kind) => ask(kind, { ids: [draft.id] }, told);
  return el(
    "li",
    { class: "st-draft" },
    el("div", { class: "st-draft-line" }, el("span", { class: "st-caption" }, word("source")), el("div", { class: "st-diff" }, draft.source_question)),
    el("div", { class: "st-draft-line" }, el("span", { class: "st-caption" }, word(`method.${draft.method}`)), el("div", { class: "st-diff st-side-q" }, ...diffNodes(draft.source_question, draft.question))),
    el("div", { class: "st-draft-line st-draft-answer" }, el("span", { class: "st-caption" }, word("answer")), el("div", {}, draft.answer)),
    el("div", { class: "st-leak-buttons" }, button(word("keep"), { class: "st-button st-small", "data-focus": `keep-${draft.id}`, onclick: () => settle("keep") }), button(word("discard"), { class: "st-button st-small", "data-focus": `discard-${draft.id}`, onclick: () => settle("discard") })),
  );
}

begin();
