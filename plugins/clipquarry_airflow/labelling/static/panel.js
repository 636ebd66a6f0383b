// The lists beside and below the picture: people, actions, conflicts, seconds, and whether everything is kept.

import { $, make } from "./dom.js";
import { numberOf } from "./edit.js";
import { swatch } from "./look.js";
import * as states from "./state.js";

export function draw(session) {
  people(session);
  actions(session);
  disputes(session);
  seconds(session);
  film(session);
  clipLine(session);
  saved(session);
}

// Exchange a list only where it changed, and keep the place of the keyboard.
function fill(element, key, children) {
  if (element.dataset.key === key) return;
  const focused = element.contains(document.activeElement) ? document.activeElement.dataset.name : undefined;
  element.dataset.key = key;
  element.replaceChildren(...children());
  if (focused !== undefined) element.querySelector(`[data-name="${CSS.escape(focused)}"]`)?.focus();
}

const named = (element, name) => { element.dataset.name = name; return element; };
const personOf = (session, region) => {
  const number = numberOf(session.view, region);
  return number === null ? "a person without a number" : `person ${number}`;
};
const secondOf = (session, region) => session.frames.find((one) => one.name === states.value(session.view, region, "frame"))?.second;

function people(session) {
  $("second").textContent = `Second ${session.frame.second}`;
  const rows = session.people.map((region) => [region, numberOf(session.view, region), session.words(region)]);
  fill($("people"), JSON.stringify([rows, session.chosen]), () => rows.map(([region, number, words]) => make("li", {},
    named(make("button", { type: "button", "aria-pressed": String(region === session.chosen), onclick: () => session.choose(region) },
      swatch(number), make("b", {}, number === null ? "?" : String(number)), make("span", { class: words.length ? "" : "none" }, words.join(", ") || "no label")), region))));
  if (!rows.length) $("people").replaceChildren(make("li", { class: "none" }, "Nobody. Press A to add a box."));
}

function actions(session) {
  const { chosen, view } = session;
  $("whose").textContent = chosen ? `of ${personOf(session, chosen)}` : "";
  const on = session.attributes.map((one) => (chosen ? states.labelsOf(view, chosen, one.id) : []));
  fill($("actions"), JSON.stringify([chosen, on]), () => session.attributes.map((attribute, at) => make("fieldset", {},
    make("legend", {}, attribute.name),
    ...attribute.options.map((option) => named(make("button", {
      type: "button", "aria-pressed": String(on[at].includes(option.id)), disabled: !chosen, onclick: () => session.run(() => session.label(attribute, option)),
    }, make("kbd", {}, option.key.toUpperCase() || "·"), ` ${option.text}`), `${attribute.id}/${option.id}`)))));
}

function said(session, field, value) {
  if (field === "alive") return value ? "keep the box" : "delete the box";
  if (field === "done") return value ? "done" : "not done";
  if (field === "track") return value === null ? "no number" : `number ${value}`;
  if (field === "box") return `box at ${value.map((one) => Math.round(one)).join(", ")}`;
  const attribute = session.attributes.find((one) => `labels/${one.id}` === field);
  return attribute?.options.filter((one) => value.includes(one.id)).map((one) => one.text).join(", ") || "nothing";
}

function disputes(session) {
  const { disputed, doubled } = session;
  $("conflicts").hidden = !disputed.length && !doubled.length;
  fill($("conflicts"), JSON.stringify([disputed, doubled, session.chosen]), () => {
    const shown = disputed.filter((one) => one.region === session.chosen).concat(disputed.filter((one) => one.region !== session.chosen));
    const name = (field) => session.attributes.find((one) => `labels/${one.id}` === field)?.name ?? { alive: "deleted or not", done: "done or not", track: "number", box: "place" }[field];
    return [
      make("h2", {}, `Conflicts (${disputed.length + doubled.length})`),
      ...shown.slice(0, 8).map((one) => make("div", { class: "conflict" },
        make("p", {}, one.region === states.CLIP ? "The clip" : `Second ${secondOf(session, one.region)}, ${personOf(session, one.region)}: ${name(one.field)}`),
        ...one.values.map((value, at) => named(make("button", { type: "button", onclick: () => session.run(() => session.settle(one, value.value)) },
          make("b", {}, value.by || "as found"), `: ${said(session, one.field, value.value)}`), `${one.region}/${one.field}/${at}`)))),
      ...doubled.slice(0, 4).map((one) => make("div", { class: "conflict" },
        make("p", {}, `Second ${secondOf(session, one.regions[0])}: ${one.regions.length} boxes are person ${one.track}. Choose one and press T for another number.`))),
    ];
  });
}

function seconds(session) {
  const disputed = new Set([...session.disputed.map((one) => one.region), ...session.doubled.flatMap((one) => one.regions)]);
  const rows = session.frames.map((frame, at) => {
    const people = session.seconds[at];
    return [frame.second, people.filter((one) => states.isLabelled(session.view, one)).length, people.length, people.some((one) => disputed.has(one))];
  });
  fill($("seconds"), JSON.stringify([rows, session.at]), () => rows.map(([second, labelled, all, conflict], at) => {
    const state = conflict ? "conflict" : labelled === all ? "full" : labelled ? "part" : "empty";
    const mark = { conflict: "⚠", full: "✓", part: "◐", empty: "○" }[state];
    return make("li", {}, named(make("button", {
      type: "button", class: state, "aria-current": at === session.at ? "true" : "false", title: `${labelled} of ${all} people labelled`,
      onclick: () => session.run(() => session.show(at)),
    }, make("b", {}, `${second} s`), make("span", {}, `${mark} ${labelled}/${all}`)), String(at)));
  }));
  $("seconds").querySelector("[aria-current=true]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function film(session) {
  const count = session.frame.strip;
  fill($("strip"), JSON.stringify([session.told.clip, session.at, count, Boolean(session.film)]), () => {
    if (!count) return [];
    const images = Array.from({ length: count }, (_, number) => {
      const image = make("img", { alt: "", decoding: "async" });
      image.src = session.images.address("strips", session.at, number);
      return image;
    });
    return [named(make("button", { type: "button", onclick: () => session.run(() => session.play()) }, session.film ? "■ Stop" : "▶ Play", " ", make("kbd", {}, "P")), "play"), ...images];
  });
}

function clipLine(session) {
  const all = session.seconds.flat();
  const labelled = all.filter((one) => states.isLabelled(session.view, one)).length;
  const done = states.isDone(session.view);
  fill($("clip-line"), JSON.stringify([labelled, all.length, done]), () => [
    make("h2", {}, "Clip"),
    make("p", {}, `${labelled} of ${all.length} boxes have a label.${done ? " This clip is done." : ""}`),
    make("progress", { max: all.length || 1, value: labelled, "aria-label": "Boxes with a label" }),
    make("p", { class: "buttons" },
      named(make("button", { type: "button", onclick: () => session.run(() => session.finish()) }, done ? "Open again" : "Done", " ", make("kbd", {}, "F")), "finish"),
      named(make("button", { type: "button", onclick: () => session.run(() => session.nextClip()) }, "Next clip", " ", make("kbd", {}, "N")), "next")),
  ]);
}

function saved(session) {
  const { box } = session;
  const waiting = box.pending.length;
  const line = $("saved");
  const many = (n) => (n === 1 ? "1 change" : `${n} changes`);
  const retry = () => make("button", { type: "button", onclick: () => box.retry() }, "Try again");
  const kept = waiting ? ` ${many(waiting)} wait in this browser; none is lost if you close it.` : "";
  let state = "kept", parts = ["✓ Everything is kept on the server."];
  if (box.signedOut) [state, parts] = ["trouble", [`You are signed out.${kept} Sign in to Airflow in another tab. `, retry()]];
  else if (box.closed) [state, parts] = ["trouble", [`${box.trouble}${kept} `, retry()]];
  else if (box.trouble) [state, parts] = ["trouble", [`⚠ ${box.trouble}${kept} Go on: it is tried again.`]];
  else if (waiting) [state, parts] = ["waiting", [`… ${many(waiting)} on the way`]];
  if (box.refused.length) {
    const why = box.refused.at(-1).refused;
    state = "trouble";
    parts.push(` ${many(box.refused.length)} did not fit: ${why} `, make("button", { type: "button", onclick: () => box.drop() }, "I have seen it"));
  }
  line.dataset.waiting = String(waiting);
  fill(line, JSON.stringify([state, parts.map((one) => one.textContent ?? one)]), () => parts);
  line.className = state;
}
