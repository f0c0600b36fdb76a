// What was learned and what was not: one row a check, filtered by chips.

const FILTERS = {
  all: () => true,
  learned: (row) => row.right,
  not_learned: (row) => !row.right,
  broken: isBroken,
};
let filter = "all";

function isBroken(row) {
  return row.broken ?? (row.base_right === true && !row.right);
}

function badge(row) {
  const kind = row.right ? "learned" : isBroken(row) ? "broken" : "not_learned";
  const sign = { learned: "✓", broken: "!", not_learned: "○" }[kind];
  return el("span", { class: `st-verdict st-${kind}` }, el("span", { "aria-hidden": "true" }, `${sign} `), word(kind));
}

function field(label, ...content) {
  return el("div", { class: "st-field" }, el("dt", {}, label), el("dd", {}, ...content));
}

function baseField(row, value) {
  if (row.base_answer === null || row.base_answer === undefined) return null;
  const mark = row.base_right ? `✓ ${word("right")}` : `✕ ${word("wrong")}`;
  const known = typeof row.base_right === "boolean";
  return field(value.base_label ?? word("base"), row.base_answer, known ? el("span", { class: "st-mark" }, ` ${mark}`) : null);
}

function item(row, value) {
  const label = value.label ?? word("answer");
  const answer = row.right && row.answer === row.expected ? [row.answer] : diffNodes(row.expected ?? "", row.answer ?? "");
  const fields = row.right && row.answer === row.expected ? null : field(word("expected"), row.expected ?? "");
  return el(
    "li",
    { class: "st-result" },
    el("div", { class: "st-result-head" }, el("p", { class: "st-asked" }, row.prompt ?? ""), badge(row)),
    el("dl", {}, fields, field(label, ...answer), baseField(row, value)),
  );
}

function paint() {
  const value = props.value ?? {};
  const rows = value.rows ?? [];
  if (!rows.length) {
    root.replaceChildren(el("p", { class: "st-hint" }, word("none_yet")));
    return;
  }
  const chips = Object.entries(FILTERS).map(([name, test]) => {
    const choose = () => {
      filter = name;
      paint();
      root.querySelector(`[data-filter="${name}"]`)?.focus();
    };
    const count = el("span", { class: "st-number" }, String(rows.filter(test).length));
    const pressed = String(filter === name);
    return el("button", { type: "button", class: "st-chip", "data-filter": name, "aria-pressed": pressed, onclick: choose }, word(name), " ", count);
  });
  const shown = rows.filter(FILTERS[filter]);
  root.replaceChildren(
    el("div", { class: "st-chips", role: "group", "aria-label": word("show") }, ...chips),
    shown.length ? el("ul", { class: "st-result-list" }, ...shown.map((row) => item(row, value))) : el("p", { class: "st-hint" }, word("none")),
  );
}

onLanguageChange(paint);
watch("value", paint);
paint();
