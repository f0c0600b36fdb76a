// The open row: the whole conversation, what was flagged, tags, rating, note, and its history. Each part is drawn anew
// only when what it shows differs, so that a half-typed note or tag survives every answer of the server.

const ACTIONS = [["approved", "✓", "A"], ["rejected", "✕", "X"], ["edit", "✎", "E"], ["skip", "→", "S"], ["undo", "↶", "Z"]];
const SHOWN_PROBLEMS = 3;
const TOGETHER = new Set(["contradiction", "duplicate", "near-duplicate", "leak"]);

const openHead = el("div", { class: "st-open-head" });
const openProblem = el("div", { class: "st-problems", role: "alert" });
const flagList = el("div", { class: "st-flags" });
const turnList = el("div", { class: "st-turn-list" });
const editorSlot = el("div", { class: "st-editor-slot" });
const tagPart = el("div", { class: "st-meta" });
const ratingPart = el("div", { class: "st-meta" });
const notePart = el("div", { class: "st-meta" });
const historyPart = el("section", { class: "st-history" });
const openBody = el("div", { class: "st-open-body" }, openProblem, flagList, turnList, editorSlot, el("div", { class: "st-metas" }, ratingPart, tagPart, notePart), historyPart);
const openFoot = el("div", { class: "st-open-foot", role: "group" });
const opened = el("section", { class: "st-rows-right", tabindex: "-1" }, openHead, openBody, openFoot);
let compare = false;
let partnerOpen = null;
let shownId = null;

function paintOpen() {
  const row = current() && whole(current());
  opened.setAttribute("aria-label", word("open_row"));
  opened.classList.toggle("st-nothing-open", !row && !creator);
  if (row?.id !== shownId) {
    shownId = row?.id ?? null;
    compare = false;
    partnerOpen = null;
    if (!editing()) openBody.scrollTop = 0;
  }
  paintHead(row);
  part(openProblem, [row?.id, editing(), Boolean(creator), [...problems]], () => (creator ? [] : [...problems].slice(-SHOWN_PROBLEMS).map(([id, text]) => problemNote(row, id, text))));
  part(flagList, [row?.id, creator ? [] : row?.flags, row?.version, partnerOpen, state.detail?.id === row?.id ? state.detail?.others : null], () => (row && !creator ? findings(row).map((flags) => flagCard(row, flags)) : []));
  const isWhole = row && !row.cut;
  part(turnList, [row?.id, row?.version, row?.cut, row?.flags, compare, editing(), Boolean(creator), isWaiting(row?.id)], () => (row && !creator ? turnNodes(row) : []));
  for (const node of [tagPart, ratingPart, notePart, historyPart]) node.hidden = !row || Boolean(creator);
  if (row && !creator) {
    paintRating(row);
    paintTags(row);
    paintNote(row);
    paintHistory(row);
  }
  paintActions(row, isWhole);
}

/** What was refused is said here, where the eye rests after a decision, though by then the next row is open. */
function problemNote(row, id, text) {
  if (id === row?.id) return editing() ? null : el("p", { class: "st-problem" }, text);
  const name = firstLine(rows.get(id)?.question ?? "").slice(0, 80) || word("no_text");
  return el("p", { class: "st-problem" }, el("strong", {}, word("refused", { question: name })), " ", text, " ", button(word("go_back"), { class: "st-link", "data-focus": `problem ${id}`, onclick: () => { select(id); paint(); focusRow(id); } }));
}

function paintHead(row) {
  const at = state.order.indexOf(row?.id);
  part(openHead, [row?.id, row?.version, at, state.view.offset, state.total, Boolean(creator), isWaiting(row?.id)], () => {
    if (creator) return [el("strong", {}, word("add_title"))];
    if (!row) return [];
    const place = at >= 0 ? word("place", { n: number_(state.view.offset + at + 1), total: total_() }) : "";
    return [
      el("div", { class: "st-open-facts" }, statusBadge(row), sideBadge(row), el("span", { class: "st-caption" }, [named("sources", row.source), row.author, ago(row.created_at)].filter(Boolean).join(" · "))),
      el(
        "span",
        { class: "st-pages" },
        button("‹", { class: "st-turn", "data-focus": "back", "aria-label": word("previous"), "aria-keyshortcuts": "K", onclick: () => move(-1, { focus: false }) }),
        el("span", { class: "st-caption" }, place),
        button("›", { class: "st-turn", "data-focus": "on", "aria-label": word("next"), "aria-keyshortcuts": "J", onclick: () => move(1, { focus: false }) }),
        button(word("to_list"), { class: "st-link st-to-list", onclick: () => left.scrollIntoView({ block: "start" }) }),
      ),
    ];
  });
}

// The conversation --------------------------------------------------------------------------------------------------

function turnNodes(row) {
  if (row.cut) return [...row.turns.map((turn, index) => turnNode(row, turn, index)), el("p", { class: "st-hint" }, word("loading_rest"))];
  const inEditor = editing() === row.id ? lastUser(row) : -1;
  // While they are edited, the question and the answer stand in the editor.
  const shown = row.turns.map((turn, index) => (index === inEditor || (inEditor >= 0 && index === row.turns.length - 1) ? null : turnNode(row, turn, index)));
  return shown;
}

function lastUser(row) {
  return row.turns.length - 2;
}

function turnNode(row, turn, index) {
  const isAnswer = index === row.turns.length - 1;
  const field = isAnswer ? "answer" : `messages[${index}]`;
  const learns = isAnswer ? row.learn_answer : turn.learn;
  const isDiff = isAnswer && compare && row.rejected;
  const text = el("div", { class: `st-turn-text${isDiff ? " st-diff" : ""}` }, ...(isDiff ? diffNodes(row.rejected, turn.content) : markedText(turn.content, row.flags.filter((flag) => flag.field === field && flag.span))));
  const learnable = turn.role === "assistant" && !row.cut;
  const side = row.aside ? "aside" : row.split;
  return el(
    "div",
    { class: `st-one-turn st-by-${turn.role}${isAnswer ? " st-the-answer" : ""}${learnable && side === "train" && !learns ? " st-unlearned" : ""}` },
    el(
      "div",
      { class: "st-turn-head" },
      el("span", { class: "st-caption" }, word(isAnswer ? "role.answer" : `role.${turn.role}`)),
      isAnswer && row.rejected ? button(word(compare ? "hide_compare" : "compare"), { class: "st-link", "data-focus": "compare", "aria-pressed": String(compare), onclick: () => { compare = !compare; paintOpen(); } }) : null,
      learnable && side === "train" ? learnSwitch(row, index, isAnswer, learns) : null,
      isAnswer && side !== "train" ? el("span", { class: "st-caption" }, word(`not_trained.${side}`)) : null,
    ),
    turn.content || isDiff ? text : el("em", { class: "st-hint" }, word("no_text")),
    turn.extra?.tool_calls ? el("pre", { class: "st-calls" }, JSON.stringify(turn.extra.tool_calls, null, 1)) : null,
  );
}

function learnSwitch(row, index, isAnswer, learns) {
  const flip = () =>
    isAnswer
      ? change(row.id, "edit", { learn_answer: !learns }, (now) => now.learn_answer === !learns)
      : change(row.id, "edit", { learn: { [index]: !learns } }, (now) => now.turns[index]?.learn === !learns);
  return button(word(learns ? "learned" : "not_learned"), { class: "st-switch", role: "switch", "data-focus": `learn${index}`, "aria-checked": String(learns), "aria-label": word("learn_label"), title: word("learn_hint"), onclick: flip });
}

// Flags -------------------------------------------------------------------------------------------------------------

/** Flags with one key are one finding, settled together: an e-mail address and a telephone number in one answer. */
function findings(row) {
  return [...Map.groupBy(row.flags, (flag) => flag.key).values()];
}

function flagCard(row, flags) {
  const [flag] = flags;
  const isOpen = partnerOpen === flag.key;
  const other = state.detail?.id === row.id ? state.detail.others?.[flag.other_id] : null;
  const compareButton = flag.other_id
    ? button(word(isOpen ? "hide_both" : "show_both"), { class: "st-link", "data-focus": `both ${flag.key}`, "aria-expanded": String(isOpen), onclick: () => { partnerOpen = isOpen ? null : flag.key; paintOpen(); } })
    : null;
  return el(
    "div",
    { class: "st-flag" },
    el("div", { class: "st-flag-head" }, el("strong", {}, el("span", { "aria-hidden": "true" }, "⚑ "), named("flags", flag.kind)), compareButton, button(word("dismiss"), { class: "st-link st-dismiss", "data-focus": `dismiss ${flag.key}`, title: word("dismiss_hint"), onclick: () => dismissFlag(row, flag) })),
    ...[...new Set(flags.map((one) => one.reason))].map((reason) => el("div", { class: "st-flag-reason" }, reason)),
    isOpen ? partnerView(row, flag, other) : null,
  );
}

function dismissFlag(row, flag) {
  change(row.id, "dismiss", { key: flag.key }, (now) => !now.flags.some((one) => one.key === flag.key));
}

function partnerView(row, flag, other) {
  if (!other) return el("p", { class: "st-hint" }, word("loading_rest"));
  const side = (name, mine, tag, one) =>
    el(
      "div",
      { class: "st-side-text" },
      el("div", { class: "st-caption" }, word(name), " · ", named("statuses", one.status)),
      el("div", { class: "st-diff st-side-q" }, ...sideOf(diffNodes(row.question, other.question), tag)),
      el("div", { class: "st-diff" }, ...sideOf(diffNodes(row.answer, other.answer), tag)),
      button(word(mine ? "keep_this" : "keep_that"), { class: "st-button st-small", "data-focus": name, onclick: () => settle(row, flag, mine ? "this" : "that") }),
    );
  return el(
    "div",
    { class: "st-partner" },
    el("div", { class: "st-pair" }, side("this_row", true, "DEL", row), side("that_row", false, "INS", other)),
    el("div", { class: "st-partner-foot" }, el("span", { class: "st-caption" }, word("settle_hint")), button(word("keep_both"), { class: "st-button st-small", "data-focus": "both", onclick: () => settle(row, flag, "both") })),
  );
}

/** One side of a comparison: what both have, and what only this one has. */
function sideOf(nodes, tag) {
  return nodes.filter((node) => !node.tagName || node.tagName === tag);
}

function settle(row, flag, keep) {
  change(row.id, "settle", { key: flag.key, other: flag.other_id, keep }, (now) => !now.flags.some((one) => one.key === flag.key) || now.status === "rejected");
}

// Rating, tags, note ------------------------------------------------------------------------------------------------

function rate(row, n) {
  const wanted = row.rating === n ? null : n;
  change(row.id, "edit", { rating: wanted }, (now) => now.rating === wanted);
}

function paintRating(row) {
  part(ratingPart, [row.id, row.rating], () => [
    el("span", { class: "st-meta-label" }, word("rating")),
    el(
      "span",
      { class: "st-stars", role: "group", "aria-label": word("rating") },
      ...[1, 2, 3, 4, 5].map((n) =>
        button(n <= (row.rating ?? 0) ? "★" : "☆", { class: "st-star", "data-focus": `star${n}`, "aria-label": word("rating_of", { n }), "aria-pressed": String(row.rating === n), "aria-keyshortcuts": String(n), onclick: () => rate(row, n) }),
      ),
    ),
  ]);
}

/** A field as it will be once all that is under way is saved. The next change starts from that, not from what is shown. */
function toBe(id, field) {
  const job = lines.get(id)?.findLast(({ data }) => field in data);
  return job ? job.data[field] : rows.get(id)[field];
}

function setTags(id, tags) {
  const wanted = [...new Set(tags)].sort();
  change(id, "edit", { tags: wanted }, (now) => JSON.stringify(now.tags) === JSON.stringify(wanted));
}

const tagChips = el("span", { class: "st-tag-chips" });

function paintTags(row) {
  part(tagPart, [row.id], () => {
    const input = el("input", { type: "text", class: "st-tag-input", maxlength: 60, role: "combobox", "aria-expanded": "false", "aria-controls": "st-tag-options", "aria-autocomplete": "list", autocomplete: "off", placeholder: word("add_tag"), "aria-label": word("add_tag"), "aria-keyshortcuts": "T", "data-focus": "tag" });
    const options = el("ul", { id: "st-tag-options", class: "st-options", role: "listbox", hidden: true });
    tagField(row.id, input, options);
    return [el("span", { class: "st-meta-label" }, word("tags")), el("span", { class: "st-tag-field" }, tagChips, el("span", { class: "st-combo" }, input, options))];
  });
  part(tagChips, [row.id, row.tags], () =>
    row.tags.map((tag) => button(tag, { class: "st-chip st-removable", "aria-label": word("remove_tag", { tag }), onclick: () => setTags(row.id, toBe(row.id, "tags").filter((one) => one !== tag)) }, el("span", { "aria-hidden": "true" }, " ✕"))),
  );
}

/** Suggestions are the tags the project has; Enter or a comma takes what is typed or marked. */
function tagField(id, input, options) {
  let marked = -1;
  const suggest = () => {
    const typed = input.value.trim().toLowerCase();
    const tags = toBe(id, "tags");
    const known = Object.keys(state.facets?.tags ?? {}).filter((tag) => !tags.includes(tag) && tag.toLowerCase().includes(typed));
    marked = -1;
    options.replaceChildren(...known.slice(0, 6).map((tag, n) => el("li", { role: "option", id: `st-tag-${n}`, "aria-selected": "false", onmousedown: (event) => { event.preventDefault(); take(tag); } }, tag)));
    options.hidden = !options.children.length;
    input.setAttribute("aria-expanded", String(!options.hidden));
    input.removeAttribute("aria-activedescendant");
  };
  const mark = (by) => {
    const all = [...options.children];
    if (!all.length) return;
    marked = (marked + by + all.length + (marked < 0 && by < 0 ? 1 : 0)) % all.length;
    all.forEach((one, n) => one.setAttribute("aria-selected", String(n === marked)));
    input.setAttribute("aria-activedescendant", all[marked].id);
  };
  const take = (tag) => {
    const clean = tag.trim().replace(/\s+/g, " ");
    const tags = toBe(id, "tags");
    input.value = "";
    if (clean && !tags.includes(clean)) setTags(id, [...tags, clean]);
    suggest();
  };
  const close = () => {
    options.hidden = true;
    input.setAttribute("aria-expanded", "false");
  };
  input.addEventListener("input", (event) => {
    if (!event.isComposing && /[,、]$/.test(input.value)) take(input.value.slice(0, -1));
    else suggest();
  });
  input.addEventListener("focus", suggest);
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229) return;
    const known = [...options.children];
    if (event.key === "ArrowDown" || event.key === "ArrowUp") mark(event.key === "ArrowDown" ? 1 : -1);
    else if (event.key === "Enter") take(marked >= 0 ? known[marked].textContent : input.value);
    else if (event.key === "Backspace" && !input.value && !event.repeat && toBe(id, "tags").length) setTags(id, toBe(id, "tags").slice(0, -1));
    else if (event.key === "Escape") {
      input.value = "";
      close();
      focusRow(id);
    } else return;
    if (event.key !== "Backspace" || !input.value) event.stopPropagation();
    if (event.key !== "Backspace") event.preventDefault();
  });
}

function noteKey(id) {
  return `note.${id}`;
}

let note = null;

function paintNote(row) {
  part(notePart, [row.id], () => {
    note = noteField(row.id);
    return [el("span", { class: "st-meta-label" }, word("note")), note.area];
  });
  note.follow(row.note);
}

function noteField(id) {
  const area = el("textarea", { class: "st-note-area", rows: "1", "aria-label": word("note"), placeholder: word("note_hint"), "data-focus": "note" });
  let known = rows.get(id).note;
  area.value = drafts.read(noteKey(id)) ?? known;
  const fit = () => {
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight + 2}px`;
  };
  /** Show what the note is by now; but what is typed is newer. */
  const follow = (text) => {
    if (text !== known && area.value.trim() === known.trim()) {
      area.value = text;
      fit();
    }
    known = text;
  };
  const dropSaved = (text) => {
    if (drafts.read(noteKey(id))?.trim() === text) drafts.drop(noteKey(id));
  };
  const save = () => {
    if (!rows.has(id)) return; // its project was left: the draft stays
    const text = area.value.trim();
    if (text === toBe(id, "note")) dropSaved(rows.get(id).note);
    else change(id, "edit", { note: text }, (now) => now.note === text, { onDone: () => dropSaved(text) });
  };
  area.addEventListener("input", () => {
    drafts.write(noteKey(id), area.value);
    fit();
  });
  area.addEventListener("blur", save);
  area.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Escape" || (event.key === "Enter" && (event.ctrlKey || event.metaKey))) {
      event.preventDefault();
      event.stopPropagation();
      focusRow(id); // leaving saves
    }
  });
  requestAnimationFrame(fit);
  return { area, follow };
}

// History -----------------------------------------------------------------------------------------------------------

function paintHistory(row) {
  const entries = state.detail?.id === row.id ? state.detail.timeline : null;
  part(historyPart, [row.id, entries, isWaiting(row.id)], () => [
    el("h3", { class: "st-subhead" }, word("history")),
    entries ? el("ol", { class: "st-timeline" }, ...entries.map((entry, n) => timelineEntry(row, entry, entries[n + 1], n === 0))) : el("p", { class: "st-hint" }, word("loading_rest")),
  ]);
}

function timelineEntry(row, entry, before, isNow) {
  const texts = before ? [["question", before.question, entry.question], ["answer", before.answer, entry.answer]].filter(([, was, is]) => was !== is) : [];
  return el(
    "li",
    { class: isNow ? "st-now" : null },
    el(
      "div",
      { class: "st-entry-head" },
      el("span", {}, el("strong", {}, word(`event.${entry.kind}`)), entry.author ? ` · ${entry.author}` : "", " · ", el("time", { datetime: entry.at, title: moment(entry.at) }, ago(entry.at))),
      isNow ? el("span", { class: "st-caption" }, word("now")) : button(word("restore"), { class: "st-link", "data-focus": `restore${entry.version}`, "aria-label": word("restore_version", { n: entry.version }), onclick: () => change(row.id, "restore", { to: entry.version }, (now) => now.answer === entry.answer && now.status === entry.status) }),
    ),
    el("div", { class: "st-entry-facts" }, ...factChanges(entry, before)),
    ...texts.map(([name, was, is]) => el("div", { class: "st-entry-text" }, el("span", { class: "st-caption" }, word(`role.${name === "question" ? "user" : "answer"}`)), el("div", { class: "st-diff" }, ...diffNodes(was, is)))),
  );
}

/** What changed besides the texts, in short: "draft → approved", "+ billing", "★ 4". */
function factChanges(entry, before) {
  const facts = [];
  if (entry.detail && !before) facts.push(entry.detail.replace(/; (\d+) left out$/, (_, n) => ` · ${word("left_out", { n })}`));
  if (!before) facts.push(named("statuses", entry.status));
  else {
    if (before.status !== entry.status) facts.push(`${named("statuses", before.status)} → ${named("statuses", entry.status)}`);
    facts.push(...entry.tags.filter((tag) => !before.tags.includes(tag)).map((tag) => `+ ${tag}`), ...before.tags.filter((tag) => !entry.tags.includes(tag)).map((tag) => `− ${tag}`));
    if (before.rating !== entry.rating) facts.push(`★ ${before.rating ?? "–"} → ${entry.rating ?? "–"}`);
    if (before.note !== entry.note) facts.push(`${word("note")}: ${entry.note || "–"}`);
    if (before.split !== entry.split) facts.push(`${named("splits", before.split)} → ${named("splits", entry.split)}`);
    if (JSON.stringify(before.learns) !== JSON.stringify(entry.learns)) facts.push(word("learning_changed"));
  }
  return facts.map((fact) => el("span", { class: "st-mini" }, fact));
}

function paintActions(row, isWhole) {
  openFoot.setAttribute("aria-label", word("actions"));
  openFoot.hidden = !row || Boolean(editing()) || Boolean(creator);
  part(openFoot, [row?.id, row?.status, isWhole, isWaiting(row?.id), state.last?.id], () =>
    ACTIONS.map(([name, sign, key]) => {
      const isDone = row?.status === name;
      const off = (name === "edit" && !isWhole) || (name === "undo" && !state.last);
      return button(
        el("span", { class: "st-icon", "aria-hidden": "true" }, sign),
        { class: `st-action st-do-${name}`, "data-action": name, "data-focus": name, "aria-keyshortcuts": key, "aria-disabled": String(off), "aria-pressed": ["approved", "rejected"].includes(name) ? String(isDone) : null, onclick: () => press(name) },
        el("span", { class: "st-label" }, word(isDone ? `statuses.${name}` : `do.${name}`)),
        keyCap(key),
      );
    }),
  );
}
