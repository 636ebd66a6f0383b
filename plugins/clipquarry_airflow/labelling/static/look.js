// How people are told apart: the palette of Okabe and Ito, which the colour-blind can tell apart, and a pattern of the line beside it.

export const COLOURS = ["#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"];
export const DASHES = [[], [12, 5], [3, 5], [14, 5, 3, 5]];
const NOBODY = "#FFFFFF";

// 7 colours and 4 patterns have no common divisor: 28 people look different.
export const colourOf = (track) => (track === null ? NOBODY : COLOURS[track % COLOURS.length]);
export const dashOf = (track) => (track === null ? [2, 3] : DASHES[track % DASHES.length]);

export function swatch(track) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 44 10");
  svg.setAttribute("class", "swatch");
  svg.setAttribute("aria-hidden", "true");
  for (const [colour, width] of [["#1b1f24", 8], [colourOf(track), 4]]) {
    const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
    for (const [name, at] of Object.entries({ x1: 2, x2: 42, y1: 5, y2: 5, stroke: colour, "stroke-width": width })) line.setAttribute(name, at);
    if (width === 4) line.setAttribute("stroke-dasharray", dashOf(track).join(" "));
    svg.append(line);
  }
  return svg;
}
