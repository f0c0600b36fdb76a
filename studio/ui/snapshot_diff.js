// What differs between two snapshots: rows that came, went and changed, by word.

const DIFF_PAGE = 10;
const PARTS = ["changed", "added", "removed"];
let compared = null; // { one, other, part, offset }: what is compared, the older one first

/** Compare a snapshot with the next older one there is. */
function compareWith(id) {
  const index = state.names.findIndex((each) => each.id === id);
  const older = state.names[index + 1] ?? state.names[index - 1];
  startDiff(index + 1 < state.names.length ? older.id : id, index + 1 < state.names.length ? id : older.id);
}

function startDiff(one, other) {
  compared = { one, other, part: null, offset: 0 };
  ask("diff", { compare: compared }, () => root.querySelector(".st-snapshot-diff")?.scrollIntoView({ block: "nearest", behavior: "smooth" }));
}

function diffCard() {
  if (state.total < 2) return null;
  const names = state.names;
  const now = compared ?? { one: names[1].id, other: names[0].id };
  const choice = (name) => {
    const select = el("select", { class: "st-select", "data-focus": `diff-${name}`, "aria-label": word(name) }, ...names.map((each) => el("option", { value: each.id, selected: each.id === now[name] }, `${each.name} (${number_(each.rows)})`)));
    select.addEventListener("change", () => startDiff(name === "one" ? select.value : now.one, name === "other" ? select.value : now.other));
    return el("label", { class: "st-diff-choice" }, el("span", { class: "st-caption" }, word(name)), select);
  };
  return el(
    "div",
    { class: "st-snapshot-diff" },
    el("h3", {}, word("diff_title")),
    el("div", { class: "st-diff-choices" }, choice("one"), el("span", { class: "st-arrow", "aria-hidden": "true" }, "→"), choice("other"), compared ? null : button(word("compare"), { class: "st-button st-small", "data-focus": "diff-go", onclick: () => startDiff(now.one, now.other) })),
    workRow(state.works["snapshot-diff"], "snapshot-diff"),
    diffResult(),
  );
}

function diffResult() {
  const found = state.diff;
  if (!found || !compared || found.one !== compared.one || found.other !== compared.other) return null;
  const look = (part, offset) => {
    compared = { ...compared, part, offset };
    ask("look");
  };
  if (!PARTS.some((name) => found.counts[name])) return el("p", { class: "st-hint" }, word("same"));
  const chip = (name) => button(word(`part.${name}`), { class: "st-chip", "data-focus": `part-${name}`, "aria-pressed": String(name === found.part), onclick: () => look(name, 0) }, " ", el("span", { class: "st-number" }, number_(found.counts[name])));
  return el(
    "div",
    { class: "st-diff-result" },
    el("div", { class: "st-part-head" }, el("div", { class: "st-chips", role: "group" }, ...PARTS.map(chip)), pager(found.offset, DIFF_PAGE, found.counts[found.part], (to) => look(found.part, to))),
    el("ul", { class: "st-diff-list" }, ...found.rows.map(diffRow)),
  );
}

function diffRow(row) {
  const { before, after } = row;
  const text = (name) => (before && after ? diffNodes(before[name], after[name]) : [(after ?? before)[name]]);
  const fields = row.fields.map((name) => el("li", {}, fieldText(name, before, after)));
  const isTextSame = before && after && before.question === after.question && before.answer === after.answer;
  if (isTextSame && !fields.length) fields.push(el("li", {}, word("only_history", { from: before.version, to: after.version })));
  return el(
    "li",
    { class: `st-diff-row ${before ? (after ? "" : "st-gone") : "st-new"}` },
    el("div", { class: "st-diff st-side-q" }, ...text("question")),
    el("div", { class: "st-diff" }, ...text("answer")),
    fields.length ? el("ul", { class: "st-diff-fields st-caption" }, ...fields) : null,
  );
}

/** "status: draft → approved", or only the name where the values are long. */
function fieldText(name, before, after) {
  const shown = (row) => {
    const value = row[name];
    if (name === "split") return word(`side.${value}`);
    if (name === "status") return word(`status.${value}`);
    if (Array.isArray(value)) return value.join(", ") || "–";
    if (typeof value === "boolean") return word(value ? "yes" : "no");
    return value === null || value === "" ? "–" : String(value);
  };
  const label = word(`field.${name}`);
  return name === "turns" || name === "extra" || name === "rejected" ? word("field_changed", { name: label }) : word("field_from_to", { name: label, from: shown(before), to: shown(after) });
}
