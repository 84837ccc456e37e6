// All rows: search, filters, order, pages.

const rowsPerPage = 50;
const view = { words: "", filters: [], sorted: null, isDescending: false, page: 0, rows: [] };

function headerCell(column) {
  const isSorted = view.sorted === column;
  const order = isSorted ? (view.isDescending ? "descending" : "ascending") : "none";
  const arrow = isSorted ? (view.isDescending ? " \u25bc" : " \u25b2") : "";
  const button = make("button", { type: "button", "data-sort": column.key, click: () => sortBy(column) }, column.label,
    make("span", { "aria-hidden": "true" }, arrow));
  return make("th", { scope: "col", class: column.isNumber ? "number" : "", "aria-sort": order }, button);
}

// First click: numbers from the largest, text from A; second: the other way round; third: the order of the file.
function sortBy(column) {
  const firstIsDescending = column.isNumber;
  if (view.sorted !== column) {
    view.sorted = column;
    view.isDescending = firstIsDescending;
  } else if (view.isDescending === firstIsDescending) {
    view.isDescending = !firstIsDescending;
  } else {
    view.sorted = null;
  }
  refreshRows(false);
  byId("table").querySelector(`[data-sort="${CSS.escape(column.key)}"]`).focus();
}

function cellContents(column, row) {
  if (column.key === "reward" && report.table.reward[row] !== null) return rowChip(row);
  const isName = column === columns[0];
  if (!isName) return column.text(row);
  return make("button", { type: "button", class: "link", click: () => openRow(row) }, column.key === "id" ? nameOf(row) : column.text(row));
}

function showPage() {
  const begin = view.page * rowsPerPage;
  const shown = view.rows.slice(begin, begin + rowsPerPage);
  const head = make("tr", {}, ...columns.map(headerCell));
  const body = shown.map((row) => make("tr", {}, ...columns.map((column) =>
    make("td", { class: column.isNumber ? "number" : "", dir: column.isNumber ? false : "auto" }, cellContents(column, row)))));
  const table = make("table", {}, make("caption", { class: "hidden" }, "Rows; the buttons in the headings sort them"),
    make("thead", {}, head), make("tbody", {}, ...body));
  byId("table").replaceChildren(table);
  const numPages = Math.max(1, Math.ceil(view.rows.length / rowsPerPage));
  byId("previous").disabled = view.page === 0;
  byId("next").disabled = view.page >= numPages - 1;
  byId("page").textContent = `page ${formatCount(view.page + 1)} of ${formatCount(numPages)}`;
}

function isNarrowed() {
  return view.words.trim() !== "" || view.filters.some((filter) => makePredicate(filter) !== null);
}

// `isNewChoice`: search or filters have changed, not only the order.
function refreshRows(isNewChoice) {
  const rows = matchingRows(view.words, view.filters);
  view.rows = view.sorted === null ? rows : sortRows(rows, view.sorted, view.isDescending);
  view.page = 0;
  showPage();
  const order = view.sorted === null ? "" : `, sorted by ${view.sorted.label}, ${view.isDescending ? "descending" : "ascending"}`;
  byId("found").textContent = isNarrowed() ? `${formatCount(rows.length)} of ${counted(numRows, "row")} match${order}` :
    counted(numRows, "row") + order;
  if (isNewChoice) showMatching(isNarrowed() ? view.rows : null);
}

// Once the typing pauses.
let waiting = 0;
function refreshSoon() {
  clearTimeout(waiting);
  waiting = setTimeout(() => refreshRows(true), 150);
}

function turnPage(offset) {
  view.page += offset;
  showPage();
  byId("table").scrollTop = 0;
}

// ---- filters ----

function option(value, label = value) {
  return make("option", { value }, label);
}

function addFilter(list) {
  const filter = { column: columnOf("reward"), test: "\u2265", value: "" };
  const tests = make("select", { "aria-label": "Condition" });
  const value = make("input", { type: "text", "aria-label": "Value" });
  const column = make("select", { "aria-label": "Field" }, ...columns.map(({ key, label }) => option(key, label)));
  const chooseColumn = () => {
    filter.column = columnOf(column.value);
    tests.replaceChildren(...Object.keys(testsOf(filter.column)).map((test) => option(test)));
    filter.test = tests.value;
    value.inputMode = filter.column.isNumber ? "decimal" : "text";
  };
  column.value = filter.column.key;
  chooseColumn();
  column.addEventListener("change", () => { chooseColumn(); refreshRows(true); });
  tests.addEventListener("change", () => { filter.test = tests.value; refreshRows(true); });
  value.addEventListener("input", () => { filter.value = value.value; refreshSoon(); });
  const remove = make("button", { type: "button", "aria-label": "Remove this filter" }, "\u00d7");
  const group = make("span", { class: "filter", role: "group", "aria-label": "Filter" }, column, tests, value, remove);
  remove.addEventListener("click", () => {
    view.filters.splice(view.filters.indexOf(filter), 1);
    group.remove();
    refreshRows(true);
    byId("add-filter").focus();
  });
  view.filters.push(filter);
  list.append(group);
  column.focus();
}

// ---- the section ----

function notesOfTable() {
  const notes = [];
  const numAll = report.counts.scored + report.counts.bad;
  if (numRows < numAll) {
    notes.push(`The table has ${formatCount(numRows)} of ${counted(numAll, "row")}, drawn at random, those in detail among ` +
      "them. The numbers and charts above are of all.");
  }
  const leftOut = report.table.columnsLeftOut;
  if (leftOut.length > 0) notes.push(`Fields that the table leaves out, for their number or size: ${leftOut.join(", ")}.`);
  return notes.map((note) => make("p", { class: "note" }, note));
}

function showTable() {
  const search = make("input", { type: "search", id: "search", placeholder: "Search all fields", "aria-label": "Search all fields" });
  search.addEventListener("input", () => { view.words = search.value; refreshSoon(); });
  const filters = make("span", { class: "filters" });
  const add = make("button", { type: "button", id: "add-filter", click: () => addFilter(filters) }, "Add a filter");
  const pager = make("div", { class: "controls", role: "group", "aria-label": "Pages" },
    make("button", { type: "button", id: "previous", click: () => turnPage(-1) }, "Previous"),
    make("span", { id: "page" }),
    make("button", { type: "button", id: "next", click: () => turnPage(1) }, "Next"));
  byId("rows-body").append(...notesOfTable(),
    make("div", { class: "controls", role: "search" }, search, filters, add),
    make("p", { id: "found", role: "status", class: "muted" }),
    make("div", { id: "table", class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of rows" }), pager);
  refreshRows(false);
}

// ---- rows without a reward ----

// How often each error stands in the table, most frequent first.
function errorsByCount() {
  const counts = new Map();
  for (const { error } of report.badRows) counts.set(error, (counts.get(error) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}

function simpleTable(caption, heads, rows) {
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    make("table", {}, make("caption", { class: "hidden" }, caption),
      make("thead", {}, make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)))),
      make("tbody", {}, ...rows.map((cells) => make("tr", {}, ...cells.map((text) => make("td", { dir: "auto" }, text)))))));
}

function showBadRows() {
  if (report.counts.bad === 0) return;
  byId("bad").hidden = false;
  const isPart = report.badRows.length < report.counts.bad;
  const errors = errorsByCount();
  const text = `${counted(report.counts.bad, "row")} could not be scored` +
    (isPart ? `; these are the first ${formatCount(report.badRows.length)}.` : ".");
  const list = simpleTable("Rows without a reward", ["line", "file", "id", "error"], report.badRows.map((row) =>
    [String(row.line), row.file || (report.sources.length > 1 ? report.sources[row.source] : ""), row.id, row.error]));
  byId("bad-body").append(make("p", {}, text));
  if (errors.length < report.badRows.length) {
    byId("bad-body").append(simpleTable("Errors by their number", ["rows", "error"],
      errors.slice(0, 20).map(([error, count]) => [formatCount(count), error])));
  }
  byId("bad-body").append(make("details", { open: report.badRows.length <= 20 }, make("summary", {}, "The rows"), list));
}
