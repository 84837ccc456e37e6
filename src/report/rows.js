// The rows of the table, column by column: their values, search, filters and order.

const numRows = report.table.number.length;
const warningNames = ["special_tokens", "template_markers", "context_cut"];

function warningsOf(bits) {
  return warningNames.filter((name, bit) => (bits >> bit) & 1);
}

function textColumn(key, label, dictionary) {
  return { key, label, isNumber: false, text: (row) => dictionary.values[dictionary.at[row]] };
}

function numberColumn(key, label, values, format) {
  return { key, label, isNumber: true, value: (row) => values[row], text: (row) => format(values[row]) };
}

// A kept field of numbers: shown as it stands in the input, so no digit of it is lost.
function keptColumn(field) {
  const column = textColumn("input." + field.name, field.name, field);
  if (!field.isNumber) return column;
  const values = field.values.map((text) => (text === "" ? null : Number(text)));
  return { ...column, isNumber: true, value: (row) => values[field.at[row]] };
}

function makeColumns() {
  const table = report.table;
  const warnings = { values: [...Array(8).keys()].map((bits) => warningsOf(bits).join(", ")), at: table.warnings };
  const columns = [
    textColumn("id", "id", table.id),
    numberColumn("reward", "reward", table.reward, formatSigned),
    numberColumn("tokens", "tokens", table.tokens, formatCount),
    numberColumn("chunks", "chunks", table.chunks, formatCount),
    numberColumn("line", "line", table.line, String),
    textColumn("file", "file", table.file),
    textColumn("source", "rows from", { values: report.sources, at: table.source }),
    textColumn("warnings", "warnings", warnings),
    textColumn("error", "error", table.error),
    ...table.columns.map(keptColumn),
  ];
  const isEmpty = (column) =>
    (column.key === "file" && table.file.values.join("") === "") ||
    (column.key === "source" && report.sources.length < 2) ||
    (column.key === "id" && table.id.values.join("") === "") ||
    (column.key === "error" && report.counts.bad === 0) ||
    (column.key === "warnings" && table.warnings.every((bits) => bits === 0));
  return columns.filter((column) => !isEmpty(column));
}

const columns = makeColumns();

function columnOf(key) {
  return columns.find((column) => column.key === key);
}

// What a row is called.
function nameOf(row) {
  const id = report.table.id.values[report.table.id.at[row]];
  return id === "" ? `line ${report.table.line[row]}` : id;
}

// Tests of a column's value against what the user has typed.
const numberTests = {
  "\u2265": (value, wanted) => value >= wanted,
  "\u2264": (value, wanted) => value <= wanted,
  "=": (value, wanted) => value === wanted,
};
const textTests = {
  contains: (value, wanted) => value.includes(wanted),
  "does not contain": (value, wanted) => !value.includes(wanted),
  is: (value, wanted) => value === wanted,
};

function testsOf(column) {
  return column.isNumber ? numberTests : textTests;
}

// A filter is {column, test, value}; one without a value, or with what is no number for numbers, passes all.
function makePredicate({ column, test, value }) {
  if (value.trim() === "") return null;
  const holds = testsOf(column)[test];
  if (!column.isNumber) return (row) => holds(column.text(row).toLowerCase(), value.toLowerCase());
  const wanted = Number(value.replace("\u2212", "-").replaceAll(",", ""));
  if (Number.isNaN(wanted)) return null;
  return (row) => column.value(row) !== null && holds(column.value(row), wanted);
}

let searchTexts = null; // of every row: all that is text in it, in lower case; made by the first search

function searchText(row) {
  if (searchTexts === null) {
    const searched = columns.filter((column) => !column.isNumber || column.key.startsWith("input."));
    searchTexts = [];
    for (let i = 0; i < numRows; ++i) {
      searchTexts.push(searched.map((column) => column.text(i)).join("\n").toLowerCase());
    }
  }
  return searchTexts[row];
}

// The rows that hold every word of `words` and pass all filters, in the order of the file.
function matchingRows(words, filters) {
  const wanted = words.toLowerCase().split(/\s+/).filter((word) => word !== "");
  const predicates = filters.map(makePredicate).filter((predicate) => predicate !== null);
  const rows = [];
  for (let row = 0; row < numRows; ++row) {
    if (!predicates.every((holds) => holds(row))) continue;
    if (wanted.length > 0 && !wanted.every((word) => searchText(row).includes(word))) continue;
    rows.push(row);
  }
  return rows;
}

const collator = new Intl.Collator("en", { numeric: true });

// Rows without a value come last in either direction; equal ones stay in the order of the file.
function sortRows(rows, column, isDescending) {
  const sign = isDescending ? -1 : 1;
  const value = column.isNumber ? column.value : column.text;
  const isMissing = (found) => found === null || found === "";
  const keys = new Map(rows.map((row) => [row, value(row)]));
  const compare = column.isNumber ? (a, b) => a - b : collator.compare;
  return rows.sort((a, b) => {
    const [left, right] = [keys.get(a), keys.get(b)];
    if (isMissing(left) || isMissing(right)) return isMissing(left) - isMissing(right) || a - b;
    return sign * compare(left, right) || a - b;
  });
}
