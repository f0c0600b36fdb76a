// The rows of a project: a table that the server pages, filters and sorts, and the keys that go through it.

const KEYS = { approved: "a", rejected: "x", draft: "d" };
const SORTS = ["newest", "oldest", "changed", "question", "longest", "shortest", "rating"];
const MENUS = [
  ["statuses", "status"],
  ["flags", "flag"],
  ["tags", "tag"],
  ["splits", "split"],
  ["sources", "source"],
  ["authors", "author"],
];
const WAIT_MS = 15_000;
const TYPING_MS = 250;

const NOTHING = { text: "", statuses: [], flags: [], tags: [], splits: [], sources: [], authors: [], least_rating: null, since: "", until: "" };
const desk = { view: { ...NOTHING, sort: "newest", page: 0 }, checked: new Set(), all: false, menu: "", help: false };
let sequence = Date.now();
let seen = 0;
let waiting = new Map();
let typing = 0;
let follow = null;

const spoken = el("div", { class: "st-sr", role: "status", "aria-live": "polite" });
const bar = el("div", { class: "st-rows-bar" });
const search = el("input", { type: "search", class: "st-rows-search", oninput: onSearch });
const filters = el("div", { class: "st-rows-filters" });
const bulk = el("div", { class: "st-rows-bulk", hidden: true });
const table = el("table", { class: "st-rows-table" });
const foot = el("div", { class: "st-rows-foot" });
const problem = el("p", { class: "st-problem", role: "alert", hidden: true });
const pane = el("section", { class: "st-rows-pane", tabindex: "-1" });
const help = el("div", { class: "st-rows-help", hidden: true });
const list = el("div", { class: "st-rows-list" }, bar, help, filters, bulk, problem, table, foot);
root.replaceChildren(el("div", { class: "st-rows-frame" }, list, pane), spoken);

const card = openRow({ pane, send, say: complain, next: goOn });

/** Ask the server for something; its answer carries the same number. */
function send(what, data = {}) {
  sequence += 1;
  const number = sequence;
  const timer = setTimeout(() => {
    waiting.delete(number);
    complain(word("no_reply"));
    paint();
  }, WAIT_MS);
  waiting.set(number, { what, data, timer });
  trigger("act", { number, what, view: desk.view, open: props.value?.open?.id ?? null, ...data });
  return number;
}

function complain(text) {
  problem.hidden = !text;
  setText(problem, text ?? "");
}

/** What a bulk action is meant for: the rows that are ticked, or everything the filter shows. */
function chosen() {
  return desk.all ? { all: true } : { ids: [...desk.checked] };
}

function onSearch() {
  clearTimeout(typing);
  typing = setTimeout(() => look({ text: search.value }), TYPING_MS);
}

function look(changes) {
  clearTimeout(typing);
  desk.view = { ...desk.view, text: search.value, page: 0, ...changes };
  desk.checked.clear();
  desk.all = false;
  send("look");
}

// Painting

function receive() {
  const value = props.value ?? {};
  const ack = value.ack ?? {};
  const asked = waiting.get(ack.number);
  if (asked) {
    clearTimeout(asked.timer);
    waiting.delete(ack.number);
  }
  // Two answers may cross; what is shown never goes back.
  if (ack.number && ack.number < seen) return;
  seen = ack.number ?? seen;
  if (value.view && !waiting.size) desk.view = { ...NOTHING, ...value.view };
  if (document.activeElement !== search) search.value = desk.view.text;
  complain(ack.error ?? "");
  if (asked && !ack.error && ["status", "edit", "tags", "rating"].includes(asked.what)) setText(spoken, word("saved"));
  if (asked && ["status_all", "tag_all"].includes(asked.what) && !ack.error) {
    desk.checked.clear();
    desk.all = false;
  }
  card.receive(value.open ?? null, { asked, ack });
  if (asked && !ack.error && follow === ack.number) {
    follow = null;
    pane.scrollTop = 0;
  }
  paint();
}

function paint() {
  const value = props.value ?? {};
  paintBar(value);
  paintFilters(value.facets ?? {});
  paintBulk(value);
  paintTable(value);
  paintFoot(value);
  paintHelp();
  root.classList.toggle("st-rows-opened", Boolean(value.open));
}

function paintBar(value) {
  search.placeholder = word("search");
  search.setAttribute("aria-label", word("search"));
  search.setAttribute("aria-keyshortcuts", "/");
  const done = value.goal?.done ?? 0;
  const goal = value.goal?.goal ?? 0;
  const share = goal ? Math.min(1, done / goal) : 0;
  const meter = el(
    "button",
    { type: "button", class: "st-rows-goal", title: word("goal_hint"), onclick: askGoal },
    el("span", {}, goal ? word("goal", { done, goal }) : word("no_goal", { done })),
    el("span", { class: "st-rows-meter", "aria-hidden": "true", hidden: !goal }, el("span", { style: `width:${100 * share}%` })),
  );
  const sort = el("select", { class: "st-rows-sort", "aria-label": word("sort"), onchange: (event) => look({ sort: event.target.value }) });
  for (const name of SORTS) sort.append(el("option", { value: name, selected: desk.view.sort === name }, word(`sort.${name}`)));
  const undo = value.undo
    ? el(
        "button",
        { type: "button", class: "st-chip st-rows-undo", "aria-keyshortcuts": "Z", onclick: () => send("undo") },
        `↩ ${word("undo")}: ${word(`did.${value.undo.kind}`, { n: value.undo.rows })}`,
        keyCap("Z"),
      )
    : null;
  const keys = el(
    "button",
    { type: "button", class: "st-chip", "aria-expanded": String(desk.help), "aria-keyshortcuts": "?", onclick: toggleHelp },
    word("keys"),
    keyCap("?"),
  );
  // The search box keeps its cursor: it is never taken off the page.
  if (search.parentElement !== bar) bar.prepend(search);
  for (const node of [...bar.children].slice(1)) node.remove();
  bar.append(sort, meter, ...(undo ? [undo] : []), keys);
}

function askGoal() {
  const typed = prompt(word("goal_ask"), String(props.value?.goal?.goal || ""));
  if (typed !== null) send("goal", { goal: Number.parseInt(typed, 10) || 0 });
}

function nameOf(field, value) {
  if (["tags", "authors"].includes(field)) return value || word("nobody");
  return word(`${field}.${value}`);
}

function paintFilters(facets) {
  const focused = document.activeElement?.dataset?.filter;
  const menus = MENUS.map(([field, label]) => menu(field, word(label), facets[field] ?? {}));
  const active = MENUS.flatMap(([field]) => desk.view[field].map((value) => removable(field, value)));
  for (const [field, sign] of [["since", "≥"], ["until", "<"]]) {
    if (desk.view[field]) active.push(chip(`${sign} ${desk.view[field]}`, () => look({ [field]: "" })));
  }
  if (desk.view.least_rating) active.push(chip(`★ ≥ ${desk.view.least_rating}`, () => look({ least_rating: null })));
  const isFiltered = active.length || desk.view.text;
  const clear = el("button", { type: "button", class: "st-link", onclick: clearFilters }, word("clear"));
  filters.replaceChildren(...menus, more(), ...active, ...(isFiltered ? [clear] : []));
  if (focused) filters.querySelector(`[data-filter="${CSS.escape(focused)}"]`)?.focus();
}

function clearFilters() {
  search.value = "";
  look({ ...NOTHING });
}

function chip(text, onclick) {
  return el("button", { type: "button", class: "st-chip", "aria-pressed": "true", "aria-label": `${word("remove")} ${text}`, onclick }, text, " ✕");
}

function removable(field, value) {
  return chip(nameOf(field, value), () => look({ [field]: desk.view[field].filter((v) => v !== value) }));
}

function menu(field, label, counts) {
  const isOpen = desk.menu === field;
  const toggle = () => {
    desk.menu = isOpen ? "" : field;
    paintFilters(props.value?.facets ?? {});
  };
  const button = el(
    "button",
    { type: "button", class: "st-rows-menu", "data-filter": field, "aria-expanded": String(isOpen), "aria-haspopup": "true", onclick: toggle },
    `${label} ▾`,
  );
  const values = [...new Set([...Object.keys(counts), ...desk.view[field]])];
  const options = values.map((value) => {
    const isOn = desk.view[field].includes(value);
    const choose = () => look({ [field]: isOn ? desk.view[field].filter((v) => v !== value) : [...desk.view[field], value] });
    return el(
      "button",
      { type: "button", role: "menuitemcheckbox", "aria-checked": String(isOn), class: "st-rows-option", "data-filter": `${field}:${value}`, onclick: choose },
      el("span", {}, `${isOn ? "✓ " : ""}${nameOf(field, value)}`),
      el("span", { class: "st-number" }, String(counts[value] ?? 0)),
    );
  });
  const box = el("div", { class: "st-rows-options", role: "menu", hidden: !isOpen }, ...(options.length ? options : [el("p", { class: "st-hint" }, word("none_of"))]));
  return el("div", { class: "st-rows-drop" }, button, box);
}

/** Dates and rating, which have no counts. */
function more() {
  const isOpen = desk.menu === "more";
  const toggle = () => {
    desk.menu = isOpen ? "" : "more";
    paintFilters(props.value?.facets ?? {});
  };
  const date = (field) =>
    el("label", { class: "st-rows-date" }, word(field), el("input", { type: "date", value: desk.view[field], onchange: (event) => look({ [field]: event.target.value }) }));
  const stars = el("select", { "aria-label": word("least_rating"), onchange: (event) => look({ least_rating: Number(event.target.value) || null }) });
  for (const n of [0, 1, 2, 3, 4, 5]) stars.append(el("option", { value: n, selected: (desk.view.least_rating ?? 0) === n }, n ? `★ ≥ ${n}` : word("any_rating")));
  return el(
    "div",
    { class: "st-rows-drop" },
    el("button", { type: "button", class: "st-rows-menu", "data-filter": "more", "aria-expanded": String(isOpen), onclick: toggle }, `${word("more")} ▾`),
    el("div", { class: "st-rows-options st-rows-more", hidden: !isOpen }, date("since"), date("until"), stars),
  );
}

function paintBulk(value) {
  const count = desk.all ? (value.total ?? 0) : desk.checked.size;
  bulk.hidden = count === 0;
  if (bulk.hidden) return bulk.replaceChildren();
  const all =
    !desk.all && (value.total ?? 0) > desk.checked.size
      ? el("button", { type: "button", class: "st-link", onclick: () => { desk.all = true; paint(); } }, word("choose_all", { n: value.total }))
      : null;
  const act = (status) =>
    el("button", { type: "button", class: "st-chip", onclick: () => send("status_all", { status, ...chosen() }) }, word(`to.${status}`));
  const tag = () => {
    const typed = prompt(word("tag_ask"));
    if (typed?.trim()) send("tag_all", { tags: typed, ...chosen() });
  };
  const none = () => {
    desk.checked.clear();
    desk.all = false;
    paint();
  };
  return bulk.replaceChildren(
    el("strong", {}, word("chosen", { n: count })),
    ...(all ? [all] : []),
    act("approved"), act("rejected"), act("draft"), act("deleted"),
    el("button", { type: "button", class: "st-chip", onclick: tag }, word("tag_many")),
    el("button", { type: "button", class: "st-link", onclick: none }, word("choose_none")),
  );
}

function paintTable(value) {
  const rows = value.rows ?? [];
  const ids = rows.map((row) => row.id);
  const isAll = rows.length > 0 && ids.every((id) => desk.checked.has(id));
  const tickAll = el("input", { type: "checkbox", "aria-label": word("choose_page"), checked: isAll || desk.all });
  tickAll.addEventListener("change", () => {
    for (const id of ids) tickAll.checked ? desk.checked.add(id) : desk.checked.delete(id);
    desk.all = false;
    paint();
  });
  const head = el(
    "tr",
    {},
    el("th", { class: "st-col-tick" }, tickAll),
    heading("question", "question", "oldest"),
    heading("answer", "longest", "shortest"),
    el("th", { class: "st-col-status" }, word("status")),
    heading("rating_short", "rating", "newest", "st-col-rating"),
    heading("changed", "changed", "newest", "st-col-changed"),
  );
  const top = table.parentElement.scrollTop;
  table.replaceChildren(el("thead", {}, head), el("tbody", {}, ...rows.map(line)));
  table.hidden = rows.length === 0;
  table.parentElement.scrollTop = top;
}

function heading(label, sort, other, cls = "") {
  const isOn = desk.view.sort === sort;
  const button = el("button", { type: "button", class: "st-rows-th", onclick: () => look({ sort: isOn ? other : sort }) }, word(label), isOn ? " ↓" : "");
  return el("th", { class: cls, "aria-sort": isOn ? "descending" : "none" }, button);
}

function line(row) {
  const isOpen = row.id === props.value?.open?.id;
  const tick = el("input", { type: "checkbox", "aria-label": word("choose"), checked: desk.checked.has(row.id) || desk.all });
  tick.addEventListener("change", () => {
    desk.all = false;
    tick.checked ? desk.checked.add(row.id) : desk.checked.delete(row.id);
    paint();
  });
  const marks = [
    ...row.flags.map((kind) => el("span", { class: "st-mini st-mini-flag" }, word(`flags.${kind}`))),
    ...row.tags.map((tag) => el("span", { class: "st-mini" }, tag)),
  ];
  const turns = row.turns > 1 ? el("span", { class: "st-mini", title: word("turns", { n: row.turns }) }, `⇄ ${row.turns}`) : null;
  const side = row.split === "train" ? "" : ` · ${word(`splits.${row.split}`)}`;
  return el(
    "tr",
    { class: `st-row${isOpen ? " st-row-open" : ""}`, "data-id": row.id, "aria-selected": String(isOpen), onclick: (event) => { if (event.target !== tick) open(row.id); } },
    el("td", { class: "st-col-tick" }, tick),
    el("td", { class: "st-col-question" }, el("div", { class: "st-clamp" }, ...(turns ? [turns, " "] : []), row.question)),
    el("td", { class: "st-col-answer" }, el("div", { class: "st-clamp" }, row.answer), marks.length ? el("div", { class: "st-minis" }, ...marks) : null),
    el("td", { class: "st-col-status" }, el("span", { class: `st-state st-state-${row.status}` }, word(`statuses.${row.status}`)), el("span", { class: "st-hint" }, side)),
    el("td", { class: "st-col-rating" }, row.rating ? "★".repeat(row.rating) : ""),
    el("td", { class: "st-col-changed" }, el("span", { title: row.changed }, when(row.changed)), el("div", { class: "st-hint" }, row.author || "")),
  );
}

function when(iso) {
  const date = new Date(iso);
  const isToday = date.toDateString() === new Date().toDateString();
  return new Intl.DateTimeFormat(language(), isToday ? { timeStyle: "short" } : { dateStyle: "medium" }).format(date);
}

function paintFoot(value) {
  const total = value.total ?? 0;
  const size = value.size ?? 25;
  const first = total ? desk.view.page * size + 1 : 0;
  const last = Math.min(total, (desk.view.page + 1) * size);
  const number = new Intl.NumberFormat(language());
  const count = word(value.capped ? "count_capped" : "count", { first: number.format(first), last: number.format(last), total: number.format(total) });
  const turn = (step, label, isOff) =>
    el("button", { type: "button", class: "st-turn", "aria-label": word(label), disabled: isOff, onclick: () => page(step) }, step < 0 ? "‹" : "›");
  foot.replaceChildren(
    el("span", {}, total ? count : word(desk.view.text || MENUS.some(([f]) => desk.view[f].length) ? "none_fit" : "empty")),
    el("span", { class: "st-rows-turns" }, turn(-1, "earlier", desk.view.page === 0), turn(1, "later", last >= total)),
  );
}

function page(step) {
  desk.view = { ...desk.view, page: Math.max(0, desk.view.page + step) };
  desk.checked.clear();
  send("look");
}

// Going through the rows

function open(id) {
  if (!card.mayLeave()) return;
  send("open", { open: id });
}

function idAfter(id, step = 1) {
  const ids = (props.value?.rows ?? []).map((row) => row.id);
  const at = ids.indexOf(id);
  return ids[at < 0 ? 0 : at + step] ?? null;
}

/** The row after the open one is opened together with what was done to the open one; at the end of a page, the next page's first. */
function goOn(what, data = {}) {
  const id = props.value?.open?.id;
  const next = idAfter(id);
  const isEnd = next === null && (props.value?.total ?? 0) > (desk.view.page + 1) * (props.value?.size ?? 25);
  follow = send(what, { ...data, next: next ?? id, at_end: isEnd });
  return follow;
}

function setStatus(status) {
  const open_ = props.value?.open;
  if (!open_ || !card.mayLeave()) return;
  goOn("status", { id: open_.id, version: open_.version, status });
}

function step(by) {
  const rows = props.value?.rows ?? [];
  const id = props.value?.open?.id;
  if (!id && rows.length) return open(rows[0].id);
  const next = idAfter(id, by);
  if (next) return open(next);
  if (by > 0 && rows.length && (desk.view.page + 1) * (props.value?.size ?? 25) < (props.value?.total ?? 0)) page(1);
  else if (by < 0 && desk.view.page > 0) page(-1);
  return undefined;
}

function toggleHelp() {
  desk.help = !desk.help;
  paint();
}

function paintHelp() {
  help.hidden = !desk.help;
  if (help.hidden) return;
  const rows = [["A", "to.approved"], ["X", "to.rejected"], ["D", "to.draft"], ["E", "edit"], ["S", "skip"], ["J ↓", "next"], ["K ↑", "previous"], ["1–5", "rate"], ["0", "unrate"], ["T", "tag"], ["N", "note"], ["Z", "undo"], ["/", "search_key"], ["Ctrl ↵", "save_next"], ["Esc", "leave"], ["?", "keys"]];
  help.replaceChildren(...rows.map(([key, label]) => el("div", {}, keyCap(key), el("span", {}, word(label)))));
}

document.addEventListener("click", (event) => {
  if (desk.menu && element.isConnected && !event.composedPath().some((node) => node.classList?.contains("st-rows-drop"))) {
    desk.menu = "";
    paintFilters(props.value?.facets ?? {});
  }
});

onDocument("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing || event.keyCode === 229) return;
  if (element.offsetParent === null || document.querySelector("dialog[open]")) return;
  if (event.key === "Escape" && desk.menu) {
    desk.menu = "";
    paintFilters(props.value?.facets ?? {});
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (!root.contains(event.target) && event.target !== document.body) return;
  const key = event.key.toLowerCase();
  const status = Object.keys(KEYS).find((name) => KEYS[name] === key);
  const open_ = props.value?.open;
  const does = {
    j: () => step(1), arrowdown: () => step(1), s: () => step(1),
    k: () => step(-1), arrowup: () => step(-1),
    e: () => card.edit(), t: () => card.focusTags(), n: () => card.focusNote(),
    z: () => send("undo"),
    "/": () => search.focus(),
    "?": toggleHelp,
    escape: () => (desk.help ? toggleHelp() : card.close()),
  };
  const onButton = event.target.closest?.("button, a, [type=checkbox]");
  if (status && !event.repeat) setStatus(status);
  else if (/^[0-5]$/.test(key) && open_ && !event.repeat) send("rating", { id: open_.id, rating: Number(key) || null });
  else if (does[key] && !(onButton && key.startsWith("arrow"))) does[key]();
  else return;
  event.preventDefault();
});

search.addEventListener("keydown", (event) => {
  if (event.isComposing || event.keyCode === 229) return;
  if (event.key === "Enter") look({});
  else if (event.key === "Escape") search.blur();
});

onLanguageChange(() => {
  card.repaint();
  paint();
});
watch("value", receive);
receive();
