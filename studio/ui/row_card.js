// The open row: read turn by turn, changed in place, with its flags, its pair and its history.

/** send(what, data) asks the server; next(what, data) asks and goes on to the following row; say(text) complains. */
function openRow({ pane, send, say, next }) {
  let row = null;
  let draft = null;
  let sent = 0;
  let conflict = null;
  let showsHistory = false;
  let shown = "";

  const storageKey = (id) => `studio.row.${id}`;

  function kept(id) {
    try {
      return JSON.parse(sessionStorage.getItem(storageKey(id)));
    } catch {
      return null;
    }
  }

  function keep() {
    try {
      if (draft && isChanged()) sessionStorage.setItem(storageKey(row.id), JSON.stringify(draft));
      else if (row) sessionStorage.removeItem(storageKey(row.id));
    } catch {
      // Storage may be full or forbidden; the text is still in the editor.
    }
  }

  function fresh() {
    return {
      version: row.version,
      messages: row.messages.map((turn) => ({ ...turn })),
      answer: row.answer,
      learn_answer: row.learn_answer,
    };
  }

  function isChanged() {
    return JSON.stringify([draft.messages, draft.answer, draft.learn_answer]) !== JSON.stringify([row.messages, row.answer, row.learn_answer]);
  }

  /** A changed text is kept in this browser when one leaves, so nothing has to be asked. */
  function mayLeave() {
    if (draft) keep();
    return true;
  }

  function receive(value, { asked, ack }) {
    const before = row;
    if (asked?.what === "edit" && ack.number === sent) {
      sent = 0;
      if (!ack.error) {
        sessionStorage.removeItem(storageKey(asked.data.id));
        draft = null;
        conflict = null;
      } else if (ack.conflict) conflict = ack.conflict;
    }
    row = value;
    if (row?.id !== before?.id) {
      draft = null;
      conflict = null;
      const stored = row ? kept(row.id) : null;
      if (stored) draft = stored;
    }
    repaint();
  }

  function edit() {
    if (!row) return;
    draft ??= fresh();
    repaint();
    const area = pane.querySelector(".st-row-answer .st-area");
    area?.focus();
    area?.setSelectionRange(area.value.length, area.value.length);
  }

  function leaveEditor() {
    if (!draft) return false;
    if (!isChanged()) draft = null;
    else keep();
    draft = null;
    conflict = null;
    repaint();
    pane.focus({ preventScroll: true });
    return true;
  }

  function throwAway() {
    sessionStorage.removeItem(storageKey(row.id));
    draft = null;
    conflict = null;
    repaint();
  }

  function close() {
    if (leaveEditor()) return;
    if (row) send("open", { open: null });
  }

  function save(version = draft.version) {
    if (sent) return;
    const refused = !draft.answer.trim() ? "refuse_empty" : !isChanged() ? "refuse_same" : "";
    if (refused) return say(word(refused));
    say("");
    keep();
    sent = next("edit", { id: row.id, version, messages: draft.messages, answer: draft.answer, learn_answer: draft.learn_answer });
    repaint();
    return undefined;
  }

  // Painting

  function repaint() {
    const signature = JSON.stringify([row, draft === null, conflict, showsHistory, sent, language()]);
    if (signature === shown) return;
    shown = signature;
    const top = pane.scrollTop;
    const focus = document.activeElement?.dataset?.focus;
    pane.setAttribute("aria-label", word("open_row"));
    pane.classList.toggle("st-rows-blank", !row);
    if (!row) return pane.replaceChildren(el("p", { class: "st-hint" }, word("choose_row")));
    pane.replaceChildren(
      head(),
      ...(conflict ? [conflictBox()] : []),
      ...flagBoxes(),
      ...row.messages.map(turnBox),
      answerBox(),
      ...(draft ? [editorFoot()] : []),
      meta(),
      history(),
    );
    for (const area of pane.querySelectorAll(".st-area")) fit(area);
    pane.scrollTop = top;
    if (focus) pane.querySelector(`[data-focus="${CSS.escape(focus)}"]`)?.focus();
    return undefined;
  }

  function head() {
    const verdict = (status, key) =>
      el(
        "button",
        {
          type: "button",
          class: "st-action",
          "data-status": status,
          "data-focus": status,
          "aria-pressed": String(row.status === status),
          "aria-keyshortcuts": key,
          onclick: () => next("status", { id: row.id, version: row.version, status }),
        },
        word(`to.${status}`),
        keyCap(key),
      );
    return el(
      "div",
      { class: "st-row-head" },
      verdict("approved", "A"),
      verdict("rejected", "X"),
      el("button", { type: "button", class: "st-action", "data-focus": "edit", "aria-keyshortcuts": "E", "aria-pressed": String(Boolean(draft)), onclick: edit }, word("edit"), keyCap("E")),
      el("button", { type: "button", class: "st-action", "data-focus": "skip", "aria-keyshortcuts": "S", onclick: () => step(1) }, word("skip"), keyCap("S")),
      el("button", { type: "button", class: "st-row-close", "aria-label": word("leave"), onclick: () => send("open", { open: null }) }, "✕"),
    );
  }

  function fit(area) {
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight + 2}px`;
  }

  function area(text, label, onInput, focus) {
    const node = el("textarea", { class: "st-area", rows: "1", "aria-label": label, "data-focus": focus });
    node.value = text;
    node.addEventListener("input", () => {
      onInput(node.value);
      fit(node);
      keep();
    });
    node.addEventListener("keydown", (event) => {
      if (event.isComposing || event.keyCode === 229) return;
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        save();
      } else if (event.key === "Escape") {
        event.preventDefault();
        event.stopPropagation();
        leaveEditor();
      }
    });
    return node;
  }

  /** Text with what flags point at in it marked. */
  function marked(text, field) {
    const spans = row.flags.filter((flag) => flag.field === field && flag.span).map((flag) => flag.span);
    spans.sort((a, b) => a[0] - b[0]);
    const letters = Array.from(text);
    const nodes = [];
    let at = 0;
    for (const [from, to] of spans) {
      if (from < at) continue;
      nodes.push(letters.slice(at, from).join(""), el("mark", {}, letters.slice(from, to).join("")));
      at = to;
    }
    nodes.push(letters.slice(at).join(""));
    return nodes;
  }

  function learnToggle(isOn, isEditable, change) {
    const box = el("input", { type: "checkbox", checked: isOn, disabled: !isEditable });
    box.addEventListener("change", () => change(box.checked));
    return el("label", { class: "st-row-learn" }, box, word("learn"));
  }

  function turnBox(turn, index) {
    const source = draft ? draft.messages[index] : turn;
    const role = el("div", { class: "st-caption" }, word(`role.${turn.role}`));
    if (turn.role === "assistant") {
      role.append(
        learnToggle(source.learn, true, (isOn) => {
          draft ??= fresh();
          draft.messages[index].learn = isOn;
          keep();
          repaint();
        }),
      );
    }
    const text = draft
      ? area(source.content, word(`role.${turn.role}`), (value) => (draft.messages[index].content = value), `turn${index}`)
      : el("div", { class: "st-row-text" }, ...marked(turn.content, `messages[${index}]`));
    const tools = turn.tools ? el("pre", { class: "st-row-tools" }, turn.tools) : null;
    return el("div", { class: `st-row-turn st-row-${turn.role}` }, role, text, tools);
  }

  function answerBox() {
    const role = el(
      "div",
      { class: "st-caption" },
      word("answer_to_learn"),
      learnToggle(draft ? draft.learn_answer : row.learn_answer, true, (isOn) => {
        draft ??= fresh();
        draft.learn_answer = isOn;
        keep();
        repaint();
      }),
    );
    const box = el("div", { class: "st-row-turn st-row-answer" }, role);
    if (!draft) {
      box.append(el("div", { class: "st-row-text" }, ...marked(row.answer, "answer")));
      if (row.answer_tools) box.append(el("pre", { class: "st-row-tools" }, row.answer_tools));
      if (row.rejected !== null && row.rejected !== undefined) {
        box.append(
          el("div", { class: "st-caption" }, word("against_model")),
          el("div", { class: "st-diff" }, ...diffNodes(row.rejected, row.answer)),
        );
      }
      return box;
    }
    const diff = el("div", { class: "st-diff" });
    const show = () => diff.replaceChildren(...(draft.answer === row.answer ? [word("no_changes")] : diffNodes(row.answer, draft.answer)));
    show();
    box.append(
      area(
        draft.answer,
        word("answer_to_learn"),
        (value) => {
          draft.answer = value;
          show();
        },
        "answer",
      ),
      el("div", { class: "st-caption" }, word("changes")),
      diff,
    );
    return box;
  }

  function editorFoot() {
    return el(
      "div",
      { class: "st-row-foot" },
      el("button", { type: "button", class: "st-link", onclick: throwAway }, word("throw_away")),
      el("button", { type: "button", class: "st-button", onclick: leaveEditor }, word("leave"), keyCap("Esc")),
      el(
        "button",
        { type: "button", class: "st-button st-primary", "data-focus": "save", "aria-disabled": String(Boolean(sent)), onclick: () => save() },
        word(sent ? "saving" : "save_next"),
        keyCap("Ctrl ↵"),
      ),
    );
  }

  function conflictBox() {
    const theirs = conflict;
    const takeTheirs = () => throwAway();
    const keepMine = () => save(theirs.version);
    return el(
      "div",
      { class: "st-row-note st-row-conflict", role: "alert" },
      el("strong", {}, word("conflict", { author: theirs.author || word("nobody") })),
      el(
        "div",
        { class: "st-pair" },
        el("div", { class: "st-side-text" }, el("div", { class: "st-caption" }, word("mine")), el("div", { class: "st-diff" }, ...diffNodes(theirs.answer, draft.answer))),
        el("div", { class: "st-side-text" }, el("div", { class: "st-caption" }, word("theirs")), el("div", { class: "st-row-text" }, theirs.answer)),
      ),
      el(
        "div",
        { class: "st-row-buttons" },
        el("button", { type: "button", class: "st-button st-primary", onclick: keepMine }, word("keep_mine")),
        el("button", { type: "button", class: "st-button", onclick: takeTheirs }, word("take_theirs")),
      ),
    );
  }

  function flagBoxes() {
    return row.flags.map((flag) =>
      el(
        "div",
        { class: "st-row-note" },
        el("div", {}, el("strong", {}, word(`flags.${flag.kind}`)), " ", flag.reason),
        flag.other ? partner(flag) : null,
        el(
          "div",
          { class: "st-row-buttons" },
          el("button", { type: "button", class: "st-link", onclick: () => send("dismiss", { key: flag.key }) }, word("dismiss")),
        ),
      ),
    );
  }

  /** Two rows that are alike or say different things, side by side, to be settled. */
  function partner(flag) {
    const other = flag.other;
    const side = (label, text, button) =>
      el("div", { class: "st-side-text" }, el("div", { class: "st-caption" }, label), el("div", { class: "st-diff" }, ...text), button);
    const keepThis = el("button", { type: "button", class: "st-button", onclick: () => send("settle", { keep: row.id, drop: other.id, key: flag.key }) }, word("keep_this"));
    const keepThat = el("button", { type: "button", class: "st-button", onclick: () => send("settle", { keep: other.id, drop: row.id, key: flag.key }) }, word("keep_that"));
    return el(
      "div",
      { class: "st-pair" },
      side(word("this_row"), [row.question, "\n", row.answer], keepThis),
      side(word("other_row"), [...diffNodes(row.question, other.question), "\n", ...diffNodes(row.answer, other.answer)], keepThat),
    );
  }

  let tagField = null;
  let noteField = null;

  function meta() {
    const stars = [1, 2, 3, 4, 5].map((n) =>
      el(
        "button",
        { type: "button", class: "st-star", "data-focus": `star${n}`, "aria-pressed": String((row.rating ?? 0) >= n), "aria-label": word("stars", { n }), onclick: () => send("rating", { id: row.id, rating: row.rating === n ? null : n }) },
        (row.rating ?? 0) >= n ? "★" : "☆",
      ),
    );
    const tags = row.tags.map((tag) =>
      el("button", { type: "button", class: "st-chip", "aria-label": `${word("remove")} ${tag}`, onclick: () => setTags(row.tags.filter((t) => t !== tag)) }, tag, " ✕"),
    );
    const known = el("datalist", { id: "st-known-tags" }, ...(row.known_tags ?? []).map((tag) => el("option", { value: tag })));
    tagField = el("input", { class: "st-note", type: "text", list: "st-known-tags", placeholder: word("add_tag"), "aria-label": word("add_tag"), "data-focus": "tags" });
    tagField.addEventListener("keydown", (event) => onField(event, () => tagField.value.trim() && setTags([...row.tags, ...tagField.value.split(/[,、]/)])));
    noteField = el("input", { class: "st-note", type: "text", placeholder: word("note"), "aria-label": word("note"), "data-focus": "note" });
    noteField.value = row.note;
    // Leaving the field saves it, once.
    noteField.addEventListener("keydown", (event) => onField(event, () => {}));
    noteField.addEventListener("change", () => setNote());
    const facts = [word(`statuses.${row.status}`), word(`splits.${row.split}`), word(`sources.${row.source}`), row.tokens ? word("tokens", { n: row.tokens }) : null];
    return el(
      "div",
      { class: "st-row-meta" },
      el("div", { class: "st-row-stars", role: "group", "aria-label": word("rating") }, ...stars),
      el("div", { class: "st-chips" }, ...tags, tagField, known),
      noteField,
      el("p", { class: "st-hint" }, facts.filter(Boolean).join(" · ")),
    );
  }

  function onField(event, done) {
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Enter") {
      event.preventDefault();
      done();
      pane.focus({ preventScroll: true });
    } else if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      pane.focus({ preventScroll: true });
    }
  }

  function setTags(tags) {
    send("tags", { id: row.id, tags });
  }

  function setNote() {
    if (row && noteField.value.trim() !== row.note) send("note", { id: row.id, note: noteField.value });
  }

  function history() {
    const button = el(
      "button",
      { type: "button", class: "st-link", "data-focus": "history", "aria-expanded": String(showsHistory), onclick: () => { showsHistory = !showsHistory; repaint(); } },
      `${showsHistory ? "▾" : "▸"} ${word("history", { n: row.timeline.length })}`,
    );
    if (!showsHistory) return el("div", { class: "st-row-history" }, button);
    const items = row.timeline.map((entry, index) => {
      const earlier = row.timeline[index + 1];
      const changes = earlier && earlier.text !== entry.text ? el("div", { class: "st-diff" }, ...diffNodes(earlier.text, entry.text)) : null;
      const restore = index ? el("button", { type: "button", class: "st-link", onclick: () => send("restore", { id: row.id, version: entry.version }) }, word("restore")) : null;
      return el(
        "li",
        {},
        el("div", { class: "st-row-event" }, el("strong", {}, word(`did.${entry.kind}`, { n: 1 })), ` ${entry.author || word("nobody")} · ${new Date(entry.at).toLocaleString(language())}`, entry.detail ? ` · ${entry.detail}` : "", " ", restore),
        el("div", { class: "st-hint" }, [word(`statuses.${entry.status}`), ...entry.tags, entry.rating ? "★".repeat(entry.rating) : "", entry.note].filter(Boolean).join(" · ")),
        changes,
      );
    });
    return el("div", { class: "st-row-history" }, button, el("ol", {}, ...items));
  }

  return {
    receive,
    repaint: () => { shown = ""; repaint(); },
    edit,
    close,
    mayLeave,
    focusTags: () => tagField?.focus(),
    focusNote: () => noteField?.focus(),
  };
}
