// The charts, drawn by Chart.js; each with a sentence and a table of its numbers for those who do not see it.

const charts = [];

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
}

function axis(title, more = {}) {
  return {
    title: { display: true, text: title, color: colour("muted") },
    ticks: { color: colour("muted"), maxRotation: 0, includeBounds: false },
    grid: { color: colour("line"), borderColor: colour("edge") },
    ...more,
  };
}

// A chart whose configuration is made anew for every theme.
function addChart({ title, caption, description, table, configure }) {
  const canvas = make("canvas", { role: "img", "aria-label": description });
  const figure = make("figure", {}, make("figcaption", {}, title, make("small", {}, caption)),
    make("div", { class: "plot" }, canvas), table);
  byId("charts").append(figure);
  charts.push({ canvas, configure, chart: null });
}

function drawCharts() {
  for (const entry of charts) {
    entry.chart?.destroy();
    const configuration = entry.configure();
    configuration.options = {
      animation: false, responsive: true, maintainAspectRatio: false, ...configuration.options,
    };
    entry.chart = new Chart(entry.canvas, configuration);
  }
}

function legendOptions(isShown) {
  return { display: isShown, labels: { color: colour("ink"), boxWidth: 14, filter: (item) => item.text !== "" } };
}

// ---- rewards ----

let matching = null; // rows that the search and the filters leave; null = all

function binOf(reward) {
  const { begin, width, counts } = report.histogram;
  return Math.min(counts.length - 1, Math.max(0, Math.floor((reward - begin) / width)));
}

function matchingCounts() {
  const counts = report.histogram.counts.map(() => 0);
  for (const row of matching) {
    const reward = report.table.reward[row];
    if (reward !== null) ++counts[binOf(reward)];
  }
  return counts;
}

function binEdge(bin) {
  return Number((report.histogram.begin + bin * report.histogram.width).toPrecision(12));
}

function configureRewards() {
  const { counts, width } = report.histogram;
  const bars = (label, data, name) => ({
    label, data: data.map((count, bin) => ({ x: binEdge(bin) + width / 2, y: count })),
    backgroundColor: colour(name), barPercentage: 1, categoryPercentage: 0.94, grouped: false,
  });
  const datasets = [bars("all rows", counts, matching === null ? "series" : "line")];
  if (matching !== null) datasets.unshift(bars("matching rows of the table", matchingCounts(), "series"));
  return {
    type: "bar",
    data: { datasets },
    options: {
      scales: {
        x: axis("reward (mean log-odds)", { type: "linear", offset: false, min: binEdge(0), max: binEdge(counts.length) }),
        y: axis("documents", { beginAtZero: true, ticks: { precision: 0, color: colour("muted") } }),
      },
      plugins: {
        legend: legendOptions(matching !== null),
        tooltip: {
          callbacks: {
            title: ([item]) => `reward ${formatNumber(binEdge(item.dataIndex))} to ${formatNumber(binEdge(item.dataIndex + 1))}`,
            label: (item) => `${item.dataset.label}: ${formatCount(item.parsed.y)}`,
          },
        },
      },
    },
  };
}

function addRewards() {
  const { median, low, high, least, most } = report.summary;
  addChart({
    title: "Distribution of rewards",
    caption: `Half of the documents are below ${formatNumber(median)}; nine in ten lie between ${formatNumber(low)} and ${formatNumber(high)}.`,
    description: `Histogram of ${counted(report.counts.scored, "reward")} from ${formatNumber(least)} to ` +
      `${formatNumber(most)}, median ${formatNumber(median)}. The numbers are in the table below the chart.`,
    table: numbersTable("Distribution of rewards", ["reward from", "to", "documents"], () =>
      report.histogram.counts.map((count, bin) =>
        [formatNumber(binEdge(bin)), formatNumber(binEdge(bin + 1)), formatCount(count)])),
    configure: configureRewards,
  });
}

// ---- length ----

const maxPoints = 1500;

// Every so many-th of the rows that match, with a step that no pattern of the rows is likely to have.
function pointRows() {
  const rows = (matching ?? [...Array(numRows).keys()]).filter((row) => report.table.reward[row] !== null);
  if (rows.length <= maxPoints) return rows;
  const chosen = [];
  for (let i = 0; i < maxPoints; ++i) chosen.push(rows[Math.floor((i * 0.6180339887 * rows.length) % rows.length)]);
  return [...new Set(chosen)];
}

function bandLine(label, bins, x, y, more) {
  return {
    type: "line", label, data: bins.map((bin) => ({ x: x(bin), y: y(bin) })), borderWidth: 0, pointRadius: 0,
    pointHitRadius: 0, ...more,
  };
}

function configureLengths() {
  const rows = pointRows();
  const bins = report.lengths;
  const x = (bin) => bin.middle;
  const datasets = [
    bandLine("median", bins, x, (bin) => bin.median,
      { borderColor: colour("second"), backgroundColor: colour("second"), borderWidth: 2.5, pointRadius: bins.length > 10 ? 2 : 3, pointHitRadius: 6 }),
    bandLine("middle half", bins, x, (bin) => bin.high, { backgroundColor: colour("band"), fill: "+1" }),
    bandLine("", bins, x, (bin) => bin.low, {}),
    {
      label: "document", data: rows.map((row) => ({ x: report.table.tokens[row], y: report.table.reward[row], row })),
      pointRadius: rows.length > 300 ? 2 : 3.5, pointHoverRadius: 6, backgroundColor: colour("series") + "99",
      borderColor: colour("series"), borderWidth: rows.length > 300 ? 0 : 1,
    },
  ];
  const isWide = bins[bins.length - 1].to > 30 * Math.max(1, bins[0].from);
  return {
    type: "scatter",
    data: { datasets },
    options: {
      scales: { x: axis("tokens", { type: isWide ? "logarithmic" : "linear" }), y: axis("reward") },
      onClick: (event, items) => {
        const row = items.map((item) => datasets[item.datasetIndex].data[item.index].row).find((found) => found !== undefined);
        if (row !== undefined) openRow(row);
      },
      plugins: { legend: legendOptions(true), tooltip: { callbacks: { label: describePoint } } },
    },
  };
}

function describePoint(item) {
  const name = item.raw.row === undefined ? item.dataset.label : nameOf(item.raw.row);
  return `${name}: ${counted(item.parsed.x, "token")}, ${formatSigned(item.parsed.y)}`;
}

function addLengths() {
  const correlation = report.lengthCorrelation === null ? "undefined" : formatNumber(report.lengthCorrelation);
  addChart({
    title: "Reward against length",
    caption: `Rank correlation (Spearman) ${correlation}. ` + (report.counts.scored > maxPoints ?
      `Points: a part of the documents; lines: all ${formatCount(report.counts.scored)}.` :
      "A click on a point opens the document."),
    description: `Rewards against the number of tokens, rank correlation ${correlation}. The numbers are in the table ` +
      "below the chart.",
    table: numbersTable("Reward against length", ["tokens from", "to", "documents", "lower quarter", "median", "upper quarter"],
      () => report.lengths.map((bin) => [formatCount(bin.from), formatCount(bin.to), formatCount(bin.count),
        formatNumber(bin.low), formatNumber(bin.median), formatNumber(bin.high)])),
    configure: configureLengths,
  });
}

// ---- position ----

function positionName(bin) {
  return bin.first === bin.last ? `chunk ${bin.first}` : `chunks ${bin.first} to ${bin.last}`;
}

function configurePositions() {
  const bins = report.positions.filter((bin) => bin.count > 0);
  const x = (bin) => (bin.first + bin.last) / 2;
  const radius = bins.length > 40 ? 0 : 3;
  const datasets = [
    bandLine("mean", bins, x, (bin) => bin.mean,
      { borderColor: colour("series"), backgroundColor: colour("series"), borderWidth: 2.5, pointRadius: radius, pointHitRadius: 8 }),
    bandLine("one standard deviation", bins, x, (bin) => bin.mean + bin.deviation,
      { backgroundColor: colour("band"), fill: "+1" }),
    bandLine("", bins, x, (bin) => bin.mean - bin.deviation, {}),
  ];
  return {
    type: "scatter",
    data: { datasets },
    options: {
      scales: {
        x: axis("chunk (0 is the first)", { ticks: { precision: 0, color: colour("muted") } }),
        y: axis("log-odds"),
      },
      plugins: {
        legend: legendOptions(true),
        tooltip: {
          callbacks: {
            label: (item) => {
              const bin = bins[item.dataIndex];
              return `${positionName(bin)}: mean ${formatSigned(bin.mean)} \u00b1 ${formatNumber(bin.deviation)}, ` +
                counted(bin.count, "chunk");
            },
          },
        },
      },
    },
  };
}

function addPositions() {
  const last = report.positions.length === 0 ? -1 : report.positions[report.positions.length - 1].last;
  const numLeftOut = report.numPositions - last - 1;
  addChart({
    title: "Log-odds against position",
    caption: "Mean of the chunks at each place in their documents." + (numLeftOut > 0 ?
      ` Left out: places from ${formatCount(last + 1)} on, which fewer than one document in a hundred reaches.` : ""),
    description: "Mean log-odds by the chunk's place in its document, with the standard deviation. The numbers are in the " +
      "table below the chart.",
    table: numbersTable("Log-odds against position", ["chunk", "mean", "standard deviation", "chunks"], () =>
      report.positions.map((bin) => [bin.first === bin.last ? String(bin.first) : `${bin.first}\u2013${bin.last}`,
        formatNumber(bin.count > 0 ? bin.mean : null), formatNumber(bin.count > 0 ? bin.deviation : null), formatCount(bin.count)])),
    configure: configurePositions,
  });
}

function showCharts() {
  if (report.counts.scored === 0) {
    byId("charts").append(make("p", {}, "No row has a reward, so there is nothing to draw."));
    return;
  }
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  addRewards();
  addLengths();
  addPositions();
}

// Called with the rows that the search and the filters leave, null if there is no search and no filter.
function showMatching(rows) {
  if (rows === null && matching === null) return;
  matching = rows;
  drawCharts();
}
