// An answer and its correction: together in one text, or side by side.

let beside = false;

function switchButton(value, label) {
  const choose = () => {
    beside = value;
    paint();
  };
  return el("button", { type: "button", class: "st-chip", "aria-pressed": String(beside === value), onclick: choose }, label);
}

function column(label, wanted, parts) {
  const nodes = parts.filter((node) => !node.tagName || node.tagName === wanted);
  return el("div", { class: "st-side-text" }, el("div", { class: "st-caption" }, label), el("div", { class: "st-diff" }, ...nodes));
}

function paint() {
  const value = props.value;
  if (!value || typeof value !== "object") {
    root.replaceChildren(el("p", { class: "st-hint" }, word("none")));
    return;
  }
  const before = value.before ?? "";
  const after = value.after ?? "";
  if (before === after) {
    root.replaceChildren(el("div", { class: "st-diff" }, after), el("p", { class: "st-hint" }, word("same")));
    return;
  }
  const chips = el("div", { class: "st-chips", role: "group" }, switchButton(false, word("together")), switchButton(true, word("beside")));
  const body = beside
    ? el(
        "div",
        { class: "st-pair" },
        column(value.before_label ?? word("before"), "DEL", diffNodes(before, after)),
        column(value.after_label ?? word("after"), "INS", diffNodes(before, after)),
      )
    : el("div", { class: "st-diff" }, ...diffNodes(before, after));
  const focused = root.contains(document.activeElement) ? document.activeElement.textContent : null;
  root.replaceChildren(chips, body);
  if (focused) [...chips.children].find((chip) => chip.textContent === focused)?.focus();
}

onLanguageChange(paint);
watch("value", paint);
paint();
