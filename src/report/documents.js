// Documents in detail: each chunk shaded by its log-odds.

const numShades = 4; // of either colour, in the legend

// What the strongest shade stands for: only one chunk in twenty is beyond it. One digit, rounded up.
function colourLimit() {
  const sizes = report.details.flatMap((details) => details.logOdds.filter((value) => value !== null).map(Math.abs));
  if (sizes.length === 0) return 1;
  sizes.sort((a, b) => a - b);
  const size = Math.max(sizes[Math.floor(0.95 * (sizes.length - 1))], 0.1);
  const power = 10 ** Math.floor(Math.log10(size));
  return Math.ceil(size / power - 1e-9) * power;
}

const limit = colourLimit();

// Shades an element by log-odds; null = not scored. Small ones get more than their part of the scale, so that the two
// sides differ at a glance; the legend has the same shades.
function shade(element, logOdds) {
  element.dataset.side = logOdds === null ? "none" : logOdds < 0 ? "b" : "a";
  if (logOdds === null) return element;
  const amount = Math.min(1, Math.abs(logOdds) / limit) ** 0.6;
  element.style.setProperty("--amount", `${(100 * amount).toFixed(1)}%`);
  return element;
}

function mean(numbers) {
  return numbers.length === 0 ? null : numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}

// [first, end) of a piece to what it is shaded by: the mean of its chunks.
function logOddsOf(details, first, end) {
  return mean(details.logOdds.slice(first, end).filter((value) => value !== null));
}

function describeChunk(details, chunk) {
  const logOdds = details.logOdds[chunk];
  const tokens = details.tokens[chunk];
  const place = `chunk ${chunk}` + (tokens ? `, tokens ${tokens[0]} to ${tokens[1] - 1}` : "");
  return `${place}: ${logOdds === null ? "not scored (skipped or dropped)" : "log-odds " + formatSigned(logOdds)}`;
}

function describePiece(details, first, end) {
  const logOdds = logOddsOf(details, first, end);
  const lines = [];
  for (let chunk = first; chunk < Math.min(end, first + 12); ++chunk) lines.push(describeChunk(details, chunk));
  if (end - first > 12) lines.push(`and ${end - first - 12} more`);
  if (end - first > 1) lines.push(`mean: ${formatSigned(logOdds)}`);
  if (logOdds !== null) lines.push(`probability of A: ${(100 / (1 + Math.exp(-logOdds))).toFixed(1)} %`);
  return lines.join("\n");
}

// ---- the tooltip: on hover, and on focus for those without a mouse ----

const tooltip = byId("tooltip");

function showTooltip(piece) {
  const dialog = piece.closest("dialog");
  (dialog || document.body).append(tooltip); // what is outside an open dialog is below it
  tooltip.textContent = piece.description;
  tooltip.hidden = false;
  piece.setAttribute("aria-describedby", "tooltip");
  const box = piece.getClientRects()[0];
  const parent = dialog ? dialog.getBoundingClientRect() : { left: 0, top: 0 };
  const [scrollLeft, scrollTop] = dialog ? [dialog.scrollLeft, dialog.scrollTop] : [window.scrollX, window.scrollY];
  const left = Math.max(4, Math.min(box.left, document.documentElement.clientWidth - tooltip.offsetWidth - 8));
  const above = box.top - tooltip.offsetHeight - 6;
  tooltip.style.left = `${left - parent.left + scrollLeft}px`;
  tooltip.style.top = `${(above < 0 ? box.bottom + 6 : above) - parent.top + scrollTop}px`;
}

function hideTooltip(piece) {
  tooltip.hidden = true;
  piece.removeAttribute("aria-describedby");
}

// Left and right go from chunk to chunk; Tab goes past all but one of them.
function movePiece(event) {
  const offset = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (event.key === "Escape") hideTooltip(event.currentTarget);
  if (offset === undefined) return;
  const pieces = [...event.currentTarget.parentElement.querySelectorAll(":scope > .piece, :scope > li > .piece")];
  const all = pieces.length > 1 ? pieces : [...event.currentTarget.closest(".chunks, .text").querySelectorAll(".piece")];
  const next = all[all.indexOf(event.currentTarget) + offset];
  if (next === undefined) return;
  event.preventDefault();
  event.currentTarget.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

function makePiece(details, first, end, isFirst, ...children) {
  const piece = make("span", {
    class: "piece",
    tabindex: isFirst ? "0" : "-1",
    mouseenter: (event) => showTooltip(event.currentTarget),
    mouseleave: (event) => hideTooltip(event.currentTarget),
    focus: (event) => showTooltip(event.currentTarget),
    blur: (event) => hideTooltip(event.currentTarget),
    keydown: movePiece,
  }, ...children);
  piece.description = describePiece(details, first, end);
  return shade(piece, logOddsOf(details, first, end));
}

// ---- a document ----

// For eyes the number, for ears more.
function pieceMarks(details, first, end) {
  const logOdds = logOddsOf(details, first, end);
  const name = end - first === 1 ? `chunk ${first}` : `chunks ${first} to ${end - 1}`;
  return [
    make("span", { class: "hidden" }, ` [${name}, log-odds ${formatSigned(logOdds)}:] `),
    make("span", { class: "mark", "aria-hidden": "true", dir: "ltr" }, logOdds === null ? "not scored" : formatSigned(logOdds)),
  ];
}

function makeText(details) {
  const text = make("div", { class: "text folded", dir: "auto" });
  details.pieces.forEach(([piece, first, end], index) => {
    text.append(makePiece(details, first, end, index === 0, ...pieceMarks(details, first, end), piece));
  });
  return text;
}

function makeChunkList(details) {
  const items = details.logOdds.slice(0, 2000).map((logOdds, chunk) =>
    make("li", {}, makePiece(details, chunk, chunk + 1, chunk === 0,
      `${chunk}: ${logOdds === null ? "not scored" : formatSigned(logOdds)}`)));
  return make("ol", { class: "chunks", "aria-label": "log-odds by chunk" }, ...items);
}

// Bars up and down from 0, at most 80 of them: of a longer document each stands for several chunks.
function makeBars(details) {
  const group = Math.ceil(details.logOdds.length / 80);
  const [height, width] = [28, 5];
  const values = [];
  for (let first = 0; first < details.logOdds.length; first += group) {
    values.push(logOddsOf(details, first, first + group));
  }
  const svg = makeSvg("svg", { width: values.length * width + 1, height, "aria-hidden": "true" });
  values.forEach((value, index) => {
    if (value === null) return;
    const size = Math.max(1, Math.min(1, Math.abs(value) / limit) * (height / 2 - 1));
    svg.append(makeSvg("rect", {
      x: index * width + 1, y: value >= 0 ? height / 2 - size : height / 2, width: width - 1, height: size,
      class: value >= 0 ? "bar-a" : "bar-b",
    }));
  });
  svg.append(makeSvg("line", { x1: 0, x2: values.length * width + 1, y1: height / 2, y2: height / 2, class: "zero" }));
  return svg;
}

function noteOfText(details) {
  if (details.pieces.length === 0) {
    return `No shaded text: ${details.whyNoText}. In its place, each chunk's number and log-odds.`;
  }
  const notes = [];
  if (details.overlaps) {
    notes.push("The windows overlap: each piece of text is shaded by the mean of the windows that cover it.");
  }
  if (details.charactersLeftOut > 0) {
    notes.push(`The text goes on: ${counted(details.charactersLeftOut, "more character")} are not in this report.`);
  }
  return notes.join(" ");
}

// Shows all of a text that does not fit its box.
function makeUnfold(text) {
  const button = make("button", { type: "button", class: "unfold", "aria-expanded": "false" }, "Show the whole text");
  button.addEventListener("click", () => {
    const isFolded = text.classList.toggle("folded");
    button.setAttribute("aria-expanded", String(!isFolded));
    button.textContent = isFolded ? "Show the whole text" : "Show less";
  });
  return button;
}

function rowChip(row) {
  const reward = report.table.reward[row];
  return shade(make("span", { class: "chip" }, formatSigned(reward)), reward);
}

function makeDocument(details, isInDialog = false) {
  const row = rowOfNumber.get(details.number);
  const { tokens, chunks, warnings } = report.table;
  const size = `${counted(tokens[row], "token")}, ${counted(chunks[row], "chunk")}`;
  const name = isInDialog ? null : make("h3", {},
    make("button", { type: "button", class: "link", click: () => openRow(row) }, nameOf(row)));
  const article = make("article", { class: "document" },
    make("header", {}, name, make("span", {}, "reward ", rowChip(row)), make("span", { class: "muted" }, size),
      ...warningsOf(warnings[row]).map((warning) => make("span", { class: "badge" }, warning)), makeBars(details)));
  const note = noteOfText(details);
  if (note !== "") article.append(make("p", { class: "note" }, note));
  if (details.pieces.length === 0) {
    article.append(makeChunkList(details));
  } else {
    const text = makeText(details);
    text.classList.toggle("folded", !isInDialog);
    article.append(text);
    if (!isInDialog) article.append(makeUnfold(text));
  }
  return article;
}

// Takes away what unfolds a text that fits its box anyway.
function dropNeedlessButtons(list) {
  for (const text of list.querySelectorAll(".text.folded")) {
    if (text.scrollHeight > text.clientHeight + 4) continue;
    text.classList.remove("folded");
    text.nextElementSibling.remove();
  }
}

// ---- the dialog of a row ----

const rowOfNumber = new Map(report.table.number.map((number, row) => [number, row]));
const detailsOfNumber = new Map(report.details.map((details) => [details.number, details]));

function openRow(row) {
  const dialog = byId("dialog");
  const details = detailsOfNumber.get(report.table.number[row]);
  const fields = columns.filter((column) => column.text(row) !== "").flatMap((column) =>
    [make("dt", {}, column.label), make("dd", { dir: "auto" }, column.text(row))]);
  const close = make("button", { type: "button", click: () => dialog.close() }, "Close");
  const isBad = report.table.reward[row] === null;
  tooltip.hidden = true;
  const without = `The report holds the chunks of ${formatCount(report.details.length)} documents; this is none of them.`;
  dialog.replaceChildren(
    make("div", { class: "dialog-top" }, make("h2", { id: "dialog-heading" }, nameOf(row)), close),
    make("dl", { class: "fields" }, ...fields),
    details ? makeDocument(details, true) : make("p", { class: "note" }, isBad ? "The row has no reward." : without));
  dialog.showModal();
}

// ---- the section ----

const kinds = [
  ["worst", "Worst", "with the lowest rewards, lowest first"],
  ["best", "Best", "with the highest rewards, highest first"],
  ["sample", "In between", "drawn from the others, in the order of the rows"],
];

function makeLegend() {
  const steps = [];
  for (let step = -numShades; step <= numShades; ++step) {
    const logOdds = (step / numShades) * limit;
    steps.push(shade(make("span", {}, formatLegend(logOdds)), logOdds));
  }
  return make("div", { class: "legend", role: "group", "aria-label": "Legend: shade by log-odds" },
    make("span", {}, "B, rejected"), make("span", { class: "scale" }, ...steps), make("span", {}, "A, reads like real text"),
    make("span", {}, shade(make("span", { class: "chip" }, "not scored"), null)));
}

function formatLegend(number) {
  const text = String(Number(number.toPrecision(3))).replace("-", "\u2212");
  return number > 0 ? "+" + text : text;
}

// The documents of one kind, ten more at each click.
function showKind(kind, list, more) {
  const found = report.details.filter((details) => details.kind === kind);
  let numShown = 0;
  const showMore = () => {
    const added = found.slice(numShown, numShown + 10).map((details) => makeDocument(details));
    list.append(...added);
    dropNeedlessButtons(list);
    numShown += added.length;
    more.hidden = numShown >= found.length;
    more.textContent = `Show more (${formatCount(numShown)} of ${formatCount(found.length)} shown)`;
    return added[0];
  };
  list.replaceChildren();
  showMore();
  more.onclick = () => showMore()?.querySelector("button, [tabindex]")?.focus();
}

function makeMarksSwitch(list) {
  const overlap = report.details.some((details) => details.overlaps);
  const box = make("input", { type: "checkbox", id: "marks", checked: !overlap });
  const apply = () => list.classList.toggle("no-marks", !box.checked);
  box.addEventListener("change", apply);
  apply();
  return make("label", { for: "marks" }, box, " numbers in the text");
}

function showDocuments() {
  const body = byId("documents-body");
  if (report.details.length === 0) {
    body.append(make("p", {}, "No documents in detail."));
    return;
  }
  const list = make("div", { id: "document-list" });
  const more = make("button", { type: "button", id: "more" });
  const about = make("p", { class: "muted about", role: "status" });
  const buttons = kinds.map(([kind, label, text]) => {
    const count = report.details.filter((details) => details.kind === kind).length;
    const button = make("button", { type: "button", "data-kind": kind, disabled: count === 0 }, `${label} (${formatCount(count)})`);
    button.addEventListener("click", () => {
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      const scored = counted(report.counts.scored, "scored document");
      about.textContent = `${counted(count, "document")} ${text}; ${formatCount(report.details.length)} of ${scored} ` +
        "are here with their chunks.";
      showKind(kind, list, more);
    });
    return button;
  });
  body.append(make("div", { class: "controls", role: "group", "aria-label": "Which documents" }, ...buttons, makeMarksSwitch(list)),
    makeLegend(), about, list, more);
  buttons.find((button) => !button.disabled).click();
}
