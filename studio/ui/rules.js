// Guidelines: a text that saves itself, the rules with what breaks them, and a rule to add that is tried out first.

const KINDS = ["must_contain", "must_not_contain", "max_words", "regex", "json_schema"];
const SAVE_AFTER_MS = 1_200;
const TRY_AFTER_MS = 350;
const SHOWN = 5;
const state = { loaded: false, rules: [], total: 0, looked_at: 0, flagged: 0, open: "", offset: 0, saved: "", latest: "", theirs: null, tried: null, isAdding: false };
let saveTimer = 0;
let tryTimer = 0;
let saving = false;

// The text ----------------------------------------------------------------------------------------------------------

const guide = el("textarea", { class: "st-area st-guide", rows: "8", "data-focus": "guide" });
const guideTitle = el("h3", {});
const guideHint = el("p", { class: "st-hint" });
const guideState = el("span", { class: "st-caption", role: "status" });
const guideTheirs = button("", { class: "st-link", hidden: true, onclick: () => { guide.value = state.theirs; state.saved = state.theirs; state.theirs = null; fit(guide); paint(); } });

function isTyped() {
  return state.loaded && guide.value !== state.saved;
}

function saveGuide() {
  clearTimeout(saveTimer);
  if (!isTyped() || saving) return;
  saving = true;
  const text = guide.value;
  ask("guide", { text, was: state.saved }, (reply) => {
    saving = false;
    if (reply.ok) {
      state.saved = reply.saved;
      state.theirs = null;
      if (isTyped()) saveTimer = setTimeout(saveGuide, SAVE_AFTER_MS);
    } else if (state.theirs === null && state.latest !== state.saved) state.theirs = state.latest;
    paint();
  });
  paint();
}

guide.addEventListener("input", () => {
  fit(guide);
  clearTimeout(saveTimer);
  saveTimer = setTimeout(saveGuide, SAVE_AFTER_MS);
  paint();
});
guide.addEventListener("blur", saveGuide);
guide.addEventListener("keydown", (event) => {
  if (!event.isComposing && event.key === "Enter" && (event.ctrlKey || event.metaKey)) saveGuide();
});

function fit(area) {
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight + 2}px`;
}

// A rule to add -----------------------------------------------------------------------------------------------------

const kindBox = el("select", { class: "st-select", "data-focus": "kind", onchange: () => { dressValue(); tryOut(0); } });
const kindHint = el("p", { class: "st-hint" });
const valueSlot = el("div", {});
const valueProblem = el("p", { class: "st-problem", role: "alert", id: "st-rule-problem", hidden: true });
const messageBox = el("input", { type: "text", class: "st-input", maxlength: 300, "data-focus": "message" });
const blocksBox = el("input", { type: "checkbox", "data-focus": "blocks" });
const blocksLabel = el("label", { class: "st-blocks" });
const found = el("div", { class: "st-found", "aria-live": "polite" });
const addButton = button("", { class: "st-button st-primary st-add-rule", onclick: addRule });
let valueBox = null;

/** A number, a line or a block, as the kind needs; what was typed stays. */
function dressValue() {
  const kind = kindBox.value;
  const before = valueBox?.value ?? "";
  valueBox = kind === "json_schema" ? el("textarea", { rows: "6", class: "st-area st-code" }) : el("input", { type: kind === "max_words" ? "number" : "text", min: kind === "max_words" ? 1 : null, class: `st-input${kind === "regex" ? " st-code" : ""}` });
  valueBox.value = before;
  valueBox.dataset.focus = "value";
  valueBox.setAttribute("aria-describedby", "st-rule-problem");
  valueBox.addEventListener("input", () => tryOut(TRY_AFTER_MS));
  valueBox.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.isComposing && (kind !== "json_schema" || event.ctrlKey || event.metaKey)) addRule();
  });
  valueSlot.replaceChildren(valueBox);
  paint();
}

function draft() {
  return { kind: kindBox.value, value: valueBox?.value ?? "", message: messageBox.value };
}

function tryOut(ms) {
  clearTimeout(tryTimer);
  tryTimer = setTimeout(() => ask("look"), ms);
  paint();
}

messageBox.addEventListener("input", () => tryOut(TRY_AFTER_MS));
blocksBox.addEventListener("change", () => paint());

/** Whether what the server said is about what stands in the fields now. */
function isTried() {
  const { kind, value, message } = draft();
  return JSON.stringify(state.tried?.asked) === JSON.stringify([kind, value, message]);
}

function addRule() {
  if (!valueBox.value.trim() || state.isAdding) return;
  state.isAdding = true;
  ask("add", { rule: { ...draft(), blocks: blocksBox.checked } }, (reply) => {
    state.isAdding = false;
    if (reply.ok) {
      valueBox.value = "";
      messageBox.value = "";
      blocksBox.checked = false;
      say(word("did.added"));
    }
    paint();
  });
  paint();
}

// The rules ---------------------------------------------------------------------------------------------------------

const rulesTitle = el("h3", {});
const rulesHint = el("p", { class: "st-hint" });
const rulesList = el("ul", { class: "st-rule-list" });
const addTitle = el("h3", {});
const addForm = el("div", { class: "st-rule-form" });

root.replaceChildren(
  el("section", { class: "st-g-text" }, guideTitle, guideHint, guide, el("div", { class: "st-card-buttons" }, guideState, guideTheirs)),
  el("section", { class: "st-g-rules" }, rulesTitle, rulesHint, rulesList, addTitle, addForm),
  toast,
);

function view() {
  return { open: state.open, offset: state.offset, draft: draft() };
}

function reset() {
  Object.assign(state, { loaded: false, rules: [], open: "", offset: 0, saved: "", latest: "", theirs: null, tried: null });
  guide.value = "";
}

function take(value) {
  if (!value.rules) return;
  Object.assign(state, { rules: value.rules, total: value.total, looked_at: value.looked_at, flagged: value.flagged, tried: value.draft, latest: value.guidelines });
  if (!state.loaded) {
    state.loaded = true;
    state.saved = guide.value = value.guidelines;
    fit(guide);
  } else if (value.guidelines !== state.saved && !saving && !(value.reply?.saved === value.guidelines)) {
    if (isTyped()) state.theirs = value.guidelines;
    else {
      state.saved = guide.value = value.guidelines;
      fit(guide);
    }
  }
}

function removeRule(rule) {
  ask("remove", { id: rule.id }, (reply) => {
    if (reply.ok) say(word("did.removed"), "done", reply.undo.rule ? () => ask("add", { rule: reply.undo.rule }) : null);
  });
}

function openRule(id) {
  Object.assign(state, { open: state.open === id ? "" : id, offset: 0 });
  ask("look");
  paint();
}

/** "12 of your 300 examples break this", or of as many as were looked at in time. */
function breaks(n, looked) {
  const name = looked < state.total ? "breaking_some" : n === 0 ? "breaking_none" : "breaking";
  return word(name, { n: number_(n), total: number_(looked) });
}

function ruleItem(rule) {
  const isOpen = state.open === rule.id;
  return el(
    "li",
    { class: "st-rule", "data-id": rule.id },
    el(
      "div",
      { class: "st-rule-head" },
      el("strong", {}, word(`kind.${rule.kind}`)),
      rule.blocks ? el("span", { class: "st-mini st-mini-flag" }, word("blocks_mark")) : null,
      button(word("remove"), { class: "st-link st-remove-rule", "data-focus": `remove ${rule.id}`, "aria-label": `${word("remove")}: ${rule.value.slice(0, 60)}`, onclick: () => removeRule(rule) }),
    ),
    rule.kind === "max_words" ? el("p", { class: "st-rule-value" }, word("words", { n: number_(Number(rule.value)) })) : el("pre", { class: `st-rule-value${["regex", "json_schema"].includes(rule.kind) ? " st-code" : ""}` }, rule.value),
    rule.message ? el("p", { class: "st-hint" }, `“${rule.message}”`) : null,
    el(
      "div",
      { class: "st-card-buttons" },
      el("span", { class: rule.breaking ? "st-breaks" : "st-hint", "data-breaking": rule.breaking }, breaks(rule.breaking, state.looked_at)),
      rule.breaking ? button(word(isOpen ? "hide" : "show"), { class: "st-link", "data-focus": `show ${rule.id}`, "aria-expanded": String(isOpen), onclick: () => openRule(rule.id) }) : null,
    ),
    isOpen && rule.rows ? el("ul", { class: "st-broken-rows" }, ...rule.rows.map(brokenRow)) : null,
    isOpen && rule.rows ? pager(rule.offset, SHOWN, rule.breaking, (offset) => { state.offset = offset; ask("look"); }) : null,
  );
}

function brokenRow(row) {
  const flags = row.span && row.span[1] > row.span[0] ? [{ span: row.span, reason: row.reason }] : [];
  return el("li", {}, el("div", { class: "st-card-q" }, row.question || word("no_text")), el("div", { class: "st-card-a" }, ...markedText(row.answer, flags)), el("div", { class: "st-card-buttons" }, el("span", { class: "st-caption" }, row.reason), button(word("in_table"), { class: "st-link", "data-focus": `table ${row.id}`, onclick: () => trigger("table", { id: row.id }) })));
}

function paintFound() {
  const tried = isTried() ? state.tried : null;
  const problem = tried?.problem ?? "";
  valueProblem.hidden = !problem;
  setText(valueProblem, problem);
  valueBox?.setAttribute("aria-invalid", String(Boolean(problem)));
  const isEmpty = !valueBox?.value.trim();
  addButton.setAttribute("aria-disabled", String(isEmpty || Boolean(problem) || state.isAdding));
  part(found, [isEmpty, Boolean(tried), tried?.found ?? null, state.total], () => {
    if (isEmpty) return [];
    if (!tried) return [el("p", { class: "st-hint" }, word("trying"))];
    if (!tried.found) return [];
    return [el("p", { class: tried.found.breaking ? "st-breaks" : "st-hint", "data-would-break": tried.found.breaking }, breaks(tried.found.breaking, tried.found.looked_at)), tried.found.rows.length ? el("ul", { class: "st-broken-rows" }, ...tried.found.rows.map(brokenRow)) : null];
  });
}

function paint() {
  if (!valueBox) return dressValue();
  root.classList.toggle("st-unloaded", !state.loaded);
  setText(guideTitle, word("guide"));
  setText(guideHint, word("guide_hint"));
  guide.setAttribute("aria-label", word("guide"));
  guide.placeholder = word("guide_example");
  guide.readOnly = !state.loaded;
  setText(guideState, state.theirs !== null ? word("theirs_hint") : saving ? word("saving") : isTyped() ? word("not_yet") : state.loaded && state.saved ? word("saved") : "");
  guideTheirs.hidden = state.theirs === null;
  setText(guideTheirs, word("theirs"));
  setText(rulesTitle, word("rules"));
  setText(rulesHint, word("rules_hint"));
  part(rulesList, [state.rules, state.total, state.looked_at, state.open, state.flagged], () => [
    ...state.rules.map(ruleItem),
    state.rules.length && state.flagged ? el("li", { class: "st-rule-foot" }, button(word("all_in_table", { n: number_(state.flagged) }), { class: "st-link st-rules-table", "data-focus": "all", onclick: () => trigger("table", {}) })) : null,
  ].filter(Boolean));
  setText(addTitle, word("add_title"));
  kindBox.setAttribute("aria-label", word("kind"));
  const chosen = kindBox.value || KINDS[0];
  part(kindBox, "kinds", () => KINDS.map((kind) => el("option", { value: kind }, word(`kind.${kind}`))));
  kindBox.value = chosen;
  setText(kindHint, word(`explain.${chosen}`));
  valueBox.placeholder = word(`example.${chosen}`);
  valueBox.setAttribute("aria-label", word(`value.${chosen}`));
  messageBox.placeholder = word("message_hint");
  messageBox.setAttribute("aria-label", word("message"));
  setText(addButton, word("add"));
  part(blocksLabel, "blocks", () => [blocksBox, el("span", {}, word("blocks"))]);
  part(addForm, "form", () => [
    el("span", { class: "st-caption" }, word("kind")), kindBox, kindHint, valueSlot, valueProblem,
    messageBox, blocksLabel, found, addButton,
  ]);
  paintFound();
  return undefined;
}

begin();
