// Long work on a board: a bar with how far it is and a button that stops it; how it ended is said once.

const POLL_MS = 500;
const toldEnds = new Set();

/** The bar of one work while it goes on; nothing else. `inPercent`: its parts say nothing to a reader. */
function workRow(work, kind) {
  if (!work?.running) return null;
  const share = work.total ? Math.min(1, work.done / work.total) : null;
  const text = work.stopping ? word("stopping") : work.stage ? word(`stage.${work.stage}`) : word("beginning");
  const count = work.inPercent ? `${Math.round(100 * share)} %` : work.total ? word("of", { n: number_(work.done), total: number_(work.total) }) : "";
  return el(
    "div",
    { class: "st-work-row" },
    el(
      "div",
      { class: `st-work${share === null ? " st-unknown" : ""}` },
      el("div", { class: "st-work-line" }, el("span", {}, text), el("span", { class: "st-number" }, count)),
      el(
        "div",
        { class: "st-track", role: "progressbar", "aria-label": text, "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": share === null ? null : Math.round(100 * share) },
        el("div", { class: "st-fill", style: share === null ? null : `width: ${100 * share}%` }),
      ),
    ),
    button(word("cancel"), { class: "st-button st-small", "data-focus": `cancel-${kind}`, "aria-disabled": String(work.stopping), onclick: () => ask("cancel", { kind }) }),
  );
}

/** Ask again soon while something goes on; say once how it ended if it didn't end well. `isFirst`: what ended before the
 *  page was opened is nobody's news. */
function followWorks(works, isFirst) {
  for (const work of works) {
    if (!work || work.running || toldEnds.has(work.number)) continue;
    toldEnds.add(work.number);
    if (isFirst) continue;
    if (work.error) say(work.error, "refused");
    else if (work.cancelled) say(word("cancelled"));
  }
  if (works.some((work) => work?.running)) pollIn(POLL_MS);
}
