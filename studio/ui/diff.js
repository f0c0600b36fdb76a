// Word-level comparison of two texts. Intl.Segmenter knows where Japanese words end; a split at spaces would not.

const MAX_CELLS = 4_000_000; // 2,000 × 2,000 words: some 20 ms. Beyond that the middle is shown as replaced.

function segments(text) {
  if (!window.Intl?.Segmenter) return text.match(/\s+|\w+|[^\s\w]/gu) ?? [];
  return Array.from(new Intl.Segmenter(undefined, { granularity: "word" }).segment(text), (part) => part.segment);
}

/** [["same" | "del" | "ins", text], …] that turns `before` into `after`. */
function diffWords(before, after) {
  const a = segments(before);
  const b = segments(after);
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  const middle = diffMiddle(a.slice(start, a.length - end), b.slice(start, b.length - end));
  const parts = [...a.slice(0, start).map(same), ...middle, ...a.slice(a.length - end).map(same)];
  return tidy(parts);
}

function same(text) {
  return ["same", text];
}

/** Longest common subsequence, by the textbook table. */
function diffMiddle(a, b) {
  if (!a.length || !b.length || a.length * b.length > MAX_CELLS) {
    return [...a.map((text) => ["del", text]), ...b.map((text) => ["ins", text])];
  }
  const width = b.length + 1;
  const table = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      const at = i * width + j;
      table[at] = a[i] === b[j] ? table[at + width + 1] + 1 : Math.max(table[at + width], table[at + 1]);
    }
  }
  const parts = [];
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) {
      parts.push(same(a[i]));
      i += 1;
      j += 1;
    } else if (table[(i + 1) * width + j] >= table[i * width + j + 1]) {
      parts.push(["del", a[i]]);
      i += 1;
    } else {
      parts.push(["ins", b[j]]);
      j += 1;
    }
  }
  while (i < a.length) parts.push(["del", a[i++]]);
  while (j < b.length) parts.push(["ins", b[j++]]);
  return parts;
}

/** Join neighbours, and swallow a lone space between two changes: word, space, word reads worse than one phrase. */
function tidy(parts) {
  const result = [];
  let del = "";
  let ins = "";
  const flush = () => {
    if (del) result.push(["del", del]);
    if (ins) result.push(["ins", ins]);
    del = "";
    ins = "";
  };
  parts.forEach(([kind, text], index) => {
    const betweenChanges = kind === "same" && del && ins && /^[ \t]+$/.test(text) && parts[index + 1]?.[0] !== "same";
    if (kind === "del" || betweenChanges) del += text;
    if (kind === "ins" || betweenChanges) ins += text;
    if (kind === "same" && !betweenChanges) {
      flush();
      const last = result.at(-1);
      if (last?.[0] === "same") last[1] += text;
      else result.push(["same", text]);
    }
  });
  flush();
  return result;
}

/** The comparison as nodes: <del> and <ins> are struck and underlined, so colour is never the only sign. */
function diffNodes(before, after) {
  return diffWords(before, after).map(([kind, text]) => {
    if (kind === "same") return document.createTextNode(text);
    const tag = kind === "del" ? "del" : "ins";
    const spoken = el("span", { class: "st-sr" }, ` [${word(kind === "del" ? "removed" : "added")}: `);
    return el(tag, {}, spoken, text, el("span", { class: "st-sr" }, "] "));
  });
}
