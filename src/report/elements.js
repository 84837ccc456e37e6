"use strict";

// Elements and numbers. Text of rows and documents comes to the page as text nodes and attribute values only, never as
// HTML: everything here is made by make().

const report = JSON.parse(document.getElementById("data").textContent);

// An element; attributes that are functions are listeners, those that are false, null or undefined are left out.
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") {
      element.addEventListener(key, value);
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(key, value === true ? "" : value);
    }
  }
  element.append(...children.filter((child) => child !== null && child !== undefined)
    .map((child) => typeof child === "string" ? visible(child) : child));
  return element;
}

// Text with its marks that turn the direction of writing spelt out: what is shown is to be what was judged.
function visible(text) {
  return text.replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (mark) => "\\u" + mark.charCodeAt(0).toString(16).padStart(4, "0"));
}

function makeSvg(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function byId(id) {
  return document.getElementById(id);
}

const countFormat = new Intl.NumberFormat("en-US");

function formatCount(count) {
  return countFormat.format(count);
}

// "1 row", "2 rows".
function counted(count, one, many = one + "s") {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

// Three decimals, or as many digits as tell something, with a minus sign as long as a plus.
function formatNumber(number) {
  if (number === null || Number.isNaN(number)) return "\u2013";
  const size = Math.abs(number);
  const text = size !== 0 && (size < 0.001 || size >= 1e6) ? number.toPrecision(3) : number.toFixed(size < 100 ? 3 : 1);
  return text.replace("-", "\u2212");
}

function formatSigned(number) {
  if (number === null) return "\u2013";
  const text = formatNumber(number);
  return number > 0 ? "+" + text : text;
}

// A table of numbers behind a chart, made when it is opened first.
function numbersTable(caption, heads, makeRows) {
  const box = make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption });
  const details = make("details", {}, make("summary", {}, "Numbers of this chart"), box);
  details.addEventListener("toggle", () => {
    if (box.childElementCount > 0) return;
    const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col", class: "number" }, text)));
    const rows = makeRows().map((cells) =>
      make("tr", {}, ...cells.map((text) => make("td", { class: "number" }, text))));
    box.append(make("table", {}, make("caption", { class: "hidden" }, caption), make("thead", {}, head),
      make("tbody", {}, ...rows)));
  });
  return details;
}
