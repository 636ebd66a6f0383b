// A clip for VIA 3 itself: its frames and project down in a zip, the finished project up.

import { make, say } from "./dom.js";
import { send } from "./talk.js";

export function viaLine(project, clip) {
  if (project.annotators === 2) return null; // a file cannot stand for two people
  const path = `via/${encodeURIComponent(clip.clip)}`;
  const faults = make("ul", { class: "faults", role: "alert" });
  const file = make("input", { type: "file", accept: ".json,application/json", "aria-label": `Finished project of the clip ${clip.clip}` });
  file.addEventListener("change", async () => {
    if (!file.files.length) return;
    faults.replaceChildren();
    try {
      const told = await send(path, file.files[0]);
      const rest = told.without ? `, ${told.without} of them without an action` : "";
      const former = told.former ? ` The former file is now ${told.former}.` : "";
      const aside = told.aside ? ` ${told.aside} boxes more are on seconds that are no longer asked for: they stay in the file, and nothing comes of them.` : "";
      faults.replaceChildren(make("li", { class: "fine" }, `${told.kept} with ${told.boxes} boxes${rest} is beside the frames, and counts before this page.${aside}${former}`),
        told.lacking ? make("li", {}, told.lacking) : "");
    } catch (error) {
      faults.replaceChildren(...(error.faults ?? [error.message]).map((one) => make("li", {}, one)));
      say(error.message);
    }
    file.value = "";
  });
  const up = project.may.includes("label");
  return make("details", { class: "via" }, make("summary", {}, "With VIA 3"),
    make("p", {}, make("a", { href: path, download: "" }, "Frames and project (zip)")),
    clip.file ? make("p", {}, `${clip.file} is there and counts, whatever is labelled here. Move it away, and this page counts.`) : null,
    up ? make("label", {}, "Finished project ", file) : null, faults);
}
