// Quality: a scan of all rows, what it found kind by kind, and beneath it what the project is about.

const POLL_MS = 500;
const state = { rows: 0, kinds: {}, chosen: "", kind: "", offset: 0, total: 0, cards: [], scan: null, loaded: false };

const scanPart = el("div", { class: "st-q-scan" });
const chipPart = el("div", { class: "st-chips st-q-chips", role: "group" });
const listPart = el("section", { class: "st-q-list" });
root.replaceChildren(scanPart, chipPart, listPart, mapPart, balancePart, toast);

function view() {
  return { kind: state.chosen, offset: state.offset, map: map?.number ?? 0 };
}

function reset() {
  Object.assign(state, { rows: 0, kinds: {}, chosen: "", kind: "", offset: 0, total: 0, cards: [], scan: null, loaded: false });
  map = null;
  near = null;
  topicOn = null;
  editing = null;
  say("");
}

function take(value) {
  if (!value.kinds) return;
  Object.assign(state, { rows: value.rows, kinds: value.kinds, kind: value.kind, offset: value.offset, total: value.total, cards: value.cards, scan: value.scan, loaded: true });
  if (value.map) takeMap(value.map);
  if (editing && !state.cards.some((row) => row.id === editing || row.flags.some((flag) => flag.other_id === editing))) editing = null;
  if (isRunning()) pollIn(POLL_MS);
}

function isRunning() {
  return ["running", "stopping"].includes(state.scan?.state);
}

/** Do something and offer the way back. */
function doIt(kind, data) {
  state.chosen = state.kind;
  ask(kind, data, (reply) => {
    if (!reply.ok) return;
    const undo = reply.undo ? () => ask("undo", reply.undo, (back) => (back.ok ? say(word("did.undone")) : null)) : null;
    say(word(`did.${reply.did}`, { n: number_(reply.rows ?? 1) }), "done", undo);
  });
}

function choose(kind) {
  state.chosen = kind;
  if (kind !== state.kind) state.cards = []; // those of another kind would be judged as this one
  state.kind = kind;
  state.offset = 0;
  editing = null;
  ask("look");
  paint();
}

function toTable(id) {
  trigger("table", { id });
}

// The scan ----------------------------------------------------------------------------------------------------------

function paintScan() {
  const scan = state.scan;
  const percent = Math.round(100 * (scan?.share ?? 0));
  part(scanPart, [state.loaded, state.rows, scan, Object.keys(state.kinds).length], () => {
    const start = button(word(scan ? "scan_again" : "scan"), { class: "st-button st-primary st-scan", "data-focus": "scan", "aria-disabled": String(isRunning() || !state.rows), onclick: () => (isRunning() || !state.rows ? null : ask("scan")) });
    const stop = button(word("cancel"), { class: "st-button st-cancel-scan", "data-focus": "cancel", onclick: () => ask("cancel") });
    return [
      el("div", { class: "st-q-say" }, el("strong", {}, headline()), el("p", { class: "st-hint" }, explained())),
      isRunning() ? stop : start,
      isRunning()
        ? el("div", { class: "st-q-bar", role: "progressbar", "aria-label": word("scan"), "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": percent }, el("div", { class: "st-q-fill", style: `width: ${percent}%` }))
        : null,
      scan?.state === "failed" ? el("p", { class: "st-problem", role: "alert" }, scan.error) : null,
    ];
  });
}

function headline() {
  const scan = state.scan;
  if (!state.loaded) return "…";
  if (!state.rows) return word("no_rows");
  if (scan?.state === "stopping") return word("stopping");
  if (scan?.state === "running") return word(`what.${scan.what}`);
  const found = Object.keys(state.kinds).length;
  return found ? word("to_look_at") : word(scan?.rows === null || scan?.rows === undefined ? "not_scanned" : "nothing_found");
}

function explained() {
  const scan = state.scan;
  if (!state.rows) return "";
  if (scan?.state === "running") return word("goes_on");
  if (scan?.state === "cancelled") return word("was_cancelled");
  if (scan?.rows) return word("looked_at", { n: number_(scan.rows) });
  return word("scan_hint", { n: number_(state.rows) });
}

// Chips and cards ---------------------------------------------------------------------------------------------------

function paintChips() {
  chipPart.hidden = !Object.keys(state.kinds).length;
  chipPart.setAttribute("aria-label", word("kinds"));
  part(chipPart, [state.kinds, state.kind], () =>
    Object.entries(state.kinds).map(([kind, n]) => button(word(`kind.${kind}`), { class: "st-chip", "data-kind": kind, "data-focus": kind, "aria-pressed": String(state.kind === kind), onclick: () => choose(kind) }, " ", el("span", { class: "st-number" }, number_(n)))),
  );
}

function paintList() {
  listPart.hidden = !state.kind;
  part(listPart, [state.kind, state.offset, state.total, state.cards, editing], () => {
    if (!state.kind) return [];
    return [
      el(
        "div",
        { class: "st-q-listhead" },
        el("div", { class: "st-q-say" }, el("h3", {}, word(`kind.${state.kind}`)), el("p", { class: "st-hint" }, word(`about.${state.kind}`))),
        button(word("all_in_table"), { class: "st-link st-all-in-table", "data-focus": "all", onclick: () => trigger("table", { kind: state.kind }) }),
      ),
      el("ul", { class: "st-cards" }, ...cards(state.kind, state.cards)),
      el("div", { class: "st-q-foot" }, pager(state.offset, PAGE, state.total, turnTo), bulk()),
    ];
  });
}

function turnTo(offset) {
  state.chosen = state.kind;
  state.offset = offset;
  editing = null;
  ask("look", {}, () => listPart.scrollIntoView({ block: "start" }));
}

/** Reject the flagged rows of this page, or of the kind: of pairs the later ones. */
function bulk() {
  const ids = state.cards.filter((row) => row.status !== "rejected").map((row) => row.id);
  if (ids.length < 2) return null;
  const reject = (label, data) => button(label, { class: "st-button st-small st-reject-all", "data-focus": label, title: PAIRS.has(state.kind) ? word("reject_later") : null, onclick: () => doIt("reject_all", data) });
  const all = state.total > state.cards.length && state.kind !== "imbalance" ? reject(word("reject_kind", { n: number_(state.total) }), { kind: state.kind }) : null;
  return el("span", { class: "st-card-buttons" }, PAIRS.has(state.kind) ? el("span", { class: "st-caption" }, word("reject_later")) : null, reject(word("reject_shown", { n: number_(ids.length) }), { ids }), all);
}

const PAGE = 10;

function paint() {
  paintScan();
  paintChips();
  paintList();
  paintMap(isRunning());
  paintBalance();
}

begin();
