// What the project is about: every row a point, its topic a colour and a name; and how often each label is the answer.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 1000;
const HEIGHT = 620;
const MARGIN = 40;
const NAMED = 10; // topics whose name stands on the map
const LABELS = 24; // bars shown at first
let map = null; // topics, points, balance
let near = null; // a row and its nearest
let topicOn = null;
let allLabels = false;
let bounds = null;

const mapPart = el("section", { class: "st-q-map" });
const balancePart = el("section", { class: "st-q-balance" });

function shape(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

/** Hues a golden angle apart: neighbours in the list differ most. */
function hue(topic) {
  return Math.round((topic * 137.5 + 175) % 360);
}

function placed(x, y) {
  const [left, right, top, bottom] = bounds;
  return [MARGIN + ((x - left) / Math.max(1, right - left)) * (WIDTH - 2 * MARGIN), MARGIN + ((y - top) / Math.max(1, bottom - top)) * (HEIGHT - 2 * MARGIN)];
}

function takeMap(value) {
  map = value;
  near = null;
  topicOn = null;
  const xs = map.points.map((point) => point[2]);
  const ys = map.points.map((point) => point[3]);
  // Not Math.min(...xs): thousands of arguments.
  const least = (some) => some.reduce((a, b) => Math.min(a, b), Infinity);
  bounds = [least(xs), -least(xs.map((x) => -x)), least(ys), -least(ys.map((y) => -y))];
}

function paintMap(isRunning) {
  part(mapPart, [map?.number ?? null, near, topicOn, isRunning, Boolean(state.rows)], () => {
    const head = el("div", { class: "st-q-head" }, el("h3", {}, word("map.title")), el("p", { class: "st-hint" }, word("map.hint")));
    if (!map?.points.length) return [head, isRunning || !state.rows ? null : button(word("map.draw"), { class: "st-button st-draw-map", onclick: () => ask("map") })];
    const shown = map.points.length < map.rows ? el("p", { class: "st-hint" }, word("map.some", { n: number_(map.points.length), total: number_(map.rows) })) : null;
    return [head, el("div", { class: "st-map-both" }, el("div", { class: "st-map-left" }, drawing(), shown), el("div", { class: "st-map-right" }, ...(near ? nearList() : topicList())))];
  });
}

function drawing() {
  const tip = el("div", { class: "st-map-tip", hidden: true });
  const size = map.points.length > 1500 ? 4 : map.points.length > 300 ? 6 : 8;
  const radius = matchMedia("(max-width: 640px)").matches ? Math.round(1.6 * size) : size;
  const own = near?.row.id;
  const friends = new Set((near?.rows ?? []).map((row) => row.id));
  const circles = map.points.map(([id, topic, x, y], n) => {
    const [cx, cy] = placed(x, y);
    const dim = (topicOn !== null && topic !== topicOn) || (near && id !== own && !friends.has(id));
    return shape("circle", { cx: cx.toFixed(1), cy: cy.toFixed(1), r: id === own ? radius + 5 : radius, "data-n": n, class: `st-dot${dim ? " st-dim" : ""}${id === own ? " st-own" : ""}`, style: `--st-hue: ${hue(topic)}` });
  });
  const taken = [];
  const names = map.topics.slice(0, NAMED).map((topic, n) => nameOn(topic, n, taken));
  const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "st-map", role: "img", "aria-label": word("map.label", { n: number_(map.points.length), topics: map.topics.length }) }, ...circles, ...names.filter(Boolean));
  const frame = el("div", { class: "st-map-frame" }, svg, tip);
  svg.addEventListener("pointermove", (event) => hover(event, frame, tip));
  svg.addEventListener("pointerleave", () => { tip.hidden = true; });
  svg.addEventListener("click", (event) => {
    const n = event.target.dataset?.n;
    if (n !== undefined) openNear(map.points[n][0]);
  });
  return frame;
}

/** A topic's name above most of its points, moved out of the way of those that stand there already. */
function nameOn(topic, number, taken) {
  const ys = map.points.filter((point) => point[1] === number).map((point) => placed(point[2], point[3])[1]).sort((a, b) => a - b);
  let [x] = placed(topic.x, topic.y);
  let y = Math.max(24, (ys[Math.floor(ys.length * 0.12)] ?? 0) - 16);
  const isNarrow = matchMedia("(max-width: 640px)").matches;
  const size = isNarrow ? 34 : 19; // as in the stylesheet; the drawing shrinks with the page
  const title = isNarrow ? topic.title.split(", ")[0] : topic.title;
  const half = (size / 2) * Array.from(title).reduce((sum, letter) => sum + (letter > "\u2e80" ? 1.02 : 0.62), 0);
  x = Math.min(Math.max(x, half + 8), WIDTH - half - 8);
  for (let tries = 0; tries < 8 && taken.some(([a, b, h]) => Math.abs(a - x) < h + half && Math.abs(b - y) < size + 7); tries += 1) y += (tries % 2 ? -1 : 1) * (size + 8) * (tries + 1);
  if (y < 20 || y > HEIGHT - 10) return null;
  taken.push([x, y, half]);
  return shape("text", { x: x.toFixed(0), y: y.toFixed(0), "text-anchor": "middle", class: "st-map-name" }, document.createTextNode(title));
}

function hover(event, frame, tip) {
  const n = event.target.dataset?.n;
  tip.hidden = n === undefined;
  if (n === undefined) return;
  setText(tip, map.points[n][4] || word("no_text"));
  const box = frame.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(event.clientX - box.left + 12, box.width - tip.offsetWidth - 4))}px`;
  tip.style.top = `${Math.max(4, event.clientY - box.top - tip.offsetHeight - 10)}px`;
}

function openNear(id) {
  ask("near", { id }, (reply) => {
    if (!reply.near) return;
    near = reply.near;
    topicOn = null;
    paint();
  });
}

function topicList() {
  const items = map.topics.map((topic, n) => {
    const choose = () => {
      topicOn = topicOn === n ? null : n;
      paint();
    };
    const questions = topicOn === n ? map.points.filter((point) => point[1] === n).slice(0, 8) : [];
    return el(
      "li",
      {},
      button(
        el("span", { class: "st-swatch", style: `--st-hue: ${hue(n)}`, "aria-hidden": "true" }),
        { class: "st-topic", "data-focus": `topic ${n}`, "aria-expanded": String(topicOn === n), onclick: choose },
        el("span", { class: "st-topic-name" }, topic.title),
        topic.thin ? el("span", { class: "st-mini st-mini-flag" }, word("map.thin")) : null,
        el("span", { class: "st-number" }, number_(topic.size)),
      ),
      questions.length ? el("ul", { class: "st-topic-rows" }, ...questions.map(([id, , , , question]) => el("li", {}, button(question || word("no_text"), { class: "st-link", "data-focus": `near ${id}`, onclick: () => openNear(id) })))) : null,
    );
  });
  const hasThin = map.topics.some((topic) => topic.thin);
  return [el("h4", {}, word("map.topics")), el("ul", { class: "st-topics" }, ...items), hasThin ? el("p", { class: "st-hint" }, word("map.thin_hint")) : null].filter(Boolean);
}

function nearList() {
  const line = (row, alike) =>
    el(
      "li",
      { class: "st-near-row", "data-id": row.id },
      el("div", { class: "st-card-head" }, alike === null ? null : el("span", { class: "st-mini" }, word("map.alike", { n: Math.round(100 * alike) })), badge(row), button(word("in_table"), { class: "st-link", onclick: () => toTable(row.id) })),
      alike === null ? el("div", { class: "st-card-q" }, row.question) : button(row.question || word("no_text"), { class: "st-near-q", "data-focus": `near ${row.id}`, onclick: () => openNear(row.id) }),
      el("div", { class: "st-card-a" }, row.answer),
    );
  return [
    button(`‹ ${word("map.topics")}`, { class: "st-link", "data-focus": "topics", onclick: () => { near = null; paint(); } }),
    el("ul", { class: "st-near st-near-own" }, line(near.row, null)),
    el("h4", {}, word("map.near")),
    el("ul", { class: "st-near" }, ...near.rows.map((row) => line(row, row.alike))),
  ];
}

function paintBalance() {
  const labels = map?.balance?.labels ?? [];
  balancePart.hidden = !labels.length;
  part(balancePart, [map?.number ?? null, allLabels], () => {
    const most = labels[0]?.[1] ?? 1;
    const rare = new Set(map?.balance?.rare ?? []);
    const shown = allLabels ? labels : labels.slice(0, LABELS);
    return [
      el("div", { class: "st-q-head" }, el("h3", {}, word("balance.title")), el("p", { class: "st-hint" }, word(rare.size ? "balance.uneven" : "balance.even"))),
      el(
        "ul",
        { class: "st-bars" },
        ...shown.map(([label, n]) =>
          el(
            "li",
            { class: rare.has(label) ? "st-rare" : null },
            el("span", { class: "st-bar-name", title: label }, label),
            el("span", { class: "st-bar-track", "aria-hidden": "true" }, el("span", { class: "st-bar-fill", style: `width: ${Math.max(1, (100 * n) / most)}%` })),
            el("span", { class: "st-number" }, number_(n)),
            rare.has(label) ? el("span", { class: "st-mini st-mini-flag" }, word("balance.rare")) : null,
          ),
        ),
      ),
      shown.length < labels.length ? button(word("balance.all", { n: number_(labels.length) }), { class: "st-link", onclick: () => { allLabels = true; paint(); } }) : null,
    ];
  });
}
