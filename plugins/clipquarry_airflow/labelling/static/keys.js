// The keys of the page, in one table: what is pressed, what it does, and the help that says so.

import { make } from "./dom.js";

export const COMMANDS = [
  ["Seconds", [
    ["ArrowRight", "→", "next second", "next"],
    ["ArrowLeft", "←", "previous second", "previous"],
    ["Shift+ArrowRight", "Shift →", "next second, and copy the labels of the second before to people without any", "nextCopied"],
    ["Home", "Home", "first second", "first"],
    ["End", "End", "last second", "last"],
    ["p", "P", "play the film around this second, or stop it", "play"],
  ]],
  ["People", [
    ["ArrowDown", "↓", "next person", "nextPerson"],
    ["ArrowUp", "↑", "previous person", "previousPerson"],
    ["g", "G", "next person without a label, in this or a later second", "nextUnlabelled"],
    ["c", "C", "copy the labels of the second before to everybody here without any", "copy"],
    ["r", "R", "repeat this person's labels in all seconds where the person has none", "repeat"],
    ["Shift+r", "Shift R", "the same, in all seconds", "repeatAll"],
  ]],
  ["Boxes and tracks", [
    ["a", "A", "add a box: draw it with the mouse, or press Enter for one in the middle", "add"],
    ["d", "D, Delete", "delete the box", "remove"],
    ["Delete", "", "", "remove"],
    ["Alt+Arrow", "Alt arrows", "move the box by a pixel, with Shift by ten", "move"],
    ["Ctrl+Arrow", "Ctrl arrows", "make the box larger or smaller, with Shift by ten", "resize"],
    ["s", "S", "split the track: from this second on it is another person", "split"],
    ["j", "J", "join the track with another person's", "join"],
    ["t", "T", "give this one box another person's number", "number"],
    ["h", "H", "hide the boxes, or show them", "hide"],
  ]],
  ["Work", [
    ["z", "Z, Ctrl Z", "undo", "undo"],
    ["Shift+z", "Shift Z, Ctrl Y", "redo", "redo"],
    ["x", "X", "next conflict", "conflict"],
    ["f", "F", "the clip is done, or not done after all", "finish"],
    ["n", "N", "next clip", "nextClip"],
    ["/", "/", "find an action by its name", "find"],
    ["?", "?", "this help", "help"],
    ["Escape", "Esc", "stop drawing, or close what is open", "cancel"],
  ]],
];

const BY_KEY = new Map(COMMANDS.flatMap(([, rows]) => rows).map(([key, , , command]) => [key, command]));
const ARROWS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };

// A key press as {command, …}, {action: key, onwards} or null. `actions`: the keys that actions have.
export function meaning(event, actions) {
  const { key, code, ctrlKey, metaKey, altKey, shiftKey } = event;
  const arrow = ARROWS[key];
  if (arrow && altKey && !ctrlKey) return { command: "move", by: arrow.map((one) => one * (shiftKey ? 10 : 1)) };
  if (arrow && (ctrlKey || metaKey) && !altKey) return { command: "resize", by: arrow.map((one) => one * (shiftKey ? 10 : 1)) };
  if (altKey) return null;
  const small = key.length === 1 ? key.toLowerCase() : key;
  if (ctrlKey || metaKey) {
    if (small === "z") return { command: shiftKey ? "redo" : "undo" };
    return small === "y" ? { command: "redo" } : null;
  }
  if (key === "?" || key === "/") return { command: BY_KEY.get(key) };
  const found = BY_KEY.get(shiftKey ? `Shift+${small}` : small);
  if (found) return { command: found };
  const digit = /^Digit\d$/.test(code) ? code.slice(5) : small; // Shift makes another sign of a digit
  return actions.has(digit) ? { action: digit, onwards: shiftKey } : null;
}

export function help(dialog, attributes) {
  const section = (title, rows) => make("section", {}, make("h3", {}, title),
    make("dl", {}, ...rows.map(([keys, text]) => make("div", {}, make("dt", {}, ...keys.split(", ").map((one) => make("kbd", {}, one))), make("dd", {}, text)))));
  const actions = attributes.map((one) => section(`Actions: ${one.name}`, one.options.map((option) => [option.key.toUpperCase() || "/", option.text])));
  dialog.replaceChildren(
    make("h2", { id: "help-title" }, "Keys ", make("button", { type: "button", onclick: () => dialog.close() }, "Close ", make("kbd", {}, "Esc"))),
    make("p", {}, "A key of an action puts it on or off for the chosen person; with Shift for that person from this second on. What you do is kept in this browser at once, and on the server as soon as it answers."),
    make("div", { class: "columns" },
      ...COMMANDS.map(([title, rows]) => section(title, rows.filter(([, keys]) => keys).map(([, keys, text]) => [keys, text]))), ...actions),
  );
  dialog.showModal();
}
