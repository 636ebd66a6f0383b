// All labelling projects that this person may see.

import { $, make, say, table } from "./dom.js";
import { get } from "./talk.js";

async function start() {
  const { projects } = await get("projects");
  const rows = projects.map((one) => [
    make("a", { href: `p/${encodeURIComponent(one.dataset)}/${encodeURIComponent(one.project)}/` }, one.title), one.dataset, one.project,
    make("span", {}, `${one.done} of ${one.clips} `, make("progress", { max: one.clips || 1, value: one.done, "aria-label": "Final clips" })),
  ]);
  $("overview").replaceChildren(make("h1", {}, "Labelling"),
    rows.length ? table(["Project", "Data set", "Name", "Final clips"], rows)
      : make("p", {}, "There is nothing to label. A run that needs people's labels makes a project, and it appears here."));
}

start().catch((error) => say(error.message, true));
