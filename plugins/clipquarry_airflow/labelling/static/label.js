// The labelling page: the overview of a project, or one clip at work. The address says which: #clip/seat.

import { $, make, say } from "./dom.js";
import { help, meaning } from "./keys.js";
import { sendLeftovers } from "./outbox.js";
import { overview } from "./overview.js";
import { draw } from "./panel.js";
import { Session } from "./session.js";
import { get, post } from "./talk.js";

const root = location.pathname.slice(0, location.pathname.indexOf("/p/") + 1);
const [dataset, name] = location.pathname.slice(root.length + 2).split("/").map(decodeURIComponent);
let project = null;
let session = null;

// A question in a dialog: a number, or yes and no. null: neither.
function ask(question, wantsNumber = false) {
  const dialog = $("ask");
  return new Promise((resolve) => {
    let answer = null;
    const input = make("input", { type: "number", min: "0", max: "10000000", step: "1", "aria-labelledby": "ask-title" });
    const give = () => {
      const number = Number(input.value);
      answer = wantsNumber ? (input.value !== "" && Number.isInteger(number) && number >= 0 && number <= 1e7 ? number : null) : true;
      dialog.close();
    };
    dialog.replaceChildren(make("p", { id: "ask-title" }, question), wantsNumber ? input : "",
      make("p", { class: "buttons" }, make("button", { type: "button", class: "main", onclick: give }, wantsNumber ? "OK" : "Yes"),
        make("button", { type: "button", onclick: () => dialog.close() }, "Cancel")));
    input.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); give(); } });
    dialog.onclose = () => resolve(answer);
    dialog.showModal();
    (wantsNumber ? input : dialog.querySelector("button")).focus();
  });
}

// All actions by name, for those that have no key.
function find() {
  const dialog = $("ask");
  const all = session.attributes.flatMap((attribute) => attribute.options.map((option) => ({ attribute, option })));
  const list = make("ul", { class: "found" });
  const input = make("input", { type: "search", placeholder: "an action's name", "aria-label": "An action's name" });
  const use = ({ attribute, option }) => {
    dialog.close();
    session.run(() => session.label(attribute, option));
  };
  const fitting = () => all.filter(({ option }) => option.text.toLowerCase().includes(input.value.trim().toLowerCase()));
  const show = () => list.replaceChildren(...fitting().slice(0, 12).map((one) => make("li", {}, make("button", { type: "button", onclick: () => use(one) }, one.option.text))));
  input.addEventListener("input", show);
  input.addEventListener("keydown", (event) => { if (event.key === "Enter" && fitting().length) { event.preventDefault(); use(fitting()[0]); } });
  dialog.onclose = null;
  dialog.replaceChildren(make("h2", { id: "ask-title" }, "Find an action"), input, list);
  show();
  dialog.showModal();
  input.focus();
}

async function openClip(clip, seat = null) {
  try {
    if (!seat) {
      const taken = await post("take", { clip });
      if (!taken.clip) {
        await showOverview();
        return say("No clip is left for you to take.");
      }
      [clip, seat] = [taken.clip, taken.seat];
    }
    location.hash = `${encodeURIComponent(clip)}/${seat}`;
    return await work(clip, seat);
  } catch (error) {
    say(error.message, true);
    return null;
  }
}

async function work(clip, seat) {
  leaveClip();
  const told = await get(`clips/${encodeURIComponent(clip)}/${seat}`);
  $("overview").hidden = true;
  $("work").hidden = false;
  for (const id of ["people", "actions", "conflicts", "seconds", "strip", "clip-line", "saved"]) delete $(id).dataset.key;
  $("where").textContent = `/ clip ${clip}${{ first: ", 1st person", second: ", 2nd person", agreed: ", compared" }[seat] ?? ""}`;
  const place = [dataset, name, clip, seat].join("/");
  session = await Session.open({ project, told, place, draw, ask, leave: () => openClip(null) });
  window.labelling = session; // for measurements
  $("stage").focus();
}

function leaveClip() {
  session?.close();
  session = null;
  $("saved").replaceChildren();
}

async function showOverview() {
  leaveClip();
  project = await get("project");
  $("work").hidden = true;
  $("overview").hidden = false;
  $("where").textContent = "";
  $("home").textContent = project.title;
  document.title = project.title;
  await overview($("overview"), project, openClip);
  const left = await sendLeftovers(root, project.me, "");
  if (left) say(`${left} changes of yours wait in this browser, and are sent when the server takes them.`, true);
}

document.addEventListener("keydown", (event) => {
  if (!session || document.querySelector("dialog[open]") || event.isComposing) return;
  const { target } = event;
  if (target instanceof HTMLInputElement) return;
  if (event.key === "Enter") {
    if (session.picture.drawing) {
      event.preventDefault();
      session.run(() => session.enter());
    }
    return;
  }
  const found = meaning(event, session.actions);
  if (!found) return;
  event.preventDefault();
  if (event.repeat && !["next", "previous", "nextPerson", "previousPerson", "move", "resize"].includes(found.command)) return;
  if (found.command === "help") help($("help"), session.attributes);
  else if (found.command === "find") find();
  else if (found.action) session.run(() => session.action(found.action, found.onwards));
  else session.run(() => session[found.command](found.by));
});

$("help-button").addEventListener("click", () => help($("help"), project?.attributes ?? []));
$("home").addEventListener("click", (event) => {
  event.preventDefault();
  history.pushState(null, "", "./");
  showOverview().catch((error) => say(error.message, true));
});

async function start() {
  project = await get("project");
  $("home").textContent = project.title;
  document.title = project.title;
  const [clip, seat] = location.hash.slice(1).split("/").map(decodeURIComponent);
  if (clip && seat) {
    try {
      return await work(clip, seat);
    } catch (error) {
      say(error.message, true);
    }
  }
  return showOverview();
}

start().catch((error) => say(error.message, true));
