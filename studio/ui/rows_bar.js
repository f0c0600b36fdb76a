// Above the table: search, the menus of the filter with their counts, what is chosen, and the way to the goal.

const MENUS = ["statuses", "flags", "tags", "splits", "sources", "authors", "rating", "date"];
const SORTS = ["newest", "oldest", "changed", "longest", "shortest", "rating", "question"];
const TYPED_MS = 250;
const LONG_MENU = 10;
let openMenu = null;
let typedTimer = 0;

const search = el("input", {
  type: "search", class: "st-rows-search", autocomplete: "off", enterkeyhint: "search", "aria-keyshortcuts": "/",
});
const menuRow = el("div", { class: "st-menus", role: "group" });
/** On a small screen the menus stay folded away until they are asked for. */
const filterToggle = button("", { class: "st-menu st-filter-toggle", "data-focus": "filters", onclick: () => showMenus(!second.classList.contains("st-filters-open")) });
const sortBox = el("select", { class: "st-sort", onchange: () => setSort(sortBox.value) });
const addButton = button("", { class: "st-button st-add", "aria-keyshortcuts": "N", onclick: () => openCreator() });
const chosen = el("div", { class: "st-chips st-chosen", role: "group" });
const popover = el("div", { class: "st-popover", hidden: true, role: "dialog" });
const goal = el("div", { class: "st-goal" });
const second = el("div", { class: "st-rows-second" }, filterToggle, sortBox, menuRow);
const bar = el(
  "div",
  { class: "st-rows-bar" },
  el("div", { class: "st-rows-first" }, search, goal, addButton),
  second,
  popover,
  chosen,
);

function setSort(sort) {
  state.view = { ...state.view, sort, offset: 0 };
  load();
  paint();
}

function searched() {
  clearTimeout(typedTimer);
  if (search.value.trim() !== (state.view.filter.text ?? "")) setFilter({ text: search.value.trim() });
}

search.addEventListener("input", (event) => {
  clearTimeout(typedTimer);
  if (!event.isComposing) typedTimer = setTimeout(searched, TYPED_MS);
});
// While Japanese is composed the text is not what is meant; it is when the composition ends.
search.addEventListener("compositionend", () => {
  clearTimeout(typedTimer);
  typedTimer = setTimeout(searched, TYPED_MS);
});
search.addEventListener("keydown", (event) => {
  if (event.isComposing || event.keyCode === 229) return;
  if (["Enter", "Escape", "ArrowDown"].includes(event.key)) {
    event.preventDefault();
    event.stopPropagation();
    searched();
    focusRow(state.selected);
  }
});

function paintBar() {
  const { filter, sort } = state.view;
  search.placeholder = word("search");
  search.setAttribute("aria-label", word("search"));
  if (document.activeElement !== search) search.value = filter.text ?? "";
  menuRow.setAttribute("aria-label", word("filter"));
  const inUse = MENUS.filter(activeIn).length;
  part(filterToggle, [inUse], () => [word("filter"), inUse ? el("span", { class: "st-number" }, ` ${inUse}`) : null, el("span", { class: "st-caret", "aria-hidden": "true" }, "▾")]);
  filterToggle.setAttribute("aria-expanded", String(second.classList.contains("st-filters-open")));
  part(menuRow, [filter, openMenu], () => MENUS.map(menuButton));
  sortBox.setAttribute("aria-label", word("sort"));
  part(sortBox, SORTS, () => SORTS.map((name) => el("option", { value: name }, word(`sort.${name}`))));
  sortBox.value = sort;
  part(addButton, "add", () => [el("span", { "aria-hidden": "true" }, "＋"), el("span", { class: "st-add-label" }, word("add")), keyCap("N")]);
  paintChosen();
  paintMenu();
  paintGoal();
}

function showMenus(on) {
  second.classList.toggle("st-filters-open", on);
  if (!on) openMenu = null;
  paintBar();
}

function activeIn(menu) {
  const { filter } = state.view;
  if (menu === "rating") return filter.least_rating ? 1 : 0;
  if (menu === "date") return filter.since || filter.until ? 1 : 0;
  return filter[menu]?.length ?? 0;
}

function menuButton(menu) {
  const count = activeIn(menu);
  return button(
    word(`menu.${menu}`),
    {
      class: "st-menu", "data-menu": menu, "data-focus": menu, "aria-haspopup": "dialog", "aria-expanded": String(openMenu === menu),
      "aria-pressed": count ? "true" : null, onclick: () => toggleMenu(menu),
    },
    count ? el("span", { class: "st-number" }, ` ${count}`) : null,
    el("span", { class: "st-caret", "aria-hidden": "true" }, "▾"),
  );
}

function toggleMenu(menu) {
  openMenu = openMenu === menu ? null : menu;
  popover.shown = null;
  paintBar();
  if (openMenu) popover.querySelector("input, button")?.focus({ preventScroll: true });
}

function closeMenu(back = true) {
  const menu = openMenu;
  if (!menu) return;
  openMenu = null;
  paintBar();
  if (back) menuRow.querySelector(`[data-menu="${menu}"]`)?.focus();
}

function paintMenu() {
  popover.hidden = !openMenu;
  if (!openMenu) return;
  popover.setAttribute("aria-label", word(`menu.${openMenu}`));
  const menu = openMenu;
  part(popover, [menu, state.view.filter, state.facets?.[menu]], () => menuItems(menu));
  const anchor = menuRow.querySelector(`[data-menu="${menu}"]`);
  const left = anchor.getBoundingClientRect().left - bar.getBoundingClientRect().left;
  popover.style.left = `${Math.max(0, Math.min(left, bar.clientWidth - popover.offsetWidth))}px`;
  popover.style.top = `${anchor.getBoundingClientRect().bottom - bar.getBoundingClientRect().top + 6}px`;
}

function menuItems(menu) {
  if (menu === "rating") return ratingItems();
  if (menu === "date") return dateItems();
  const counts = Object.entries(state.facets?.[menu] ?? {}).filter(([value]) => value !== "any");
  const missing = (state.view.filter[menu] ?? []).filter((value) => value !== "any" && !counts.some(([name]) => name === value));
  const items = [...counts, ...missing.map((value) => [value, 0])];
  if (menu === "flags" && items.length) items.unshift(["any", null]);
  if (!items.length) return [el("p", { class: "st-hint" }, word("menu.empty"))];
  const list = el("div", { class: "st-popover-list" }, ...items.slice(0, 200).map(([value, count]) => checkItem(menu, value, count)));
  if (items.length <= LONG_MENU) return [list];
  const narrow = el("input", { type: "search", class: "st-narrow", "data-focus": "narrow", placeholder: word("narrow"), "aria-label": word("narrow") });
  narrow.addEventListener("input", () => {
    const wanted = narrow.value.trim().toLowerCase();
    for (const item of list.children) item.hidden = !item.textContent.toLowerCase().includes(wanted);
  });
  return [narrow, list];
}

function checkItem(menu, value, count) {
  const active = state.view.filter[menu] ?? [];
  const box = el("input", { type: "checkbox", "data-focus": value, checked: active.includes(value) });
  box.addEventListener("change", () => {
    const now = state.view.filter[menu] ?? [];
    setFilter({ [menu]: box.checked ? [...now, value] : now.filter((one) => one !== value) });
  });
  return el(
    "label",
    { class: "st-item" },
    box,
    el("span", { class: "st-item-name" }, named(menu, value)),
    count === null ? null : el("span", { class: "st-number" }, number_(count)),
  );
}

function choice(name, label, isOn, changes) {
  return button(label, { class: "st-chip", "data-focus": name, "aria-pressed": String(isOn), onclick: () => setFilter(isOn ? clearing(changes) : changes) });
}

function clearing(changes) {
  return Object.fromEntries(Object.keys(changes).map((name) => [name, null]));
}

function ratingItems() {
  const { least_rating: least } = state.view.filter;
  return [
    el("div", { class: "st-chips" }, ...[1, 2, 3, 4, 5].map((n) => choice(`r${n}`, `★ ${n}${n < 5 ? "+" : ""}`, least === n, { least_rating: n }))),
  ];
}

/** Days as the reader's calendar has them; sent as moments. */
function dateItems() {
  const { since, until } = state.view.filter;
  const midnight = new Date();
  midnight.setHours(0, 0, 0, 0);
  const back = (days) => new Date(new Date(midnight).setDate(midnight.getDate() - days)).toISOString();
  const presets = [["today", 0], ["week", 6], ["month", 29]].map(([name, days]) =>
    choice(name, word(`date.${name}`), since === back(days) && !until, { since: back(days), until: null }),
  );
  return [
    el("div", { class: "st-chips" }, ...presets),
    el("div", { class: "st-dates" }, dateField("since", since, 0), dateField("until", until, 1)),
  ];
}

function dateField(name, value, plus) {
  const shown = value ? new Date(new Date(value) - plus * 86_400_000) : null;
  const input = el("input", { type: "date", "data-focus": name });
  input.value = shown ? new Date(shown - shown.getTimezoneOffset() * 60_000).toISOString().slice(0, 10) : "";
  input.addEventListener("change", () => {
    const [year, month, day] = input.value.split("-").map(Number);
    setFilter({ [name]: input.value ? new Date(year, month - 1, day + plus).toISOString() : null });
  });
  return el("label", { class: "st-date" }, word(`date.${name}`), input);
}

function paintChosen() {
  const { filter } = state.view;
  const chips = [];
  const add = (label, changes) =>
    chips.push(button(label, { class: "st-chip st-removable", "aria-label": word("remove_filter", { name: label }), onclick: () => removeChip(changes) }, el("span", { "aria-hidden": "true" }, " ✕")));
  if (filter.text) add(`“${filter.text}”`, { text: "" });
  for (const list of LISTS) {
    for (const value of filter[list] ?? []) add(named(list, value), { [list]: filter[list].filter((one) => one !== value) });
  }
  if (filter.least_rating) add(`★ ${filter.least_rating}+`, { least_rating: null });
  if (filter.since || filter.until) add(dateLabel(filter), { since: null, until: null });
  if (filter.ids?.length) add(word("chosen_rows", { n: number_(filter.ids.length) }), { ids: null });
  chosen.hidden = !chips.length;
  chosen.setAttribute("aria-label", word("active_filters"));
  part(chosen, [filter], () => [...chips, button(word("clear"), { class: "st-link st-clear", onclick: clearFilters })]);
}

function removeChip(changes) {
  setFilter(changes);
  (chosen.querySelector("button") ?? search).focus();
}

function clearFilters() {
  search.value = "";
  setFilter(Object.fromEntries(Object.keys(state.view.filter).map((name) => [name, null])));
}

function dateLabel({ since, until }) {
  const day = (iso, minus) => new Date(new Date(iso) - minus).toLocaleDateString(language(), { month: "short", day: "numeric" });
  return `${since ? day(since, 0) : "…"} – ${until ? day(until, 1) : "…"}`;
}

// The goal ----------------------------------------------------------------------------------------------------------

/** Without a goal of one's own the next round number is one to reach. */
function goalOf(approved) {
  return state.goal || [25, 50, 100, 200, 300, 500, 1000, 2000, 5000].find((n) => n > approved) || (Math.floor(approved / 5000) + 1) * 5000;
}

function paintGoal() {
  const approved = state.facets?.approved ?? 0;
  const wanted = goalOf(approved);
  const share = Math.min(1, approved / wanted);
  part(goal, [approved, wanted, goal.editing], () => {
    if (goal.editing) return [goalField(wanted)];
    const text = word(approved < wanted ? "goal" : "goal_reached", { n: number_(approved), of: number_(wanted) });
    return [
      button(text, { class: "st-goal-text", "data-focus": "goal", title: word("goal_change"), "aria-label": `${text}. ${word("goal_change")}`, onclick: () => editGoal(true) }),
      el(
        "div",
        { class: "st-goal-bar", role: "progressbar", "aria-label": text, "aria-valuemin": 0, "aria-valuemax": wanted, "aria-valuenow": Math.min(approved, wanted) },
        el("div", { class: `st-goal-fill${share === 1 ? " st-reached" : ""}`, style: `width: ${share * 100}%` }),
      ),
    ];
  });
}

function editGoal(on) {
  goal.editing = on;
  paintGoal();
  if (on) goal.querySelector("input").select();
  else goal.querySelector("button")?.focus();
}

function goalField(wanted) {
  const input = el("input", { type: "number", min: 1, max: 1_000_000, class: "st-goal-input", "aria-label": word("goal_label"), value: wanted });
  const save = () => {
    const n = Math.round(Number(input.value));
    if (n >= 1 && n <= 1_000_000 && n !== wanted) ask("goal", { goal: n });
    editGoal(false);
  };
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") save();
    if (event.key === "Escape") editGoal(false);
    if (["Enter", "Escape"].includes(event.key)) event.stopPropagation();
  });
  return el("span", { class: "st-goal-edit" }, word("goal_label"), input, button(word("ok"), { class: "st-link", onclick: save }));
}
