// The cells of a reading that were judged one by one: outlined, counted by type, and the most blast-like ones cut out.

import { el, number, percent, svg } from "./dom.js";
import { has, t } from "./i18n.js";
import { labelName } from "./words.js";

const DARK = "#15151a";
const LIGHT = "#ffffff";

// Okabe and Ito's colours, which people with a colour vision deficiency can tell apart, with black and a grey.
// The letters say the same to everybody.
const KNOWN = {
  blast: ["#d55e00", "Bl"],
  lymphocyte: ["#0072b2", "Ly"],
  monocyte: ["#56b4e9", "Mo"],
  neutrophil: ["#009e73", "Ne"],
  eosinophil: ["#e69f00", "Eo"],
  basophil: ["#cc79a7", "Ba"],
  "immature-granulocyte": ["#f0e442", "IG"],
  erythroblast: ["#000000", "Eb"],
  smudge: ["#b0b0b0", "Sm"],
};
const COLOURS = Object.values(KNOWN).map(([colour]) => colour);
/** Too dark for dark letters. */
const DEEP = new Set(["#0072b2", "#000000"]);

/** Colour and letters of a type: those of a head's own types follow from their place among them. */
function sign(type, types) {
  if (Object.hasOwn(KNOWN, type)) return KNOWN[type];
  const place = Math.max(0, types.findIndex((each) => each.code === type));
  return [COLOURS[place % COLOURS.length], labelName(type, types).slice(0, 2)];
}

/** How a cell is outlined; null if it was not looked at. */
function look(cell, types) {
  if (cell.left_px === undefined) return null;
  if (cell.type !== undefined) {
    const [colour, letters] = sign(cell.type, types);
    return { colour, letters, malignant: types.find((each) => each.code === cell.type)?.malignant === true };
  }
  return cell.refusal === undefined ? null : { colour: LIGHT, letters: "?", dashed: true };
}

/** Whether single cells were judged, so that there is something to show. */
export const judged = (details) => (details?.result.differential ?? null) !== null;

/** The letters of a cell, with its place if it is one of those that are shown by themselves. */
const caption = (letters, place) => (place === -1 ? letters : `${letters} ${place + 1}`);

const FOREMOST = 10;

/** Indices of the cells with the highest probability of being a blast, whatever their type, the highest first. */
function foremost(cells) {
  const known = cells.map((_, index) => index).filter((index) => cells[index].blast_ratio !== undefined);
  return known.sort((one, other) => cells[other].blast_ratio - cells[one].blast_ratio).slice(0, FOREMOST);
}

/** Each outlined cell with its place as shares of the frame: {left, top, width, height, colour, letters, …}. */
export function outlined({ result, types, picture }) {
  const [height_px, width_px] = picture?.frame_size_px ?? [null, null];
  if (!judged({ result }) || height_px === null) return [];
  const first = foremost(result.cells);
  return result.cells
    .map((cell, index) => [cell, look(cell, types), first.indexOf(index)])
    .filter(([, found]) => found !== null)
    .map(([cell, found, place]) => ({
      left: cell.left_px / width_px,
      top: cell.top_px / height_px,
      width: cell.width_px / width_px,
      height: cell.height_px / height_px,
      ...found,
      letters: caption(found.letters, place),
    }));
}

/** The same as pixels of the picture of the field, which may be turned clockwise against the frame. */
function inPicture(cell, { field, turned, width_px, height_px }) {
  const [left, top, wide, high] = field;
  const [x, y, w, h] = [(cell.left - left) / wide, (cell.top - top) / high, cell.width / wide, cell.height / high];
  const [across, down, broad, tall] = turned ? [1 - y - h, x, h, w] : [x, y, w, h];
  return { x: across * width_px, y: down * height_px, width: broad * width_px, height: tall * height_px };
}

/** Above the box, or inside it at the upper edge of the picture. */
const lettersAt = (top) => (top < 24 ? Math.max(0, top) + 22 : top - 6);
const halo = (colour) => (colour === "#000000" ? LIGHT : DARK);
const thickness = ({ malignant }) => (malignant ? 5 : 3);

/** A layer over the picture of the field; null if no cell was judged. What it shows is in words beside it. */
export function layer(details) {
  const cells = outlined(details);
  if (cells.length === 0) return null;
  const { width_px, height_px } = details.picture;
  const drawn = cells.map((cell) => {
    const place = inPicture(cell, details.picture);
    const line = { ...place, rx: 4, fill: "none", ...(cell.dashed ? { "stroke-dasharray": "7 5" } : {}) };
    const letters = svg("text", {
      x: place.x, y: lettersAt(place.y),
      fill: LIGHT, stroke: DARK, "stroke-width": 4, "paint-order": "stroke", "font-size": 20, "font-weight": 700,
    }, cell.letters);
    return svg(
      "g",
      {},
      svg("rect", { ...line, stroke: halo(cell.colour), "stroke-width": thickness(cell) + 2.5, "stroke-dasharray": "none" }),
      svg("rect", { ...line, stroke: cell.colour, "stroke-width": thickness(cell) }),
      letters,
    );
  });
  const attributes = { viewBox: `0 0 ${width_px} ${height_px}`, class: "layer", "data-layer": "cells", "aria-hidden": "true" };
  return svg("svg", attributes, ...drawn);
}

/** Outline cells on a canvas that shows the part [left, top, width, height] of the frame. */
export function drawOn(context, cells, part) {
  const { width, height } = context.canvas;
  context.save();
  context.font = "700 16px system-ui, sans-serif";
  context.lineJoin = "round";
  for (const cell of cells) {
    const x = ((cell.left - part[0]) / part[2]) * width;
    const y = ((cell.top - part[1]) / part[3]) * height;
    const box = [x, y, (cell.width / part[2]) * width, (cell.height / part[3]) * height];
    context.setLineDash([]);
    context.strokeStyle = halo(cell.colour);
    context.lineWidth = thickness(cell) + 2;
    context.strokeRect(...box);
    context.setLineDash(cell.dashed ? [7, 5] : []);
    context.strokeStyle = cell.colour;
    context.lineWidth = thickness(cell);
    context.strokeRect(...box);
    context.setLineDash([]);
    context.strokeStyle = DARK;
    context.lineWidth = 4;
    context.strokeText(cell.letters, x, lettersAt(y));
    context.fillStyle = LIGHT;
    context.fillText(cell.letters, x, lettersAt(y));
  }
  context.restore();
}

function chip(letters, colour) {
  const node = el("span", { class: "cell-sign", "aria-hidden": "true" }, letters);
  if (colour !== undefined) {
    node.style.background = colour;
    node.style.color = DEEP.has(colour) ? LIGHT : DARK;
    node.style.borderStyle = "solid";
  }
  return node;
}

function row(name, note, count, mark) {
  return el(
    "tr",
    {},
    el("td", {}, mark),
    el("th", { scope: "row" }, name, note ? " " : null, note ? el("small", {}, note) : null),
    el("td", { class: "value" }, number(count, 0)),
  );
}

function typeRow(code, count, types) {
  const [colour, letters] = sign(code, types);
  const malignant = types.find((each) => each.code === code)?.malignant === true;
  return row(labelName(code, types), malignant ? t("cells.malignant") : null, count, chip(letters, colour));
}

/** Number of cells by why they were refused, the most frequent first. */
function refusals(cells) {
  const counts = {};
  for (const { refusal } of cells) if (refusal !== undefined) counts[refusal] = (counts[refusal] ?? 0) + 1;
  return Object.entries(counts).sort((one, other) => other[1] - one[1]);
}

const refusalName = (code) => (has(`cells.refusal.${code}`) ? t(`cells.refusal.${code}`) : code);

/** What the outlines mean, and how many of each there are. */
function counts({ result, types }) {
  const { types_count, cells_count, judged_count, refused_count } = result.differential;
  const found = Object.entries(types_count).filter(([, count]) => count > 0);
  const rows = [
    ...found.sort((one, other) => other[1] - one[1]).map(([code, count]) => typeRow(code, count, types)),
    ...refusals(result.cells).map(([code, count]) => row(refusalName(code), t("cells.refused"), count, chip("?"))),
  ];
  const words = { cells: number(cells_count, 0), judged: number(judged_count, 0), refused: number(refused_count, 0) };
  return el(
    "table",
    { class: "cell-types" },
    el("caption", {}, t("cells.counts", words)),
    el("tbody", {}, ...rows),
  );
}

/** The address of the pictures of the most blast-like cells, side by side; null if there are none. */
export const cropsAddress = ({ result, picture }) =>
  picture?.foremost?.length ? `/readings/${result.id}/cells.jpg` : null;

/** The cell's part of the picture of all; words in its place where none is kept. */
function crop(details, index, place) {
  const { foremost: shown = [] } = details.picture ?? {};
  const at = shown.indexOf(index);
  if (at === -1) return el("span", { class: "muted" }, t("cells.picture.gone"));
  const image = el("span", { class: "crop", role: "img", "aria-label": t("cells.picture", { place: place + 1 }) });
  image.style.backgroundImage = `url("${cropsAddress(details)}")`;
  image.style.backgroundSize = `${100 * shown.length}% 100%`;
  image.style.backgroundPosition = `${shown.length > 1 ? (100 * at) / (shown.length - 1) : 0}% 0`;
  return image;
}

function item(details, index, place) {
  const { result, types } = details;
  const cell = result.cells[index];
  const refused = cell.type === undefined;
  const [colour, letters] = refused ? [undefined, "?"] : sign(cell.type, types);
  const name = refused ? t("cells.no_type") : labelName(cell.type, types);
  return el(
    "li",
    {},
    crop(details, index, place),
    el("b", {}, chip(caption(letters, place), colour), " ", name),
    el("span", {}, t("cells.blast", { share: percent(cell.blast_ratio) })),
  );
}

function list(details) {
  const first = foremost(details.result.cells);
  if (first.length === 0) return el("p", { class: "muted" }, t("cells.foremost.none"));
  return el("ol", { class: "crops" }, ...first.map((index, place) => item(details, index, place)));
}

/** What a cells model says of a reading; null if single cells were not judged. */
export function describeCells(details) {
  if (!judged(details)) return null;
  const { result } = details;
  const provisional = result.differential.provisional && !result.provisional;
  return el(
    "section",
    { class: "cells", "aria-label": t("cells.title") },
    provisional ? el("p", { class: "caution" }, t("cells.provisional")) : null,
    counts(details),
    el("h4", {}, t("cells.foremost")),
    list(details),
    el("p", { class: "muted" }, t("cells.not_a_finding")),
  );
}
