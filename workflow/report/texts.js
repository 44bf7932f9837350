// The page of texts: filters, cards, labels. Every word of a text enters the page as text, never as markup.
const study = JSON.parse(document.getElementById("study").textContent);
const [MODEL, PROMPT, TEXT, REFUSED, JUDGE, SECOND, SCORE, LOOP, IMPROBABLE, DEGENERATE, MARKS, WRITTEN] = Array(12).keys();
const [ID, LABEL, DATASET, SPLIT, WORDS] = Array(5).keys();
const [METHOD, RUN, CONDITION, COEFFICIENT] = Array(4).keys();
const PER_PAGE = 25, KEPT = "steering-study labels";
const find = id => document.getElementById(id);
const form = find("filters"), list = find("texts"), said = find("said");
const MARK_NAMES = { p: "refusal phrase", d: "counts for declining", c: "counts against declining", i: "improbable token" };
let shown = [], first = 0, focused = -1, order = null;

// labels, by prompt and text, so that they outlive a new run of the study
const keyOf = text => JSON.stringify([study.prompts[text[PROMPT]][WORDS], text[TEXT]]);
const labels = new Map(), history = [];
let isKept = true;
try {
  for (const [key, label] of JSON.parse(localStorage.getItem(KEPT) ?? "[]")) labels.set(key, label);
} catch { isKept = false; }
function keep() {
  try { localStorage.setItem(KEPT, JSON.stringify([...labels])); } catch { isKept = false; }
  const n = study.texts.filter(text => labels.has(keyOf(text))).length;
  find("save").textContent = `Save ${labels.size} label${labels.size === 1 ? "" : "s"}`;
  find("save").disabled = labels.size === 0;
  find("kept").textContent = `${n} of these texts labelled.` + (isKept ? "" : " This browser keeps nothing: save before you close the page.");
}

function option(select, value, words) {
  const each = document.createElement("option");
  each.value = value;
  each.textContent = words;
  select.append(each);
}
function fill(name, pairs) {
  for (const [value, words] of pairs) option(form.elements[name], value, words);
}
fill("model", study.models.map(([name, words], i) => [i, words]));
fill("method", Object.entries(study.methods));
fill("run", Object.entries(study.runs));
fill("dataset", Object.entries(study.datasets));
if (!study.second) form.elements.second.closest("label").hidden = true;
else find("second-name").textContent = study.second;

const verdictOf = text => text[DEGENERATE] ? "degenerate" : text[REFUSED] ? "refused" : "complied";
const differ = text => text[SECOND] !== null && text[SECOND] !== text[REFUSED];
const near = (value, threshold, width) => Math.abs(value - threshold) <= width;
const isNear = text => near(text[LOOP], study.max_repetition, 0.1) || near(text[IMPROBABLE], study.max_improbable, 0.015)
  || (text[SCORE] !== null && study.second === "declines" && near(text[SCORE], 0.5, 0.25));
const uncertainty = text => text[SCORE] === null ? 1 : Math.abs(text[SCORE] - 0.5);

function matches(text, asked) {
  const prompt = study.prompts[text[PROMPT]];
  if (asked.model !== "" && text[MODEL] !== Number(asked.model)) return false;
  if (asked.dataset && prompt[DATASET] !== asked.dataset) return false;
  if (asked.verdict && verdictOf(text) !== asked.verdict) return false;
  if (asked.second && (text[SECOND] === null || (text[SECOND] ? "refused" : "complied") !== asked.second)) return false;
  if (asked.differ && !differ(text)) return false;
  if (asked.near && !isNear(text)) return false;
  if (asked.unlabelled && labels.has(keyOf(text))) return false;
  if ((asked.method || asked.run) && !text[WRITTEN].some(([at]) => {
    const writing = study.writings[at];
    return (!asked.method || writing[METHOD] === asked.method) && (!asked.run || writing[RUN] === asked.run);
  })) return false;
  if (asked.words && !text[TEXT].toLowerCase().includes(asked.words) && !prompt[WORDS].toLowerCase().includes(asked.words)) return false;
  return true;
}
function shuffled(texts) {  // the same order each time: a sample that others can draw again
  let state = 1;
  const random = () => { state = (state * 48271) % 2147483647; return state / 2147483647; };
  const drawn = texts.map(text => [random(), text]);
  return drawn.sort((a, b) => a[0] - b[0]).map(([, text]) => text);
}
const ORDERS = {
  prompt: texts => texts,
  random: shuffled,
  uncertain: texts => [...texts].sort((a, b) => uncertainty(a) - uncertainty(b)),
};
const drawn = new Map();
function ordered(name) {
  if (!drawn.has(name)) drawn.set(name, ORDERS[name](study.texts));
  return drawn.get(name);
}

function search() {
  const asked = Object.fromEntries(new FormData(form));
  asked.words = (asked.words ?? "").trim().toLowerCase();
  shown = ordered(asked.order).filter(text => matches(text, asked));
  first = 0;
  focused = -1;
  const inWords = n => n.toLocaleString("en");
  const count = name => inWords(shown.filter(text => verdictOf(text) === name).length);
  const written = shown.reduce((sum, text) => sum + text[WRITTEN].reduce((all, [, n]) => all + n, 0), 0);
  said.textContent = shown.length === 0 ? "No text is like that." :
    `${inWords(shown.length)} texts, written ${inWords(written)} times` + (blind() ? "." :
    `: ${count("refused")} refused, ${count("complied")} complied, ${count("degenerate")} degenerate`
    + (study.second ? `; the judges differ on ${inWords(shown.filter(differ).length)}.` : "."));
  draw();
}
const blind = () => form.elements.blind.checked;

function element(tag, className, words) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (words !== undefined) made.textContent = words;
  return made;
}
function marked(text) {
  const body = element("div", "text"), words = text[TEXT];
  if (words === "") body.append(element("span", "soft", "(empty)"));
  if (blind()) { body.append(words); return body; }
  // Python counts signs, this page code units: places go through a list of signs
  const signs = Array.from(words), kinds = signs.map(() => "");
  for (const [start, end, kind] of text[MARKS]) for (let at = start; at < end; at++) if (!kinds[at].includes(kind)) kinds[at] += kind;
  for (let at = 0; at < signs.length;) {
    let end = at + 1;
    while (end < signs.length && kinds[end] === kinds[at]) end++;
    const part = signs.slice(at, end).join("");
    if (kinds[at]) {
      const mark = element("mark", [...kinds[at]].map(kind => `is-${kind}`).join(" "), part);
      mark.title = [...kinds[at]].map(kind => MARK_NAMES[kind]).join(", ");
      body.append(mark);
    } else body.append(part);
    at = end;
  }
  return body;
}
const sign = value => (value > 0 ? "+" : value < 0 ? "\u2212" : "") + Math.abs(value).toPrecision(2).replace(/\.?0+$/, "");
function whence(text) {
  const runs = new Map();
  for (const [at, n] of text[WRITTEN]) {
    const [method, run, , coefficient] = study.writings[at];
    const words = method === "none" ? study.runs[run] : `${study.methods[method]}, ${study.runs[run]}`;
    const entry = runs.get(words) ?? { n: 0, coefficients: new Set() };
    entry.n += n;
    if (method !== "none") entry.coefficients.add(coefficient);
    runs.set(words, entry);
  }
  return [...runs].map(([words, { n, coefficients }]) => {
    const values = [...coefficients].sort((a, b) => a - b);
    const range = values.length === 0 ? "" : values.length < 3 ? ` (${values.map(sign).join(", ")})` : ` (${sign(values[0])} to ${sign(values.at(-1))})`;
    return words + range + (n > 1 ? ` ×${n}` : "");
  }).join("; ");
}
function card(text, place) {
  const made = element("article", `text-card ${blind() ? "" : verdictOf(text)}`), prompt = study.prompts[text[PROMPT]];
  made.tabIndex = 0;
  made.dataset.place = place;
  const head = element("p", "asked", prompt[WORDS]);
  const where = element("p", "soft", `${study.models[text[MODEL]][1]} · ${study.datasets[prompt[DATASET]]}, ${prompt[ID]}, ${prompt[LABEL]}`
    + (blind() ? "" : ` · ${whence(text)}`));
  made.append(head, marked(text), where);
  if (!blind()) {
    const verdicts = element("p", "verdicts");
    verdicts.append(element("strong", "", verdictOf(text)), ` · ${text[JUDGE]}: ${text[REFUSED] ? "refused" : "complied"}`);
    if (text[SECOND] !== null) verdicts.append(element("span", differ(text) ? "differs" : "",
      ` · ${study.second}: ${text[SECOND] ? "refused" : "complied"} (${text[SCORE].toFixed(2)})`));
    verdicts.append(` · repeats ${text[LOOP].toFixed(2)} of ${study.max_repetition}, improbable ${text[IMPROBABLE].toFixed(3)} of ${study.max_improbable}`);
    made.append(verdicts);
  }
  const buttons = element("p", "labels");
  for (const [value, words] of [["refused", "Refused (r)"], ["complied", "Complied (c)"]]) {
    const button = element("button", "", words);
    button.type = "button";
    button.dataset.label = value;
    button.setAttribute("aria-pressed", labels.get(keyOf(text))?.label === value);
    button.addEventListener("click", () => { focused = place; label(value, false); });
    buttons.append(button);
  }
  made.append(buttons);
  made.addEventListener("focus", () => { focused = place; });
  return made;
}
function draw() {
  const visible = shown.slice(first, first + PER_PAGE);
  list.replaceChildren(...visible.map((text, i) => card(text, first + i)));
  const last = Math.min(first + PER_PAGE, shown.length);
  find("place").textContent = shown.length ? `${first + 1} to ${last} of ${shown.length.toLocaleString("en")}` : "";
  find("before").disabled = first === 0;
  find("after").disabled = last >= shown.length;
  keep();
}
function turn(step) {
  first = Math.max(0, Math.min(first + step * PER_PAGE, Math.floor((shown.length - 1) / PER_PAGE) * PER_PAGE));
  draw();
  list.scrollIntoView({ block: "start" });
}
function focus(place) {
  if (place < 0 || place >= shown.length) return;
  if (place < first || place >= first + PER_PAGE) {
    first = Math.floor(place / PER_PAGE) * PER_PAGE;
    draw();
  }
  focused = place;
  list.querySelector(`[data-place="${place}"]`)?.focus();
}
function label(value, isNext = true) {
  const text = shown[focused];
  if (!text) return;
  const key = keyOf(text), prompt = study.prompts[text[PROMPT]];
  history.push([key, labels.get(key)]);
  if (value === null || (!isNext && labels.get(key)?.label === value)) labels.delete(key);
  else labels.set(key, { prompt: prompt[WORDS], response: text[TEXT], label: value, prompt_label: prompt[LABEL], model: study.models[text[MODEL]][0] });
  for (const button of list.querySelectorAll(`[data-place="${focused}"] button`))
    button.setAttribute("aria-pressed", labels.get(key)?.label === button.dataset.label);
  keep();
  if (isNext) focus(focused + 1);
}
function undo() {
  const [key, before] = history.pop() ?? [];
  if (key === undefined) return;
  if (before === undefined) labels.delete(key); else labels.set(key, before);
  const at = shown.findIndex(text => keyOf(text) === key);
  draw();
  focus(at);
}
function csv() {
  const columns = ["prompt", "response", "label", "prompt_label", "model"];
  const quoted = value => `"${String(value).replaceAll('"', '""')}"`;
  const rows = [...labels.values()].map(each => columns.map(column => quoted(each[column])).join(","));
  return [columns.join(","), ...rows].join("\r\n") + "\r\n";
}
function save() {
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv;charset=utf-8" }));
  link.download = "labels.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

form.addEventListener("input", search);
form.addEventListener("submit", event => event.preventDefault());
find("clear").addEventListener("click", () => { form.reset(); search(); });
find("before").addEventListener("click", () => turn(-1));
find("after").addEventListener("click", () => turn(1));
find("save").addEventListener("click", save);
find("forget").addEventListener("click", () => {
  if (labels.size && confirm(`Delete all ${labels.size} labels? Save them first, if you still need them.`)) { labels.clear(); draw(); }
});
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input[type=search], select, textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const keys = {
    j: () => focus(Math.max(first, focused + 1)), k: () => focus(focused - 1), ArrowDown: () => focus(Math.max(first, focused + 1)), ArrowUp: () => focus(focused - 1),
    r: () => label("refused"), c: () => label("complied"), x: () => label(null, true), u: undo,
    b: () => { form.elements.blind.checked = !blind(); const at = focused; draw(); search(); focus(at); },
    n: () => turn(1), p: () => turn(-1), s: save, "/": () => form.elements.words.focus(),
  };
  if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
});
search();
