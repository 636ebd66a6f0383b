// One clip at work: what is shown, which person is chosen, and what each command does. Commands run one after the other.

import { $, say } from "./dom.js";
import * as edit from "./edit.js";
import { Images } from "./frames.js";
import { newName, Outbox } from "./outbox.js";
import { Picture } from "./stage.js";
import * as states from "./state.js";

const FILM_MS = 110;
const MOST_UNDONE = 500;

// What can be undone outlives a reload of the page, not the window.
function remembered(place) {
  try {
    return JSON.parse(sessionStorage.getItem(`undo/${place}`)) || [];
  } catch {
    return [];
  }
}

function remember(place, done) {
  try {
    sessionStorage.setItem(`undo/${place}`, JSON.stringify(done.slice(-100)));
  } catch { /* no room: the operations themselves are kept elsewhere */ }
}

export class Session {
  // `told`: the server's answer for the clip; `project`: title, actions, me; `draw(session)`: the lists beside the picture; `ask`: a question.
  static async open({ project, told, place, draw, ask, leave }) {
    const session = new Session();
    Object.assign(session, { project, told, draw, ask, leave, frames: told.frames, attributes: project.attributes });
    const { clip, seat } = told;
    // The name says which frame, should the clip have grown since; the source, that it shows what it did.
    const of = (frame) => new URLSearchParams({ name: told.frames[frame]?.name ?? "", of: told.source });
    session.images = new Images((kind, ...numbers) => `${[kind, encodeURIComponent(clip), ...numbers].join("/")}?${of(numbers[0])}`);
    session.actions = new Map(project.attributes.flatMap((attribute) => attribute.options.filter((one) => one.key).map((option) => [option.key, { attribute, option }])));
    const path = `clips/${encodeURIComponent(clip)}/${seat}`;
    session.box = await Outbox.open({ place, path, me: project.me, state: told.state, changed: () => session.refresh() });
    session.at = 0;
    session.chosen = null;
    session.undone = [];
    session.done = remembered(place);
    session.place = place;
    session.queue = Promise.resolve();
    session.picture = new Picture($("stage"), {
      pick: (region) => { session.choose(region); },
      box: (region, box) => session.run(() => session.write("box", [[region, "box", box]])),
      drawn: (box) => session.run(() => session.addBox(box)),
    });
    await session.show(0);
    return session;
  }

  get view() { return this.box.view; }
  get frame() { return this.frames[this.at]; }
  get people() { return this.seconds[this.at]; }

  // Commands wait for one another: the second of two quick keys must see what the first one did.
  run(work) {
    this.queue = this.queue.then(work).catch((error) => say(`This could not be kept in this browser: ${error.message}`, true));
    return this.queue;
  }

  refresh() {
    const found = states.byFrame(this.view, this.frames);
    this.seconds = this.frames.map((frame) => found.get(frame.name));
    this.doubled = states.doubles(this.view, found);
    const here = new Set(this.seconds.flat());
    this.disputed = states.conflicts(this.view).filter((one) => one.region === states.CLIP || here.has(one.region));
    if (!this.people.includes(this.chosen)) this.chosen = this.people[0] ?? null;
    if (this.picture && this.loaded) this.paint();
    this.draw(this);
  }

  paint() {
    const disputed = new Set([...this.disputed.map((one) => one.region), ...this.doubled.flatMap((one) => one.regions)]);
    const boxes = this.people.map((region) => {
      const track = edit.numberOf(this.view, region);
      const words = [track === null ? "?" : String(track), ...this.words(region)];
      return { region, track, box: states.value(this.view, region, "box"), text: words.join(" · "), selected: region === this.chosen, conflict: disputed.has(region) };
    });
    this.picture.show(this.frame, this.loaded, boxes);
  }

  words(region) {
    return this.attributes.flatMap((one) => {
      const chosen = states.labelsOf(this.view, region, one.id);
      return one.options.filter((option) => chosen.includes(option.id)).map((option) => option.text);
    });
  }

  async show(at) {
    const begun = performance.now();
    this.stopFilm();
    const before = this.seconds && this.chosen ? edit.numberOf(this.view, this.chosen) : null;
    this.at = Math.min(Math.max(0, at), this.frames.length - 1);
    const found = this.images.get("images", this.at);
    const image = found instanceof Promise ? await found : found; // no wait where it is there
    this.loaded = image || new Image();
    if (!image) say("The image of this second cannot be loaded now.");
    const here = states.byFrame(this.view, this.frames).get(this.frame.name);
    this.chosen = here.find((one) => before !== null && edit.numberOf(this.view, one) === before) ?? here[0] ?? null;
    this.refresh();
    this.tookMs = performance.now() - begun;
    this.images.near(this.at, this.frames.length);
    this.images.also(this._film(this.at));
  }

  choose(region) {
    if (region === this.chosen) return; // a box that is held with the mouse must not be drawn anew
    this.chosen = region;
    this.refresh();
  }

  // Write an operation; it is shown when this browser has it on the disk.
  async write(what, writes, { undoes, silent } = {}) {
    if (!writes.length) return null;
    if (this.box.closed && !undoes) say(this.box.trouble, true);
    const back = edit.inverse(this.view, writes);
    const op = await this.box.add(what, writes, undoes);
    if (!silent) {
      this.done.push({ op, back, what });
      this.done = this.done.slice(-MOST_UNDONE);
      this.undone = [];
      remember(this.place, this.done);
    }
    return op;
  }

  // Actions

  async action(key, onwards) {
    const { attribute, option } = this.actions.get(key);
    await this.label(attribute, option, onwards);
  }

  async label(attribute, option, onwards = false) {
    if (!this.chosen) return say("Nobody is chosen: press ↓, or A to add a box.");
    if (states.inConflict(this.view, this.chosen, `labels/${attribute.id}`)) return say("Two people say different things here: press X and choose.");
    const writes = onwards ? edit.toggledOn(this.view, this.seconds, this.at, this.chosen, attribute, option)
      : [edit.toggled(this.view, this.chosen, attribute, option)];
    await this.write(onwards ? "label-onwards" : "label", writes);
  }

  async copy() {
    if (!this.at) return say("There is no second before this one.");
    const writes = edit.copied(this.view, this.people, this.seconds[this.at - 1], this.attributes);
    if (!writes.length) return say("Nobody here lacks labels that the second before has.");
    await this.write("copy", writes);
  }

  async nextCopied() {
    if (this.at + 1 >= this.frames.length) return say("This is the last second.");
    await this.show(this.at + 1);
    await this.write("copy", edit.copied(this.view, this.people, this.seconds[this.at - 1], this.attributes));
  }

  async repeat(all = false) {
    if (!this.chosen) return;
    const writes = edit.repeated(this.view, this.seconds, this.chosen, this.attributes, all);
    await this.write("repeat", writes);
    say(writes.length ? `Repeated in ${new Set(writes.map(([region]) => region)).size} other seconds.` : "The other seconds of this person have labels already.");
  }

  repeatAll() { return this.repeat(true); }

  // Seconds and people

  next() { return this.show(this.at + 1); }
  previous() { return this.show(this.at - 1); }
  first() { return this.show(0); }
  last() { return this.show(this.frames.length - 1); }
  nextPerson(step = 1) {
    const { people } = this;
    if (people.length) this.choose(people[(people.indexOf(this.chosen) + step + people.length) % people.length]);
  }
  previousPerson() { this.nextPerson(-1); }

  async nextUnlabelled() {
    const lacks = (region) => !states.isLabelled(this.view, region);
    const here = this.people.slice(this.people.indexOf(this.chosen) + 1).find(lacks);
    if (here) return this.choose(here);
    const order = this.frames.map((_, step) => (this.at + 1 + step) % this.frames.length);
    for (const at of order) {
      const found = this.seconds[at].find(lacks);
      if (found) {
        if (at !== this.at) await this.show(at);
        return this.choose(found);
      }
    }
    return say("Everybody in this clip has a label. Press F when the clip is done.");
  }

  // Boxes and tracks

  add() {
    this.picture.startDrawing(true);
    say("Draw a box, or press Enter for one in the middle.");
  }

  async addBox(box) {
    const region = `n-${newName()}`;
    const number = edit.freeNumber(this.view, Object.keys(this.view.regions).filter((one) => states.isAlive(this.view, one)));
    await this.write("add", [[region, "frame", this.frame.name], [region, "box", box], [region, "track", number]]);
    this.choose(region);
    $("stage").focus();
    say(`A new person, number ${number}. Press T for the number of somebody who is there already.`);
  }

  enter() {
    if (!this.picture.drawing) return;
    this.picture.startDrawing(false);
    const { width, height } = this.frame;
    return this.addBox([width * 0.375, height * 0.25, width * 0.25, height * 0.5]);
  }

  async remove() {
    if (this.chosen) await this.write("delete", [[this.chosen, "alive", false]]);
  }

  async move(by) { await this._shape([by[0], by[1], 0, 0]); }
  async resize(by) { await this._shape([0, 0, by[0], by[1]]); }
  async _shape(change) {
    if (!this.chosen) return;
    await this.write("box", [[this.chosen, "box", edit.moved(states.value(this.view, this.chosen, "box"), this.frame, change)]]);
  }

  async split() {
    if (!this.chosen) return;
    const writes = edit.split(this.view, this.seconds, this.at, this.chosen);
    await this.write("split", writes);
    say(`From here on this is person ${writes[0][2]}.`);
  }

  async join() {
    if (!this.chosen) return;
    const number = await this.ask("Join this person's whole track with the person of number", true);
    if (number === null) return;
    const found = edit.joined(this.view, this.seconds, this.chosen, number);
    if (typeof found === "string") say(found);
    else await this.write("join", found);
  }

  async number() {
    if (!this.chosen) return;
    const number = await this.ask("Number of the person in this box", true);
    if (number !== null) await this.write("track", [[this.chosen, "track", number]]);
  }

  hide() { this.picture.setVisible(!this.picture.visible); }

  // Film

  _film(at) { return Array.from({ length: this.frames[at].strip }, (_, number) => ["strips", at, number]); }

  async play() {
    if (this.film) return this.stopFilm();
    const keys = this._film(this.at);
    if (!keys.length) return say("There is no film around this second.");
    const images = (await Promise.all(keys.map((key) => this.images.get(...key)))).filter(Boolean);
    if (!images.length) return say("The film cannot be loaded now.");
    let number = 0;
    this.picture.boxes.opacity(0.25);
    this.film = setInterval(() => {
      this.picture.play(images[number % images.length]);
      this.picture.container.dataset.film = String(number % images.length);
      number += 1;
    }, FILM_MS);
    return this.draw(this);
  }

  stopFilm() {
    if (!this.film) return;
    clearInterval(this.film);
    this.film = null;
    delete this.picture.container.dataset.film;
    this.picture.boxes.opacity(1);
    if (this.loaded) this.picture.play(this.loaded);
    this.draw(this);
  }

  // Work

  async undo() {
    const last = this.done.pop();
    if (!last) return say("There is nothing to undo.");
    remember(this.place, this.done);
    const back = edit.stillOurs(this.view, last.op, last.back);
    if (!back.length) return say("Somebody has changed this since: it is not taken back.");
    const again = edit.inverse(this.view, back);
    const op = await this.write("undo", back, { undoes: last.op.op, silent: true });
    this.undone.push({ op, back: again, what: last.what });
    return say(back.length < last.back.length ? `Undone (${last.what}), but for what others changed since.` : `Undone: ${last.what}.`);
  }

  async redo() {
    const last = this.undone.pop();
    if (!last) return say("There is nothing to redo.");
    const again = edit.stillOurs(this.view, last.op, last.back);
    if (!again.length) return say("Somebody has changed this since: it is not done again.");
    const back = edit.inverse(this.view, again);
    const op = await this.write("redo", again, { undoes: last.op.op, silent: true });
    this.done.push({ op, back, what: last.what });
    return say(`Done again: ${last.what}.`);
  }

  // A person chose one of several values, or what to do with a number that two boxes have.
  async settle(conflict, chosen) {
    await this.write("choose", [[conflict.region, conflict.field, chosen, true]]);
  }

  async conflict() {
    const regions = [...this.disputed.map((one) => one.region), ...this.doubled.map((one) => one.regions[1])];
    if (!regions.length) return say("There are no conflicts.");
    const next = regions[(regions.indexOf(this.chosen) + 1) % regions.length];
    const at = this.seconds.findIndex((people) => people.includes(next));
    if (at >= 0 && at !== this.at) await this.show(at);
    if (at >= 0) this.choose(next);
    return $("conflicts").querySelector("button")?.focus();
  }

  async finish() {
    const done = !states.isDone(this.view);
    const unlabelled = this.seconds.flat().filter((one) => !states.isLabelled(this.view, one)).length;
    const left = this.disputed.length + this.doubled.length;
    if (done && left) return say(`${left} conflicts are left: press X to go through them.`);
    if (done && unlabelled && !(await this.ask(`${unlabelled} boxes have no label. They go out without an action. Is the clip done all the same?`))) return null;
    await this.write("done", [[states.CLIP, "done", done]]);
    return say(done ? "This clip is done. Press N for the next one." : "This clip is open again.");
  }

  async nextClip() {
    if (!states.isDone(this.view)) return say("This clip is not done: press F when it is. The overview at the top has all clips.");
    for (let tries = 0; tries < 40 && this.box.pending.length; tries++) await new Promise((resolve) => setTimeout(resolve, 100));
    if (this.box.pending.length) return say("The server must have this clip before it gives you the next one.");
    return this.leave();
  }

  cancel() {
    this.picture.startDrawing(false);
    this.stopFilm();
    say("");
  }

  close() {
    this.stopFilm();
    this.box.stop();
    this.picture.close();
  }
}
