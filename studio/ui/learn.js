// Will it be learned? The trainer's own figures, the rows it would leave out, and any row token by token.

const PAGE = 12;
const WAIT_MS = 1_500;
const LISTS = ["left_out", "cut", "noted", "learned"];
const state = { loaded: false, waiting: "", problem: "", totals: null, list: "", offset: 0, total: 0, rows: [], open: null, openId: "", max_length: 0, strategy: "drop" };

const totalsPart = el("div", { class: "st-l-totals" });
const settings = el("div", { class: "st-l-settings" });
const tabsPart = el("div", { class: "st-chips", role: "group" });
const listPart = el("section", { class: "st-l-list" });
const openPart = el("section", { class: "st-l-open", tabindex: "-1" });
root.replaceChildren(totalsPart, settings, tabsPart, el("div", { class: "st-l-both" }, listPart, openPart), toast);

function view() {
  return { list: state.list, offset: state.offset, open: state.openId, ...(state.max_length ? { max_length: state.max_length, excess_length_strategy: state.strategy } : {}) };
}

function reset() {
  Object.assign(state, { loaded: false, waiting: "", problem: "", totals: null, list: "", offset: 0, total: 0, rows: [], open: null, openId: "" });
}

function take(value) {
  state.loaded = true;
  state.waiting = value.waiting ?? "";
  state.problem = value.problem ?? "";
  if (!state.max_length || value.adopt) Object.assign(state, { max_length: value.max_length, strategy: value.excess_length_strategy });
  if (state.waiting) {
    state.totals = null;
    if (value.may_come) pollIn(WAIT_MS);
    return;
  }
  if (value.totals) Object.assign(state, { totals: value.totals, list: value.list, offset: value.offset, total: value.total, rows: value.rows, open: value.open });
  if (!state.openId && state.rows.length && matchMedia("(min-width: 901px)").matches) openRow(state.rows[0].id);
}

function openRow(id, { go = false } = {}) {
  state.openId = id;
  ask("look", {}, () => (go ? openPart.scrollIntoView({ block: "nearest" }) : null));
  paint();
}

function choose(list) {
  Object.assign(state, { list, offset: 0, openId: "", rows: [] });
  ask("look");
  paint();
}

function toTable(id) {
  trigger("table", { id });
}

// Totals ------------------------------------------------------------------------------------------------------------

function paintTotals() {
  part(totalsPart, [state.totals, state.waiting, state.loaded], () => {
    if (state.waiting) return [el("p", { class: "st-hint" }, state.waiting)];
    const totals = state.totals;
    if (!totals) return [el("p", { class: "st-hint" }, state.loaded ? "" : "…")];
    const figure = (name, value, detail, kind) => el("div", { class: `st-figure${kind ? ` st-figure-${kind}` : ""}`, "data-figure": name }, el("strong", {}, number_(value)), el("span", {}, word(`figure.${name}`)), detail ? el("span", { class: "st-hint" }, detail) : null);
    const why = Object.entries(totals.reasons).map(([reason, n]) => `${number_(n)} × ${word(`reason.${reason}`)}`).join(" · ");
    return [
      figure("learned", totals.rows, word("tokens_of", { loss: number_(totals.loss_tokens), tokens: number_(totals.tokens) }), "ok"),
      figure("left_out", totals.left_out, why, totals.left_out ? "warn" : ""),
      figure("cut", totals.cut, totals.cut ? word("cut_tokens", { n: number_(totals.cut_tokens) }) : "", totals.cut ? "warn" : ""),
      totals.kept_back ? figure("kept_back", totals.kept_back, word("kept_back_hint")) : null,
    ];
  });
}

const lengthField = el("input", { type: "number", min: 16, max: 131072, step: 16, class: "st-l-length", "data-focus": "length" });
lengthField.addEventListener("change", () => {
  const wanted = Math.round(Number(lengthField.value));
  if (!wanted || wanted === state.max_length) return;
  state.max_length = wanted;
  ask("look");
});
const strategies = el("span", { class: "st-chips", role: "group" });
const lengthLabel = el("label", { class: "st-l-label" });
const lengthProblem = el("p", { class: "st-problem", role: "alert", hidden: true });
const limitHint = el("span", { class: "st-hint" });
settings.replaceChildren(lengthLabel, strategies, limitHint, lengthProblem);

function paintSettings() {
  settings.hidden = !state.totals;
  part(lengthLabel, "label", () => [word("max_length"), " ", lengthField]);
  if (document.activeElement !== lengthField) lengthField.value = state.max_length || "";
  strategies.setAttribute("aria-label", word("strategy"));
  part(strategies, [state.strategy], () =>
    ["drop", "truncate"].map((name) => button(word(`strategy.${name}`), { class: "st-chip", "data-strategy": name, "data-focus": name, "aria-pressed": String(state.strategy === name), onclick: () => { state.strategy = name; ask("look"); paint(); } })),
  );
  const limit = state.totals?.limit;
  setText(limitHint, limit && limit < state.max_length ? word("limit_hint", { n: number_(limit) }) : "");
  lengthProblem.hidden = !state.problem;
  setText(lengthProblem, state.problem);
}

// The lists ---------------------------------------------------------------------------------------------------------

function paintTabs() {
  tabsPart.hidden = !state.totals;
  tabsPart.setAttribute("aria-label", word("lists"));
  const totals = state.totals ?? {};
  const counts = { left_out: totals.left_out, cut: totals.cut, noted: totals.noted, learned: totals.rows };
  part(tabsPart, [counts, state.list], () =>
    LISTS.filter((name) => counts[name] || name === state.list).map((name) => button(word(`list.${name}`), { class: "st-chip", "data-list": name, "data-focus": name, "aria-pressed": String(state.list === name), onclick: () => choose(name) }, " ", el("span", { class: "st-number" }, number_(counts[name] ?? 0)))),
  );
}

function paintList() {
  listPart.hidden = !state.totals;
  part(listPart, [state.list, state.rows, state.offset, state.total, state.openId, state.rows.length ? 0 : out.size], () => {
    if (!state.rows.length) return [el("p", { class: "st-hint" }, out.size ? "…" : word("nothing"))];
    return [
      state.list === "learned" ? null : el("p", { class: "st-hint" }, word(`list_hint.${state.list}`)),
      el("ul", { class: "st-l-rows" }, ...state.rows.map(line)),
      pager(state.offset, PAGE, state.total, (offset) => { Object.assign(state, { offset, openId: "" }); ask("look"); }),
    ];
  });
}

function line(row) {
  return el(
    "li",
    {},
    button(
      el("span", { class: "st-l-q" }, row.question || word("no_text")),
      { class: "st-l-row", "data-id": row.id, "data-focus": row.id, "aria-pressed": String(row.id === state.openId), onclick: () => openRow(row.id, { go: true }) },
      el("span", { class: "st-l-a" }, row.answer || word("no_text")),
      el("span", { class: "st-l-why" }, ...why(row)),
    ),
  );
}

function why(row) {
  if (row.reason) return [el("span", { class: "st-mini st-mini-flag" }, word(`reason.${row.reason}`)), detailOf(row)];
  const notes = row.notes.map((kind) => el("span", { class: "st-mini st-mini-flag" }, word(`note_short.${kind}`)));
  return [row.loss_tokens ? el("span", { class: "st-mini" }, word("learns", { n: number_(row.loss_tokens) })) : null, ...notes].filter(Boolean);
}

/** The server's sentence is in English; what it says beyond the reason is a count, or what the template said. */
function detailOf(row) {
  return language() === "en" || row.reason === "template" ? row.sentence : "";
}

// One row, as the trainer reads it -----------------------------------------------------------------------------------

function paintOpen() {
  openPart.hidden = !state.totals;
  openPart.setAttribute("aria-label", word("open"));
  const row = state.open?.id === state.openId || !state.openId ? state.open : null;
  part(openPart, [row, state.openId], () => {
    if (!row) return [el("p", { class: "st-hint" }, state.openId ? "…" : word("choose"))];
    const share = (name, n) => el("span", { class: `st-key-of st-run-${name}`, role: "listitem" }, `${word(`run.${name}`)} · ${number_(n)}`);
    const count = (kind) => row.runs.filter((run) => run[0] === kind).reduce((sum, run) => sum + run[2], 0);
    const kinds = ["prompt", "special", "learned", "cut"].filter(count);
    return [
      el("div", { class: "st-l-openhead" }, el("strong", {}, word(row.reason ? "is_left_out" : "is_learned", { n: number_(row.loss_tokens) })), button(word("in_table"), { class: "st-link", "data-focus": "table", onclick: () => toTable(row.id) })),
      row.reason ? el("p", { class: "st-problem" }, word(`because.${row.reason}`, { tokens: number_(row.tokens), limit: number_(row.limit) }), row.reason === "template" ? ` ${row.sentence}` : "") : null,
      row.not_trained ? el("p", { class: "st-hint" }, word("not_trained")) : null,
      row.reason === "too-long" ? null : el("p", { class: "st-hint" }, word("counts", { tokens: number_(row.tokens), limit: number_(row.limit), cut: number_(row.cut_tokens) })),
      ...row.notes.map(([kind, turn]) => el("p", { class: "st-l-note" }, turn === null ? "" : `${word("turn", { n: turn + 1 })}: `, word(`note.${kind}`))),
      el("div", { class: "st-keys", role: "list", "aria-label": word("legend") }, ...kinds.map((kind) => share(kind, count(kind)))),
      row.runs.length ? el("pre", { class: "st-rendered" }, ...row.runs.map(([kind, text, tokens]) => el("span", { class: `st-run st-run-${kind}`, title: `${word(`run.${kind}`)} · ${word("tokens", { n: number_(tokens) })}` }, text))) : null,
    ];
  });
}

function paint() {
  paintTotals();
  paintSettings();
  paintTabs();
  paintList();
  paintOpen();
}

begin();
