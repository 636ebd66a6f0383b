// What each command writes: from the state as it is shown to [[region, field, value], …]. Nothing here knows the page.

import { author, inConflict, isAlive, isLabelled, labelsOf, value } from "./state.js";

const field = (attribute) => `labels/${attribute}`;
export const numberOf = (state, region) => value(state, region, "track");

// Put an option on or off; of a group with one choice it replaces the other.
export function toggled(state, region, attribute, option) {
  const now = labelsOf(state, region, attribute.id);
  const on = !now.includes(option.id);
  const order = attribute.options.map((one) => one.id);
  const all = attribute.several ? (on ? [...now, option.id] : now.filter((one) => one !== option.id)) : on ? [option.id] : [];
  return [region, field(attribute.id), order.filter((one) => all.includes(one))];
}

const labelWrites = (state, from, to, attributes) => attributes
  .map((one) => [to, field(one.id), labelsOf(state, from, one.id)])
  .filter(([, name, options], at) => !inConflict(state, to, name) && options.join() !== labelsOf(state, to, attributes[at].id).join());

// People of a second that have no label yet get what the same person had in the second before.
export function copied(state, people, before, attributes) {
  return people.filter((one) => !isLabelled(state, one)).flatMap((one) => {
    const number = numberOf(state, one);
    const from = number === null ? undefined : before.find((other) => numberOf(state, other) === number);
    return from === undefined ? [] : labelWrites(state, from, one, attributes);
  });
}

export function ofTrack(seconds, state, region) {
  const number = numberOf(state, region);
  return number === null ? [region] : seconds.flat().filter((one) => numberOf(state, one) === number);
}

// A person's labels in all other seconds of the clip; `all`: also where there are labels already.
export function repeated(state, seconds, region, attributes, all) {
  return ofTrack(seconds, state, region)
    .filter((one) => one !== region && (all || !isLabelled(state, one)))
    .flatMap((one) => labelWrites(state, region, one, attributes));
}

// One action for a person from this second on.
export function toggledOn(state, seconds, at, region, attribute, option) {
  const first = toggled(state, region, attribute, option);
  const on = first[2].includes(option.id);
  const later = ofTrack(seconds.slice(at + 1), state, region).filter((one) => one !== region && !inConflict(state, one, first[1]));
  const rest = later.filter((one) => labelsOf(state, one, attribute.id).includes(option.id) !== on).map((one) => toggled(state, one, attribute, option));
  return [first, ...rest];
}

export const freeNumber = (state, people) => 1 + people.reduce((most, one) => Math.max(most, numberOf(state, one) ?? 0), 0);

// From this second on the person is somebody else.
export function split(state, seconds, at, region) {
  const number = freeNumber(state, Object.keys(state.regions).filter((one) => isAlive(state, one)));
  return ofTrack(seconds.slice(at), state, region).map((one) => [one, "track", number]);
}

// Two numbers are one person; a sentence where they are in one second together.
export function joined(state, seconds, region, number) {
  const ours = ofTrack(seconds, state, region);
  for (const people of seconds) {
    if (people.some((one) => ours.includes(one)) && people.some((one) => !ours.includes(one) && numberOf(state, one) === number)) {
      return `Both are in the same second, so they are two people: split a track first (s), or give one box another number (t).`;
    }
  }
  return ours.map((one) => [one, "track", number]);
}

export function moved(box, frame, [x, y, width, height]) {
  const next = [box[0] + x, box[1] + y, Math.max(2, box[2] + width), Math.max(2, box[3] + height)];
  next[2] = Math.min(next[2], frame.width);
  next[3] = Math.min(next[3], frame.height);
  next[0] = Math.min(Math.max(0, next[0]), frame.width - next[2]);
  next[1] = Math.min(Math.max(0, next[1]), frame.height - next[3]);
  return next;
}

// What takes an operation back: for each register what it showed before.
export function inverse(state, writes) {
  const fresh = new Set(writes.filter(([, name]) => name === "frame").map(([region]) => region));
  const back = [...fresh].map((region) => [region, "alive", false]);
  for (const [region, name] of writes) {
    if (!fresh.has(region)) back.push([region, name, value(state, region, name, name.startsWith("labels/") ? [] : name === "done" ? false : null)]);
  }
  return back;
}

// Only what is still as the operation left it: what others wrote since is theirs.
export function stillOurs(state, op, writes) {
  return writes.filter(([region, name]) => (name === "alive" && !op.writes.some((one) => one[0] === region && one[1] === "alive"))
    || author(state, region, name) === op.op);
}
