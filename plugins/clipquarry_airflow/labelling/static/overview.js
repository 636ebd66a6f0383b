// A project's clips: who labels which, how far they are, how two people agree.

import { make, say, table } from "./dom.js";
import { get, post } from "./talk.js";
import { viaLine } from "./via.js";

const STAGES = { open: "waits for both", one: "labelled by one, waits for the second", both: "to be compared", compared: "to be settled", final: "✓ final" };

const percent = (part, all) => (all ? `${Math.round((100 * part) / all)} %` : "–");

export async function overview(element, project, open) {
  const rows = project.clips.map((clip) => {
    const seats = clip.seats.map((seat) => make("div", { class: "seat" },
      project.annotators === 2 ? make("b", {}, { first: "1st", second: "2nd", agreed: "Agreed" }[seat.seat]) : null,
      make("span", { class: "count" }, `${seat.labelled} of ${seat.boxes} boxes`),
      make("progress", { max: seat.boxes || 1, value: seat.labelled, "aria-label": "Boxes with a label" }),
      seat.conflicts ? make("span", { class: "warn" }, ` ⚠ ${seat.conflicts} conflicts `) : null,
      seat.done ? make("span", {}, " ✓ done ") : null,
      make("span", { class: "none" }, seat.holder ? ` ${seat.holder}${seat.mine ? " (you)" : ""}` : seat.seat === "agreed" ? "" : " nobody")));
    return [make("b", {}, clip.clip), make("div", {}, ...seats), result(project, clip), make("div", { class: "buttons" }, ...buttons(project, clip, open), viaLine(project, clip), ...setAside(clip))];
  });
  const done = project.clips.filter((one) => (project.annotators === 2 ? one.done && !one.file : one.done || one.file)).length;
  element.replaceChildren(
    make("h1", {}, project.title),
    project.guide ? make("p", { class: "guide" }, project.guide) : "",
    make("p", {}, `${done} of ${project.clips.length} clips are final. `, make("progress", { max: project.clips.length, value: done, "aria-label": "Final clips" })),
    make("p", {}, make("button", { type: "button", class: "main", id: "take", disabled: !project.may.includes("label"), onclick: () => open(null) }, "Take the next clip"), compareAll(project),
      project.may.includes("label") ? null : make("span", { class: "none" }, " You may look, but not label: you lack the right to answer the DAG's Required Actions.")),
    table(["Clip", "Labelled", "Result", ""], rows),
    people(project),
  );
  if (project.annotators === 2) element.append(await agreed(project));
}

// Labels of seconds that were asked for once: nothing is lost, and nothing comes of them.
function setAside(clip) {
  if (!clip.aside.length) return [];
  return [make("details", { class: "aside" }, make("summary", {}, `${clip.aside_boxes} labelled boxes set aside`),
    make("p", {}, `${clip.aside.length} seconds are no longer asked for. Their labels are kept, and count again when they are.`),
    make("ul", {}, ...clip.aside.map((one) => make("li", {}, one))))];
}

// Where both say the same everywhere a clip is final at once; the others wait for somebody who settles them.
function compareAll(project) {
  const ready = project.clips.filter((one) => one.stage === "both");
  if (ready.length < 2 || !project.may.includes("label")) return null;
  const compare = async (event) => {
    event.target.disabled = true;
    try {
      for (const clip of ready) await post("compare", { clip: clip.clip });
      location.reload();
    } catch (error) {
      say(error.message, true);
    }
  };
  return make("button", { type: "button", id: "compare-all", onclick: compare }, `Compare the ${ready.length} clips on which both are done`);
}

function result(project, clip) {
  if (project.annotators === 2) return clip.file ? make("span", { class: "warn" }, `⚠ ${clip.file} is in the way: two people label here, and no file. Move it away.`) : STAGES[clip.stage];
  return clip.file ? `✓ ${clip.file} counts` : clip.done ? "✓ final" : "open";
}

function buttons(project, clip, open) {
  const mine = clip.seats.find((one) => one.mine);
  const free = clip.seats.some((one) => !one.holder && one.seat !== "agreed");
  const found = [];
  if (!project.may.includes("label")) return found;
  const both = { both: "Compare and settle", compared: "Settle", final: "Open the result" }[clip.stage];
  if (project.annotators === 1 || ((mine || free) && !["compared", "final"].includes(clip.stage))) {
    found.push(make("button", { type: "button", onclick: () => open(clip.clip) }, mine ? "Go on" : "Take"));
  }
  if (both) {
    const compare = async () => {
      try {
        const answer = await post("compare", { clip: clip.clip });
        await open(clip.clip, answer.seat);
      } catch (error) {
        say(error.message);
      }
    };
    found.push(make("button", { type: "button", onclick: compare }, both));
  }
  const act = (word, body) => async () => {
    try {
      await post(word, body);
      location.reload();
    } catch (error) {
      say(error.message);
    }
  };
  if (mine && !mine.done) found.push(make("button", { type: "button", onclick: act("release", { clip: clip.clip }) }, "Give back"));
  for (const seat of project.may.includes("give") ? clip.seats.filter((one) => one.seat !== "agreed") : []) {
    const name = make("input", { "aria-label": `Who gets the clip ${clip.clip}`, placeholder: "a person's name", maxLength: 200 });
    const give = () => act("give", { clip: clip.clip, seat: seat.seat, annotator: name.value })();
    found.push(make("details", {}, make("summary", {}, project.annotators === 2 ? `Give the ${seat.seat} seat to …` : "Give to …"), name, make("button", { type: "button", onclick: give }, "Give")));
  }
  return found;
}

function people(project) {
  const by = new Map();
  for (const seat of project.clips.flatMap((clip) => clip.seats).filter((one) => one.seat !== "agreed")) {
    for (const [name, count] of Object.entries(seat.by)) by.set(name, (by.get(name) || 0) + count);
  }
  const rows = [...by].filter(([name]) => name).sort((one, other) => other[1] - one[1]);
  if (!rows.length) return "";
  return make("section", {}, make("h2", {}, "Annotators"), table(["Who", "Boxes labelled"], rows.map(([name, count]) => [name, String(count)])));
}

async function agreed(project) {
  const told = await get("agreement");
  const text = (action) => project.attributes.find((one) => one.id === action.attribute)?.options.find((one) => one.id === action.option)?.text ?? "";
  const rows = told.actions.map((one) => [text(one), one.kappa === null ? "no value" : one.kappa.toFixed(2), percent(one.both + one.first + one.second ? one.both : 0, one.both + one.first + one.second), String(one.both), String(one.first), String(one.second)]);
  return make("section", {}, make("h2", {}, "Agreement"),
    make("p", {}, `Cohen's kappa says how far two people agree beyond chance: 1 is always, 0 as often as by chance. Over the clips on which both are done (${told.clips}), and the ${told.boxes} boxes that both have; ${told.alone} that only one has are not counted. It has no value where both say the same of every box.`),
    table(["Action", "Kappa", "Both, of those that one has", "Both", "1st only", "2nd only"], rows));
}
