// A text with the evidence of its flags marked.

function markedText(text, flags) {
  // Spans count code points, as Python does; a JavaScript string counts UTF-16 units.
  const letters = Array.from(text);
  const nodes = [];
  let at = 0;
  for (const flag of flags.toSorted((a, b) => a.span[0] - b.span[0])) {
    const [from, to] = flag.span;
    if (from < at || to > letters.length) continue;
    nodes.push(letters.slice(at, from).join(""), el("mark", { class: "st-evidence", title: flag.reason }, letters.slice(from, to).join("")));
    at = to;
  }
  return [...nodes, letters.slice(at).join("")];
}
