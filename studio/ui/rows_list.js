// The table: one page of rows, sortable, with check boxes and what can be done with many rows at once.

const COLUMNS = ["text", "status", "marks", "rating", "split", "from", "changed"];
const STATUS_SIGNS = { approved: "✓", draft: "○", rejected: "✕", deleted: "␡" };
const records = new Map();

const checkAll = el("input", { type: "checkbox", class: "st-check", onchange: () => checkPage(checkAll.checked) });
const headRow = el("tr", {});
const body = el("tbody", {});
const table = el("table", { class: "st-grid", role: "grid", "aria-multiselectable": "true" }, el("thead", {}, headRow), body);
const nothing = el("div", { class: "st-nothing", hidden: true });
const bulkBar = el("div", { class: "st-bulk", role: "group", hidden: true });
const count = el("span", { class: "st-count-text" });
const pageBack = button("‹", { class: "st-turn", onclick: () => turnPage(-1) });
const pageOn = button("›", { class: "st-turn", onclick: () => turnPage(1) });
const status = el("div", { class: "st-said", role: "status", "aria-live": "polite" });
const keyLine = el("div", { class: "st-keyline" });
const scroller = el("div", { class: "st-grid-scroll" }, table, nothing);
const left = el(
  "section",
  { class: "st-rows-left" },
  bulkBar,
  scroller,
  el("div", { class: "st-rows-foot" }, el("span", { class: "st-pages" }, pageBack, count, pageOn), status, keyLine),
);

function paintList() {
  left.setAttribute("aria-label", word("table"));
  table.setAttribute("aria-label", word("table"));
  table.setAttribute("aria-rowcount", String(state.total));
  part(headRow, [state.view.sort], headCells);
  checkAll.setAttribute("aria-label", word("check_page"));
  const onPage = state.order.filter((id) => state.checked.has(id)).length;
  checkAll.checked = state.everything || (onPage > 0 && onPage === state.order.length);
  checkAll.indeterminate = !checkAll.checked && onPage > 0;
  const keep = new Set(state.order);
  for (const [id, record] of records) {
    if (keep.has(id)) continue;
    record.node.remove();
    records.delete(id);
  }
  state.order.forEach(placeRow);
  paintNothing();
  paintBulk();
  paintFoot();
}

function headCells() {
  const by = { question: "question", answer: state.view.sort === "longest" ? "shortest" : "longest", rating: "rating", changed: "changed" };
  const on = { question: ["question"], answer: ["longest", "shortest"], rating: ["rating"], changed: ["changed"] };
  const sorter = (name) => {
    const active = on[name].includes(state.view.sort);
    const sign = active ? (["question", "shortest"].includes(state.view.sort) ? " ↑" : " ↓") : "";
    return button(word(`column.${name}`), { class: "st-sorter", "data-focus": name, "aria-pressed": String(active), title: word(`sort.${by[name]}`), onclick: () => setSort(by[name]) }, el("span", { "aria-hidden": "true" }, sign));
  };
  const sorted = (...names) => (names.some((name) => on[name].includes(state.view.sort)) ? (["question", "shortest"].includes(state.view.sort) ? "ascending" : "descending") : null);
  return [
    el("th", { scope: "col", class: "st-col-check" }, checkAll),
    el("th", { scope: "col", class: "st-col-text", "aria-sort": sorted("question", "answer") }, sorter("question"), el("span", { class: "st-slash", "aria-hidden": "true" }, "/"), sorter("answer")),
    ...["status", "marks"].map((name) => el("th", { scope: "col", class: `st-col-${name}` }, word(`column.${name}`))),
    el("th", { scope: "col", class: "st-col-rating", "aria-sort": sorted("rating") }, sorter("rating")),
    ...["split", "from"].map((name) => el("th", { scope: "col", class: `st-col-${name}` }, word(`column.${name}`))),
    el("th", { scope: "col", class: "st-col-changed", "aria-sort": sorted("changed") }, sorter("changed")),
  ];
}

function placeRow(id, index) {
  let record = records.get(id);
  if (!record) {
    const check = el("input", { type: "checkbox", class: "st-check", tabindex: "-1" });
    check.addEventListener("click", (event) => {
      event.stopPropagation();
      checkRow(id, check.checked, event.shiftKey);
    });
    record = { check, cells: el("td", { class: "st-col-text" }) };
    record.node = el("tr", { "data-id": id, onclick: () => clickRow(id) });
    records.set(id, record);
  }
  if (body.children[index] !== record.node) body.insertBefore(record.node, body.children[index] ?? null);
  const row = rows.get(id);
  const isOn = id === state.selected;
  record.node.classList.toggle("st-selected", isOn);
  record.node.classList.toggle("st-waiting", isWaiting(id));
  record.node.classList.toggle("st-gone", Boolean(row.gone));
  record.node.setAttribute("aria-selected", String(isOn));
  record.node.setAttribute("aria-rowindex", String(state.view.offset + index + 1));
  record.node.tabIndex = isOn ? 0 : -1;
  part(record.node, [row.version, row.flags, row.cut, problems.get(id) ?? "", draftOf(id), isWaiting(id), Math.floor(Date.now() / 60_000)], () => rowCells(row, record));
  record.check.setAttribute("aria-label", word("check_row", { text: row.question.slice(0, 60) }));
  record.check.checked = state.everything || state.checked.has(id);
}

/** The whole cell checks the row: the box alone is too small for a finger. */
function besideCheck(event, check) {
  event.stopPropagation();
  if (event.target !== check) check.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, shiftKey: event.shiftKey }));
}

function draftOf(id) {
  return id === editing() ? false : Boolean(drafts.read(draftKey(id)));
}

function rowCells(row, record) {
  const users = row.turns.filter((turn) => turn.role === "user").length;
  const cell = (name, ...content) => el("td", { class: `st-col-${name}` }, ...content);
  const problem = problems.get(row.id);
  return [
    el("td", { class: "st-col-check", onclick: (event) => besideCheck(event, record.check) }, record.check),
    cell(
      "text",
      el("div", { class: "st-q" }, users > 1 ? el("span", { class: "st-turns", title: word("turns", { n: users }) }, `${users}× `) : null, firstLine(row.question)),
      el("div", { class: "st-a" }, row.answer ? firstLine(row.answer) : el("em", {}, word("no_text"))),
      problem ? el("div", { class: "st-row-problem" }, `! ${problem}`) : null,
    ),
    cell("status", statusBadge(row), draftOf(row.id) ? el("span", { class: "st-draft-mark" }, `✎ ${word("half_typed")}`) : null),
    cell("marks", ...markChips(row)),
    cell("rating", row.rating ? el("span", { "aria-label": word("rating_of", { n: row.rating }) }, `★ ${row.rating}`) : ""),
    cell("split", sideBadge(row)),
    cell("from", el("span", {}, row.author || named("sources", row.source)), row.author ? el("span", { class: "st-sub" }, named("sources", row.source)) : null),
    cell("changed", el("time", { datetime: row.created_at, title: moment(row.created_at) }, ago(row.created_at))),
  ];
}

/** What fits a line of the table; the rest is in the open row. */
function firstLine(text) {
  return text.slice(0, 400).replace(/\s+/g, " ").trim();
}

function statusBadge(row) {
  const waiting = isWaiting(row.id);
  return el(
    "span",
    { class: `st-status st-status-${row.status}` },
    el("span", { class: "st-status-sign", "aria-hidden": "true" }, waiting ? "…" : STATUS_SIGNS[row.status] ?? "•"),
    waiting ? word("saving") : named("statuses", row.status),
  );
}

function sideBadge(row) {
  const side = row.aside ? "aside" : row.split;
  return el("span", { class: `st-side-mark st-side-${side}` }, named("splits", side));
}

function markChips(row) {
  const kinds = [...new Set(row.flags.map((flag) => flag.kind))];
  const chips = [
    ...kinds.map((kind) => el("span", { class: "st-mini st-mini-flag" }, el("span", { "aria-hidden": "true" }, "⚑ "), named("flags", kind))),
    ...row.tags.map((tag) => el("span", { class: "st-mini" }, tag)),
  ];
  return chips.length > 2 ? [chips[0], el("span", { class: "st-mini st-more", title: row.tags.join(", ") }, `+${chips.length - 1}`)] : chips;
}

function clickRow(id) {
  select(id);
  paint();
  focusRow(id);
  if (NARROW.matches) opened.scrollIntoView({ block: "start", behavior: CALM.matches ? "auto" : "smooth" });
}

function focusRow(id) {
  const node = records.get(id)?.node;
  if (!node) return;
  node.focus({ preventScroll: true });
  if (!NARROW.matches) node.scrollIntoView({ block: "nearest" });
}

// Checking and bulk -------------------------------------------------------------------------------------------------

function checkPage(on) {
  state.everything = false;
  for (const id of state.order) {
    if (on) state.checked.add(id);
    else state.checked.delete(id);
  }
  if (!on) state.checked.clear();
  paint();
}

let lastChecked = null;

/** With Shift, everything from the box clicked before. */
function checkRow(id, on, range = false) {
  if (state.everything) {
    state.everything = false;
    state.checked = new Set(state.order);
  }
  const at = state.order.indexOf(id);
  const from = range && state.order.includes(lastChecked) ? state.order.indexOf(lastChecked) : at;
  for (const one of state.order.slice(Math.min(at, from), Math.max(at, from) + 1)) {
    if (on) state.checked.add(one);
    else state.checked.delete(one);
  }
  lastChecked = id;
  paint();
}

function paintBulk() {
  const n = state.everything ? state.total : state.checked.size;
  bulkBar.hidden = !n;
  bulkBar.setAttribute("aria-label", word("bulk"));
  part(bulkBar, [n, state.everything, state.total, bulkBar.tagging, Boolean(state.bulk), state.facets?.tags], () => {
    const act = (name, data) => button(word(`bulk.${name}`), { class: "st-button st-small", "data-focus": name, "aria-disabled": String(Boolean(state.bulk)), onclick: () => bulk(name, data) });
    const more = !state.everything && state.total > state.checked.size
      ? button(word("check_all", { n: total_() }), { class: "st-link st-check-all", "data-focus": "all", onclick: () => { state.everything = true; paint(); } })
      : null;
    return [
      el("strong", { class: "st-bulk-count" }, state.bulk ? word("working") : word("checked", { n: state.everything ? total_() : number_(n) })),
      more,
      act("approved"), act("rejected"), act("draft"), act("deleted"),
      bulkBar.tagging ? bulkTagField() : button(word("bulk.tag"), { class: "st-button st-small", "data-focus": "tag", onclick: () => tagMany(true) }),
      button(word("uncheck"), { class: "st-link", onclick: () => { uncheck(); tagMany(false); } }),
    ];
  });
}

function bulk(name, data = {}) {
  if (state.bulk) return;
  const which = state.everything ? { all: true } : { ids: [...state.checked] };
  state.bulk = { seq: ask("bulk", { what: name, ...which, ...data }) };
  bulkBar.tagging = false;
  paint();
}

function tagMany(on) {
  bulkBar.tagging = on;
  paint();
  if (on) bulkBar.querySelector("input")?.focus();
}

function bulkTagField() {
  const input = el("input", { type: "text", class: "st-bulk-tag", maxlength: 60, list: "st-known-tags", placeholder: word("tag"), "aria-label": word("tag"), "data-focus": "bulk-tag" });
  const known = el("datalist", { id: "st-known-tags" }, ...Object.keys(state.facets?.tags ?? {}).slice(0, 200).map((tag) => el("option", { value: tag })));
  const go = (way) => () => {
    if (input.value.trim()) bulk("tag", { [way]: [input.value.trim()] });
    else input.focus();
  };
  input.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Enter") go("add")();
    if (event.key === "Escape") tagMany(false);
    if (["Enter", "Escape"].includes(event.key)) event.stopPropagation();
  });
  return el(
    "span",
    { class: "st-bulk-tagging" },
    input,
    known,
    button(word("bulk.add_tag"), { class: "st-button st-small", onclick: go("add") }),
    button(word("bulk.remove_tag"), { class: "st-button st-small", onclick: go("remove") }),
  );
}

function paintNothing() {
  nothing.hidden = state.order.length > 0 || !state.loaded;
  table.hidden = !nothing.hidden;
  const filtered = Object.keys(state.view.filter).length > 0;
  part(nothing, [filtered, state.loaded], () =>
    filtered
      ? [el("h2", {}, word("no_match")), button(word("clear"), { class: "st-button", onclick: clearFilters })]
      : [el("h2", {}, word("no_rows")), el("p", {}, word("no_rows_hint")), button(word("add"), { class: "st-button", onclick: () => openCreator() })],
  );
}

function paintFoot() {
  const first = state.order.length ? state.view.offset + 1 : 0;
  setText(count, word(state.facets?.capped ? "count_capped" : "count", { first: number_(first), last: number_(state.view.offset + state.order.length), total: number_(state.total) }));
  pageBack.setAttribute("aria-label", word("page_back"));
  pageOn.setAttribute("aria-label", word("page_on"));
  pageBack.setAttribute("aria-disabled", String(state.view.offset === 0));
  pageOn.setAttribute("aria-disabled", String(state.view.offset + state.order.length >= state.total));
  const canUndo = Boolean(state.saidOf) && state.last?.id === state.saidOf && !state.bulk;
  part(status, [state.said, canUndo], () => {
    if (!state.said) return [];
    return [state.said, canUndo ? button(word("undo"), { class: "st-link", onclick: undo }) : null];
  });
  part(keyLine, "keys", () => [
    ...[["J", "K"], "move", ["1–5"], "rate", ["T"], "tag_key", ["/"], "search_key"].map((one) =>
      Array.isArray(one) ? el("span", { class: "st-caps" }, ...one.map(keyCap)) : el("span", {}, word(`key.${one}`)),
    ),
    button("?", { class: "st-key st-help-key", "aria-label": word("help"), onclick: () => openHelp() }),
  ]);
}
