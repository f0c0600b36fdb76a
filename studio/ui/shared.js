// Shared by every component's script. gr.HTML runs the joined files as one function body with
// element, trigger, props and watch in scope, so plain function declarations are enough.

const root = element.firstElementChild;

/** The page's language: Gradio keeps <html lang> at the chosen locale, also when it is switched in its settings. */
function language() {
  const lang = document.documentElement.lang || navigator.language || "en";
  return lang.toLowerCase().startsWith("ja") ? "ja" : "en";
}

/** A word from the table passed as a prop; {name} is filled in from `values`. Of `n`, if that is one, it is `key_one`. */
function word(key, values = {}) {
  const table = props.words?.[language()] ?? {};
  const one = String(values.n) === "1" ? table[`${key}_one`] : undefined;
  const text = one ?? table[key] ?? props.words?.en?.[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** Build an element. Children given as strings become text nodes, never markup. */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Set text only when it differs: rewriting it would drop the reader's selection. */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** The key's name as shown on a button; hidden from screen readers, which get aria-keyshortcuts. */
function keyCap(name) {
  return el("kbd", { class: "st-key", "aria-hidden": "true" }, name);
}

/** Listen for as long as the component is on the page: Gradio gives no unload hook. */
function onDocument(type, handler) {
  const listener = (event) => {
    if (element.isConnected) handler(event);
    else document.removeEventListener(type, listener);
  };
  document.addEventListener(type, listener);
}

function isTyping(target) {
  return Boolean(target?.closest?.("input, textarea, select, [contenteditable], [role=textbox], [role=combobox]"));
}

function onLanguageChange(callback) {
  let current = language();
  const observer = new MutationObserver(() => {
    if (!element.isConnected) observer.disconnect();
    else if (language() !== current) {
      current = language();
      callback();
    }
  });
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ["lang"] });
}
