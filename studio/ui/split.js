// The split: a bar of the sides, two sliders to deal by, what dealing would do, and the rows set aside.

const SIDES = ["train", "validation", "test", "aside"];
const MOST = 90; // percent that validation and test may have between them; `Shares` refuses more
const PAGE = 5;
let state = null;
let wanted = null; // { validation, test, seed }: as the sliders stand, once they were touched
let toldDone = 0; // the number of the dealing that was spoken of
let offset = 0;

const bar = el("section", { class: "st-card", "aria-labelledby": "st-split-title" });
const dealing = el("section", { class: "st-card st-dealing" });
const leaks = el("section", { class: "st-card st-leaks" });
root.append(el("h2", { class: "st-board-title", id: "st-split-title" }), bar, dealing, leaks, toast);

function view() {
  return { offset };
}

function reset() {
  state = wanted = editing = null;
  toldDone = 0;
  offset = 0;
}

function take(value) {
  if (!("sides" in value)) return;
  const before = state;
  followWorks(Object.values(value.works), !state);
  state = value;
  offset = value.offset;
  if (value.done && value.done.number !== toldDone) {
    toldDone = value.done.number;
    if (before) sayDone(value.done);
  }
  // The board was read before the work ended.
  if (Object.entries(before?.works ?? {}).some(([kind, work]) => work?.running && !value.works[kind]?.running)) ask("look");
  if (before && value.preview && value.preview.number !== before.preview?.number) setTimeout(() => root.querySelector(".st-confirm-deal .st-primary")?.focus({ preventScroll: true }));
}

function sayDone(done) {
  wanted = null;
  const undo = done.undo ? () => ask("undo", { action: done.undo }) : null;
  say(word(`did.${done.did}`, { n: number_(done.n) }), "done", undo);
}

function told(reply) {
  if (!reply.ok) return;
  const undo = reply.undo ? () => ask("undo", { action: reply.undo }) : null;
  say(word(`did.${reply.did}`, { n: number_(reply.n ?? 0) }), "done", undo);
}

function isBusy() {
  return Object.values(state.works).some((work) => work?.running);
}

function paint() {
  setText(root.firstChild, word("title"));
  if (!state) return;
  part(bar, [state.sides, state.shares, state.last, isBusy()], barNodes);
  part(dealing, [shownProject, state.shares, state.preview, state.works, state.sides], dealNodes);
  part(leaks, [state.leaks, state.total, state.offset, editing?.id, state.shares !== null], leakNodes);
}

// Where the rows stand ----------------------------------------------------------------------------------------------

function barNodes() {
  const total = SIDES.reduce((sum, side) => sum + (state.sides[side] ?? 0), 0);
  return [sidesBar(state.sides), legend(state.sides, total), ruleNode(), lastNode()];
}

function sidesBar(sides) {
  const shown = SIDES.filter((side) => sides[side]);
  const text = shown.map((side) => `${word(`side.${side}`)}: ${number_(sides[side])}`).join(", ");
  return el("div", { class: "st-sides", role: "img", "aria-label": text || word("no_rows") }, ...shown.map((side) => el("span", { class: `st-side-${side}`, style: `flex-grow: ${sides[side]}` })));
}

function legend(sides, total, live = true) {
  const entry = (side) => {
    const n = sides[side] ?? 0;
    const share = total ? new Intl.NumberFormat(language(), { style: "percent", maximumFractionDigits: n && n / total < 0.1 ? 1 : 0 }).format(n / total) : "";
    const text = [el("i", { class: `st-side-dot st-side-${side}`, "aria-hidden": "true" }), el("span", { class: "st-side-name" }, word(`side.${side}`)), el("b", {}, number_(n)), el("span", { class: "st-caption" }, share)];
    if (!live || !n) return el("span", { class: "st-legend" }, ...text);
    return button("", { class: "st-legend", "data-focus": `side-${side}`, title: word("show_side"), onclick: () => trigger("table", { side }) }, ...text);
  };
  return el("div", { class: "st-legends" }, ...SIDES.filter((side) => side !== "aside" || sides.aside).map(entry));
}

function ruleNode() {
  const shares = state.shares;
  if (!shares) return el("p", { class: "st-split-rule" }, word("rule.none"));
  const percent = (share) => Math.round(100 * share);
  return el(
    "div",
    {},
    el("p", { class: "st-split-rule" }, word("rule.shares", { validation: percent(shares.validation), test: percent(shares.test) })),
    el(
      "details",
      { class: "st-more" },
      el("summary", {}, word("rule.more")),
      el("ul", {}, el("li", {}, word("rule.group")), el("li", {}, word("rule.stays", { seed: shares.seed })), el("li", {}, word("rule.brought"))),
    ),
  );
}

function lastNode() {
  const last = state.last;
  if (!last) return null;
  const when = new Date(last.at).toLocaleString(language(), { dateStyle: "medium", timeStyle: "short" });
  const text = word(last.is_undo ? "taken_back" : "dealt", { n: number_(last.rows), who: last.author || word("somebody"), when });
  return el("p", { class: "st-caption st-last" }, el("span", {}, text), button(word(last.is_undo ? "bring_back" : "undo"), { class: "st-link", "data-focus": "undo-deal", "aria-disabled": String(isBusy()), onclick: () => (isBusy() ? null : ask("undo", { action: last.id })) }));
}

// Dealing -----------------------------------------------------------------------------------------------------------

function asShown() {
  const shares = state.shares ?? { validation: 0.1, test: 0.1, seed: 0 };
  return wanted ?? { validation: Math.round(100 * shares.validation), test: Math.round(100 * shares.test), seed: shares.seed };
}

function dealNodes() {
  const work = state.works["split-deal"]?.running ? "split-deal" : state.works["split-preview"]?.running ? "split-preview" : null;
  if (work) return [el("h3", {}, word("deal_title")), workRow({ ...state.works[work], stage: work === "split-deal" ? "dealing" : "counting", inPercent: true }, work), el("p", { class: "st-hint" }, word("meanwhile"))];
  if (state.preview) return [el("h3", {}, word("deal_title")), confirmNode(state.preview)];
  const now = asShown();
  const rest = el("output", { class: "st-rest" });
  const tell = () => {
    const { validation, test } = asShown();
    setText(rest, word("rest", { train: 100 - validation - test }));
  };
  tell();
  const lookFirst = (none) => ask("preview", { ...asShown(), none });
  return [
    el("h3", {}, word("deal_title")),
    el("p", { class: "st-hint" }, word("deal_about")),
    el("div", { class: "st-sliders" }, slider("validation", now, tell), slider("test", now, tell)),
    rest,
    el(
      "div",
      { class: "st-deal-buttons" },
      button(word("deal"), { class: "st-button st-primary", "data-focus": "deal", onclick: () => lookFirst(false) }),
      state.shares ? button(word("deal_none"), { class: "st-link", "data-focus": "deal-none", onclick: () => lookFirst(true) }) : null,
    ),
    el("details", { class: "st-more" }, el("summary", {}, word("seed_title")), seedField(now)),
  ];
}

function slider(name, now, tell) {
  const id = `st-share-${name}`;
  const percent = el("output", { for: id }, `${now[name]} %`);
  const input = el("input", { type: "range", id, min: 0, max: 50, step: 1, "data-focus": id });
  input.value = now[name];
  input.addEventListener("input", () => {
    const other = name === "test" ? "validation" : "test";
    const value = Math.min(Number(input.value), MOST - asShown()[other]);
    input.value = value;
    wanted = { ...asShown(), [name]: value };
    setText(percent, `${value} %`);
    tell();
  });
  const label = el("label", { for: id }, el("i", { class: `st-side-dot st-side-${name}`, "aria-hidden": "true" }), word(`side.${name}`));
  return el("div", { class: "st-slider" }, label, percent, input, el("span", { class: "st-caption" }, word(`about.${name}`)));
}

function seedField(now) {
  const input = el("input", { type: "number", class: "st-number-field", min: 0, max: 1_000_000, "aria-label": word("seed"), value: now.seed });
  input.addEventListener("input", () => {
    wanted = { ...asShown(), seed: Math.max(0, Math.min(1_000_000, Math.floor(Number(input.value) || 0))) };
  });
  return el("label", { class: "st-seed" }, input, el("span", { class: "st-caption" }, word("seed_about")));
}

function confirmNode(preview) {
  const after = preview.sides;
  const total = SIDES.reduce((sum, side) => sum + (after[side] ?? 0), 0);
  const go = () => ask("deal", { ...preview.shares, none: preview.none });
  const stop = () => ask("put_off", {}, () => setTimeout(() => root.querySelector('[data-focus="deal"]')?.focus()));
  return el(
    "div",
    { class: "st-confirm-deal", role: "group" },
    el("p", {}, preview.moved ? word("moves", { n: number_(preview.moved), total: number_(total) }) : word("moves_none")),
    preview.trained_on ? el("p", { class: "st-warning" }, word("trained_on", { n: number_(preview.trained_on) })) : null,
    sidesBar(after),
    legend(after, total, false),
    ...preview.uneven.map(unevenNode),
    el("div", { class: "st-deal-buttons" }, button(word("deal_now"), { class: "st-button st-primary", onclick: go }), button(word("dont"), { class: "st-button", onclick: stop })),
  );
}

/** Why a side got another share than was asked for: "Asked 10 % test, got 14 %: 120 near-identical examples stay together." */
function unevenNode(uneven) {
  const percent = (share) => number_(Math.round(share * (share < 0.1 ? 1000 : 100)) / (share < 0.1 ? 10 : 1));
  const reasons = [];
  for (const kind of ["alike", "grouped"]) {
    const { sizes, more, groups } = uneven[kind];
    reasons.push(...sizes.map((n) => word(`uneven.${kind}`, { n: number_(n) })));
    if (groups) reasons.push(word(`uneven.${kind}_more`, { n: number_(more), groups: number_(groups) }));
  }
  if (uneven.pinned) reasons.push(word("uneven.pinned", { n: number_(uneven.pinned) }));
  if (!reasons.length) reasons.push(word("uneven.chance", { groups: number_(uneven.groups) }));
  const head = word("uneven", { asked: percent(uneven.asked), got: percent(uneven.got), side: word(`to.${uneven.side}`) });
  return el("div", { class: "st-uneven" }, el("p", {}, head), el("ul", {}, ...reasons.map((reason) => el("li", {}, reason))));
}

// Leaks -------------------------------------------------------------------------------------------------------------

function leakNodes() {
  const go = (to) => {
    offset = to;
    ask("look");
  };
  leaks.hidden = state.shares === null;
  const head = el("div", { class: "st-part-head" }, el("h3", {}, word("leaks_title")), pager(state.offset, PAGE, state.total, go));
  if (!state.total) return [head, el("p", { class: "st-hint" }, word("no_leaks"))];
  return [head, el("p", { class: "st-hint" }, word("leaks_about")), el("ul", { class: "st-leak-list" }, ...state.leaks.map(leakCard))];
}

begin();
