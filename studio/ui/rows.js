// The rows of the dataset: the table on the left, the open row on the right, and the keys that go through them.

const NARROW = matchMedia("(max-width: 900px)");
const CALM = matchMedia("(prefers-reduced-motion: reduce)");
const HELP = [
  [["A"], "do.approved"], [["X"], "do.rejected"], [["E"], "do.edit"], [["S"], "do.skip"], [["Z"], "do.undo"],
  [["J", "↓"], "next"], [["K", "↑"], "previous"], [["1", "…", "5"], "rating"], [["T"], "add_tag"], [["N"], "add"],
  [["Space"], "key.check"], [["/"], "search"], [["Ctrl ↵"], "key.save"], [["Esc"], "key.leave"], [["?"], "help"],
];

const helpTitle = el("h2", {});
const helpList = el("dl", { class: "st-help-list" });
const helpClose = button("", { class: "st-button", onclick: () => help.close() });
const help = el("dialog", { class: "st-help" }, helpTitle, helpList, helpClose);
root.replaceChildren(bar, el("div", { class: "st-rows-main" }, left, opened), help);

function paint() {
  paintBar();
  paintList();
  paintOpen();
}

/** Judge the open row, and go on to the next. It shows its new state when the server has confirmed it. */
function judge(row, status) {
  if (row.status !== status || isWaiting(row.id)) change(row.id, "status", { status }, (now) => now.status === status);
  move(1, { focus: !openFoot.contains(document.activeElement) });
}

function undo() {
  if (!state.last || state.bulk) return;
  state.bulk = { seq: ask("undo") };
  paint();
}

function press(name) {
  const row = current();
  if (name === "undo") return undo();
  if (!row) return undefined;
  if (name === "approved" || name === "rejected") return judge(row, name);
  if (name === "edit") return openEditor(row.id);
  return move(1, { focus: !openFoot.contains(document.activeElement) });
}

function openHelp() {
  setText(helpTitle, word("help"));
  setText(helpClose, word("close"));
  helpList.replaceChildren(...HELP.flatMap(([keys, name]) => [el("dt", {}, ...keys.map(keyCap)), el("dd", {}, word(name))]));
  help.showModal();
}

const KEYS = {
  a: () => press("approved"),
  x: () => press("rejected"),
  e: () => press("edit"),
  s: () => press("skip"),
  z: () => press("undo"),
  j: () => move(1),
  k: () => move(-1),
  n: () => openCreator(),
  t: () => tagPart.querySelector("input")?.focus(),
  "/": () => search.focus(),
  "?": () => openHelp(),
};

/** Whether letters belong to what has the focus. A check box has no use for them. */
function takesText(target) {
  return isTyping(target) && !target.matches?.('input[type="checkbox"], input[type="radio"]');
}

onDocument("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing || event.keyCode === 229) return;
  if (event.key === "Escape" && openMenu) {
    event.preventDefault();
    closeMenu();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || takesText(event.target)) return;
  if (element.offsetParent === null || document.querySelector("dialog[open]")) return;
  const inside = root.contains(event.target) || event.target === document.body;
  const arrow = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (arrow && inside && !popover.contains(event.target)) {
    event.preventDefault();
    move(arrow);
  } else if (event.key === "Escape" && inside && state.checked.size) {
    uncheck();
    paint();
  } else if (event.key === " " && (event.target === document.body || event.target.closest?.("tr[data-id]"))) {
    event.preventDefault();
    if (state.selected) checkRow(state.selected, !state.checked.has(state.selected));
  } else if (event.key === "Enter" && event.target.closest?.("tr[data-id]")) {
    event.preventDefault();
    press("edit");
  } else if (/^[1-5]$/.test(event.key) && current() && !event.repeat && !creator) {
    event.preventDefault();
    rate(current(), Number(event.key));
  } else {
    const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    const mayRepeat = ["j", "k"].includes(event.key.toLowerCase());
    if (!act || (event.repeat && !mayRepeat) || (event.shiftKey && /[a-z]/i.test(event.key)) || editing() || creator) return;
    event.preventDefault();
    act();
  }
});

onDocument("pointerdown", (event) => {
  if (openMenu && !popover.contains(event.target) && !menuRow.contains(event.target)) closeMenu(false);
});

// Whoever comes back to this tab sees what was done elsewhere meanwhile.
let wasSeen = false;
new IntersectionObserver((entries) => {
  const isSeen = entries.at(-1).isIntersecting;
  if (isSeen && !wasSeen) load();
  wasSeen = isSeen;
}).observe(root);

onLanguageChange(paint);
watch("value", receive);
receive();
paint();
