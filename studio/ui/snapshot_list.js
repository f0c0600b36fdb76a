// The snapshots, newest first: what each holds, who froze it, which run trained on it, and its export.

const FORMATS = ["trl-messages", "trl-prompt-completion", "trl-dpo", "trl-kto", "openai", "alpaca", "sharegpt", "csv", "parquet", "hf"];
const SIDES = ["train", "validation", "test", "aside"];
let exporting = null; // { id, format, plain }: the snapshot whose export is open

function snapshotItem(snapshot) {
  const isOpen = exporting?.id === snapshot.id;
  const toggle = () => {
    exporting = isOpen ? null : { id: snapshot.id, format: exporting?.format ?? "trl-messages", plain: false };
    paint();
  };
  const compare = () => {
    compareWith(snapshot.id);
    paint();
  };
  const when = new Date(snapshot.at).toLocaleString(language(), { dateStyle: "medium", timeStyle: "short" });
  const sides = SIDES.filter((side) => snapshot.sides[side]).map((side) => `${number_(snapshot.sides[side])} ${word(`side.${side}`)}`);
  return el(
    "li",
    { class: "st-snapshot" },
    el(
      "div",
      { class: "st-snapshot-main" },
      el(
        "div",
        { class: "st-snapshot-facts" },
        el("div", { class: "st-snapshot-name" }, snapshot.name, ...snapshot.runs.map((n) => el("span", { class: "st-tag" }, word("run", { n })))),
        el("div", { class: "st-caption" }, [word(snapshot.rows === 1 ? "row" : "rows", { n: number_(snapshot.rows) }), ...(sides.length > 1 ? sides : [])].join(" · ")),
        el("div", { class: "st-caption" }, [snapshot.author, when].filter(Boolean).join(" · "), " · ", el("code", { title: `SHA-256 ${snapshot.sha256}` }, snapshot.sha256.slice(0, 12))),
      ),
      el(
        "div",
        { class: "st-snapshot-buttons" },
        state.total > 1 ? button(word("compare"), { class: "st-button st-small", "data-focus": `compare-${snapshot.id}`, onclick: compare }) : null,
        button(word("export"), { class: "st-button st-small", "data-focus": `export-${snapshot.id}`, "aria-expanded": String(isOpen), onclick: toggle }),
      ),
    ),
    isOpen ? exportForm(snapshot) : null,
  );
}

function exportForm(snapshot) {
  const format = el("select", { class: "st-select", "aria-label": word("format"), "data-focus": "export-format" }, ...FORMATS.map((name) => el("option", { value: name, selected: name === exporting.format }, word(`format.${name}`))));
  format.addEventListener("change", () => (exporting = { ...exporting, format: format.value }));
  const plain = el("input", { type: "checkbox", "data-focus": "export-plain", checked: exporting.plain });
  plain.addEventListener("change", () => (exporting = { ...exporting, plain: plain.checked }));
  const go = () => ask("export", exporting);
  const work = state.works["snapshot-export"];
  return el(
    "div",
    { class: "st-snapshot-export" },
    el("div", { class: "st-export-line" }, format, button(word("export_now"), { class: "st-button st-primary st-small", "data-focus": "export-go", "aria-disabled": String(Boolean(work?.running)), onclick: () => (work?.running ? null : go()) })),
    el("label", { class: "st-export-plain" }, plain, el("span", {}, word("plain"))),
    workRow(work, "snapshot-export"),
    work?.running ? null : exportedNode(snapshot),
  );
}

function exportedNode(snapshot) {
  const made = state.exported;
  if (!made || made.snapshot !== snapshot.id) return null;
  const skipped = Object.values(made.skipped).reduce((sum, n) => sum + n, 0);
  return el(
    "div",
    { class: `st-outcome ${made.verified ? "st-good" : "st-bad"}` },
    el("p", {}, word(made.verified ? "verified" : "differs", { n: number_(made.examples) })),
    ...made.differences.map((difference) => el("p", {}, difference)),
    skipped ? el("p", {}, word("skipped", { n: number_(skipped) })) : null,
    el("p", { class: "st-files" }, el("a", { class: "st-button st-small", href: made.href, download: made.name }, word("download", { name: made.name }))),
    el("p", { class: "st-caption" }, word("same_bytes"), " ", el("code", {}, made.sha256.slice(0, 12))),
  );
}
