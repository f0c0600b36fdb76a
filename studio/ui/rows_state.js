// What the browser knows of the rows, what it asked for, and which changes are not confirmed yet.
// Every message to the server carries a number; every answer repeats it, and holds the rows that are shown as they are
// then. So an answer that never arrives, or too late, is made good by the next one, and nothing is shown as done on trust.

const LOOK_AGAIN_MS = 4_000;
const CONFIRM_WITHIN_MS = 20_000;
const LIMIT = 25;
const FLAGGED_AFTER_MS = [1_500, 6_000]; // saved rows are held against the others a moment later, the first ones not so soon
const LISTS = ["statuses", "flags", "tags", "splits", "sources", "authors"];
const NO_VIEW = { filter: {}, sort: "newest", offset: 0 };

const rows = new Map(); // id → the row at the newest version seen
const lines = new Map(); // id → changes of that row, sent one after the other
const asked = new Map(); // number → what was asked, as long as the answer is out
const problems = new Map(); // id → why its last change was refused
const state = {
  project: null,
  view: structuredClone(NO_VIEW),
  order: [],
  total: 0,
  facets: null,
  goal: 0,
  last: null,
  detail: null,
  selected: null,
  checked: new Set(),
  everything: false,
  bulk: null,
  turn: 0,
  landing: "first",
  loaded: false,
  said: "",
  saidOf: null,
};
let serial = 0;
let pageAsked = 0;
let countsSeen = 0;
let openTimer = 0;

/** Ask the server. The names are spelled out: gr.HTML offers Python the events it finds quoted in this script. */
function ask(kind, data = {}) {
  serial += 1;
  const payload = { seq: serial, project: state.project, view: { ...state.view, limit: LIMIT }, shown: state.order, ...data };
  asked.set(serial, { kind, timer: setTimeout(unanswered, CONFIRM_WITHIN_MS, serial) });
  if (kind === "page") trigger("page", payload);
  else if (kind === "open") trigger("open", payload);
  else if (kind === "status") trigger("status", payload);
  else if (kind === "edit") trigger("edit", payload);
  else if (kind === "restore") trigger("restore", payload);
  else if (kind === "dismiss") trigger("dismiss", payload);
  else if (kind === "settle") trigger("settle", payload);
  else if (kind === "bulk") trigger("bulk", payload);
  else if (kind === "undo") trigger("undo", payload);
  else if (kind === "create") trigger("create", payload);
  else if (kind === "goal") trigger("goal", payload);
  return serial;
}

function unanswered(number) {
  const { kind } = asked.get(number) ?? {};
  asked.delete(number);
  if (!kind || kind === "open") return;
  if (state.bulk?.seq === number) state.bulk = null;
  if (kind === "create") creator?.fail(word("no_answer"));
  say(word(kind === "page" ? "not_loaded" : "no_answer"));
  paint();
}

/** Load the page of the table that the filter, the order and the place ask for. */
function load() {
  remember();
  pageAsked = ask("page");
  root.classList.add("st-loading");
}

function remember() {
  try {
    sessionStorage.setItem(`studio.rows.${state.project}`, JSON.stringify(state.view));
  } catch {
    // Storage may be full or forbidden; only the filter is forgotten on a reload.
  }
}

function recalled(project) {
  try {
    return { ...structuredClone(NO_VIEW), ...JSON.parse(sessionStorage.getItem(`studio.rows.${project}`)) };
  } catch {
    return structuredClone(NO_VIEW);
  }
}

/** Change the filter: back to the first page, nothing checked. */
function setFilter(changes) {
  const filter = { ...state.view.filter, ...changes };
  for (const [name, value] of Object.entries(filter)) {
    if (value === null || value === "" || (Array.isArray(value) && !value.length)) delete filter[name];
  }
  state.view = { ...state.view, filter, offset: 0 };
  uncheck();
  state.landing = "first";
  load();
  paintBar();
}

function uncheck() {
  state.checked.clear();
  state.everything = false;
}

/** A new value from the server: the answer to something asked, or a start. */
function receive() {
  const value = props.value ?? {};
  if (!value.project) return;
  const number = value.seq ?? 0;
  const isNew = value.project !== state.project;
  if (isNew) start(value.project);
  // A page that nobody asked for is that of all rows: it says that there may be others now, in the view on screen too.
  // One with a filter is what another part of the tab wants to show.
  const isSent = Object.keys(value.view?.filter ?? {}).length > 0;
  const isOther = !isSent && (isNew || (value.page && !number)) && JSON.stringify(state.view) !== JSON.stringify(NO_VIEW);
  if (isOther || (isNew && !value.page)) {
    takeReply(value.reply, number);
    load();
    paint();
    return;
  }
  if (asked.has(number)) {
    clearTimeout(asked.get(number).timer);
    asked.delete(number);
  }
  for (const row of value.rows ?? []) {
    if (!(rows.get(row.id)?.version > row.version)) rows.set(row.id, row);
  }
  if (value.page && (number === pageAsked || !number)) takePage(value);
  if (number >= countsSeen && value.facets) {
    countsSeen = number;
    state.total = value.total;
    state.facets = value.facets;
    state.goal = value.goal ?? 0;
    state.last = value.last ?? null;
  }
  if (value.detail) state.detail = value.detail;
  takeReply(value.reply, number);
  settleLines(value.reply, number);
  if (state.turn && !lines.size) {
    const by = state.turn;
    state.turn = 0;
    turnPage(by);
  }
  paint();
}

function start(project) {
  Object.assign(state, {
    project, view: recalled(project), order: [], selected: null, detail: null, everything: false, bulk: null, turn: 0, said: "", saidOf: null, loaded: false,
  });
  state.checked.clear();
  for (const line of lines.values()) for (const job of line) clearTimeout(job.timer);
  for (const each of [rows, lines, problems, asked]) each.clear();
  closeEditor();
}

function takePage(value) {
  state.order = (value.rows ?? []).map((row) => row.id);
  state.loaded = true;
  if (value.view) state.view = { filter: value.view.filter ?? {}, sort: value.view.sort, offset: value.view.offset };
  root.classList.remove("st-loading");
  const held = state.order.find((id) => drafts.read(draftKey(id))?.open);
  if (held && !editing() && !creator) {
    select(held);
    openEditor(held, { focus: false });
  } else if (!state.order.includes(state.selected) && !editing()) {
    select(state.landing === "last" ? state.order.at(-1) : state.order[0]);
  } else fetchDetail();
  state.landing = "first";
}

/** What belongs to no single row: bulk changes, undo, a new row, a refusal. */
let flagTimers = [];

function takeReply(reply, number) {
  if (!reply) return;
  if (state.bulk?.seq === number) {
    state.bulk = null;
    if (reply.ok) uncheck();
  }
  if (reply.action) say(didWhat(reply.action), reply.action.undoes ? null : reply.action.id);
  if (!reply.ok && !rows.has(reply.id)) say(reply.text);
  if (reply.creating) settleNew(reply);
  if (reply.show && state.order.includes(reply.show)) select(reply.show);
  if (reply.ok) {
    flagTimers.forEach(clearTimeout);
    flagTimers = FLAGGED_AFTER_MS.map((ms) => setTimeout(() => ask("open", { id: state.selected }), ms));
  }
}

function didWhat(action) {
  const done = word(`did.${action.undoes ? "undone" : action.kind}`, { n: number_(action.rows) });
  const what = action.undoes ? ` (${word(`did.${action.detail.split(";")[0]}`, { n: number_(action.rows) })})` : "";
  return done + what;
}

// Changes of one row ------------------------------------------------------------------------------------------------

/** Change a row. One change at a time, so that each names the version that the one before has made. */
function change(id, kind, data, isDone, after = {}) {
  // From here on undoing would take back this one.
  state.saidOf = null;
  const line = lines.get(id) ?? [];
  line.push({ kind, data, isDone, ...after });
  lines.set(id, line);
  problems.delete(id);
  if (line.length === 1) sendNext(id);
  paint();
}

function sendNext(id) {
  const job = lines.get(id)?.[0];
  if (!job) return;
  job.version = job.base ?? rows.get(id).version;
  job.seq = ask(job.kind, { id, version: job.version, ...job.data });
  job.timer = setTimeout(lookAgain, LOOK_AGAIN_MS, id, job);
}

/** Perhaps it was saved and only the answer got lost: look before saying that it failed. */
function lookAgain(id, job) {
  if (lines.get(id)?.[0] !== job) return;
  job.looked = ask("open", { id });
  job.timer = setTimeout(() => finish(id, job, { ok: false, text: word("no_answer") }), CONFIRM_WITHIN_MS);
}

function settleLines(reply, number) {
  for (const [id, line] of [...lines]) {
    const job = line[0];
    if (reply && number === job.seq) finish(id, job, reply);
    else if (number > job.seq && rows.get(id)?.version > job.version && job.isDone(rows.get(id))) finish(id, job, { ok: true });
  }
}

function finish(id, job, reply) {
  const line = lines.get(id);
  if (line?.[0] !== job) return;
  clearTimeout(job.timer);
  line.shift();
  if (reply.ok) {
    problems.delete(id);
    job.onDone?.(reply);
  } else {
    line.length = 0; // what came after was built on this
    job.onFail?.(reply);
    if (!job.onFail) {
      problems.set(id, reply.text);
    }
  }
  if (line.length) sendNext(id);
  else lines.delete(id);
  if (state.detail?.id === id) fetchDetail();
  paint();
}

function isWaiting(id) {
  return lines.has(id);
}

// Places ------------------------------------------------------------------------------------------------------------

function current() {
  return rows.get(state.selected) ?? null;
}

/** The whole row, where the list only has its beginning. */
function whole(row) {
  const full = state.detail?.id === row.id ? state.detail.row : null;
  return row.cut && full && full.version >= row.version ? full : row;
}

function select(id) {
  if (!id || id === state.selected) return;
  if (editing() && editing() !== id) leaveEditor();
  state.selected = id;
  fetchDetail();
}

/** The history and the other half of a contradiction: asked for when the eye rests on a row, not for each one passed. */
function fetchDetail() {
  clearTimeout(openTimer);
  const id = state.selected;
  openTimer = setTimeout(() => {
    const row = rows.get(id);
    if (id !== state.selected || !row || isWaiting(id)) return;
    if (state.detail?.id !== id || state.detail.version !== row.version) ask("open", { id });
  }, 180);
}

/** Go to a neighbour; past the ends of the page to the next one, once the changes on this one are confirmed. */
function move(by, { focus = true } = {}) {
  const at = state.order.indexOf(state.selected);
  const next = state.order[at + by];
  if (next) {
    select(next);
    paint();
    if (focus) focusRow(next);
  } else if (at >= 0 && lines.size) state.turn = by;
  else if (at >= 0) turnPage(by);
}

/** Rows that no longer fit the filter have left the list, so the next page begins that much earlier. */
function turnPage(by) {
  const { offset } = state.view;
  const staying = state.order.filter((id) => !rows.get(id)?.gone).length;
  const next = by > 0 ? offset + staying : Math.max(0, offset - LIMIT);
  if ((by > 0 && next >= state.total) || (by < 0 && offset === 0)) {
    if (by > 0) say(word("end_of_list"));
    return;
  }
  state.view = { ...state.view, offset: next };
  state.selected = null;
  if (!state.everything) uncheck();
  state.landing = by > 0 ? "first" : "last";
  load();
}

/** `action`: what "Undo" beside the text would take back, as long as nothing was done since. */
function say(text, action = null) {
  state.said = text;
  state.saidOf = action;
}

// Numbers and moments -----------------------------------------------------------------------------------------------

function number_(value) {
  return new Intl.NumberFormat(language()).format(value);
}

/** How many rows fit; of a very common word only the newest are counted. */
function total_() {
  return number_(state.total) + (state.facets?.capped ? "+" : "");
}

function ago(iso) {
  const seconds = (new Date(iso) - Date.now()) / 1000;
  const steps = [["year", 31_536_000], ["month", 2_592_000], ["day", 86_400], ["hour", 3_600], ["minute", 60]];
  const format = new Intl.RelativeTimeFormat(language(), { numeric: "auto", style: "narrow" });
  for (const [unit, size] of steps) {
    if (Math.abs(seconds) >= size) return format.format(Math.round(seconds / size), unit);
  }
  return word("just_now");
}

function moment(iso) {
  return new Date(iso).toLocaleString(language(), { dateStyle: "medium", timeStyle: "short" });
}

/** A label for a value of the filter: our own words for our own values, anything else as it was written. */
function named(list, value) {
  if (["statuses", "splits", "sources", "flags"].includes(list)) {
    const key = `${list}.${value}`;
    const text = word(key);
    return text === key ? value : text;
  }
  return value || word("nobody");
}

/** Fill `node` anew only when what it shows differs; the control in use keeps the focus. */
function part(node, signature, build) {
  const text = JSON.stringify([signature, language()]);
  if (node.shown === text) return;
  node.shown = text;
  const focused = node.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
  node.replaceChildren(...build().filter((child) => child !== null && child !== undefined && child !== false));
  if (focused) node.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

function button(label, attributes, ...more) {
  return el("button", { type: "button", ...attributes }, label, ...more);
}
