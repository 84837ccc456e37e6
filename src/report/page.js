// Puts the page together.

function tile(name, value, small = "") {
  return make("div", {}, make("dt", {}, name), make("dd", {}, value, small === "" ? null : make("small", {}, small)));
}

function showSummary() {
  const { counts, summary } = report;
  const bad = counts.bad === 0 ? "none without a reward" : `${formatCount(counts.bad)} without a reward`;
  byId("summary").append(tile("rows", formatCount(counts.scored + counts.bad), bad));
  if (summary !== null) {
    byId("summary").append(
      tile("mean reward", formatSigned(summary.mean), `standard deviation ${formatNumber(summary.deviation)}`),
      tile("median reward", formatSigned(summary.median), `from ${formatSigned(summary.least)} to ${formatSigned(summary.most)}`));
  }
  byId("summary").append(tile("chunks", formatCount(counts.chunks)), tile("tokens", formatCount(counts.tokens)));
  counts.warnings.forEach((count, index) => {
    if (count > 0) byId("summary").append(tile(warningNames[index], formatCount(count), "rows with this warning"));
  });
}

// Why documents are shown without their text, once for reasons that differ in their numbers at most (lines, bytes).
function showNotes() {
  const without = report.details.filter((details) => details.pieces.length === 0);
  if (without.length === 0) return;
  const reasons = new Map();
  for (const { whyNoText } of without) {
    const kind = whyNoText.replace(/\d+/g, "");
    const { reason, count, isOnly } = reasons.get(kind) ?? { reason: whyNoText, count: 0, isOnly: true };
    reasons.set(kind, { reason, count: count + 1, isOnly: isOnly && whyNoText === reason });
  }
  const hints = {
    "the row has no spans": "score with --spans to see the text shaded",
    "its text is not in the rows, and no file of documents was given": "give the scored documents with --docs, or score with --keep-all",
  };
  for (const { reason, count, isOnly } of [...reasons.values()].slice(0, 3)) {
    const hint = hints[reason] ? ` (${hints[reason]})` : "";
    const because = isOnly ? "" : ", for reasons such as";
    byId("notes").append(make("li", {}, `${formatCount(count)} of ${counted(report.details.length, "document")} without shaded text${because}: ${reason}${hint}.`));
  }
  if (reasons.size > 3) byId("notes").append(make("li", {}, "Others say why at their place."));
}

// ---- light and dark: as the system says, until the button is used; print is always light ----

const systemTheme = window.matchMedia("(prefers-color-scheme: dark)");
let chosenTheme = null;

function applyTheme(theme) {
  document.documentElement.dataset.theme = theme;
  byId("theme").textContent = theme === "dark" ? "Light colours" : "Dark colours";
  drawCharts();
}

function currentTheme() {
  return chosenTheme ?? (systemTheme.matches ? "dark" : "light");
}

function startThemes() {
  byId("theme").hidden = false;
  byId("theme").addEventListener("click", () => {
    chosenTheme = currentTheme() === "dark" ? "light" : "dark";
    applyTheme(chosenTheme);
  });
  systemTheme.addEventListener("change", () => applyTheme(currentTheme()));
  window.addEventListener("beforeprint", () => applyTheme("light"));
  window.addEventListener("afterprint", () => applyTheme(currentTheme()));
  applyTheme(currentTheme());
}

showSummary();
showNotes();
showCharts();
showDocuments();
showTable();
showBadRows();
startThemes();
