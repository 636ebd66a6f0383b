// What a clip looks like after its operations: the rule of include/clipquarry/labelling/state.py, line by line; a test compares both.
// A state is {seq, regions: {region: {field: [[value, seq, by, client, op], …]}}}.

export const CLIP = "@clip";

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
const [VALUE, SEQ, BY, CLIENT, OP] = [0, 1, 2, 3, 4];

export function apply(state, op) {
  for (const [region, field, value, resolves] of op.writes) write(state, op, region, field, value, resolves === true);
  state.seq = Math.max(state.seq, op.seq);
}

function write(state, op, region, field, value, resolves) {
  const entry = (other) => [other, op.seq, op.by, op.client, op.op];
  let registers = state.regions[region];
  if (!registers) {
    if (region !== CLIP && field !== "frame") return;
    registers = state.regions[region] = region === CLIP ? {} : { alive: [entry(true)] };
  }
  const old = registers[field] || [];
  const seen = old.length < 2 || resolves ? op.base : -1;
  const kept = old.filter((one) => one[CLIENT] !== op.client && one[SEQ] > seen && !same(one[VALUE], value));
  registers[field] = [...kept, entry(value)];
  if (region === CLIP || field === "frame") return;
  const alive = registers.alive;
  if (field !== "alive") {
    const unseen = alive.some((one) => one[VALUE] === false && one[CLIENT] !== op.client && one[SEQ] > op.base);
    if (unseen && !alive.some((one) => one[VALUE] === true)) alive.push(entry(true));
  } else if (value === false && alive.length === 1) {
    const others = Object.entries(registers)
      .filter(([name]) => name !== "alive" && name !== "frame")
      .flatMap(([, values]) => values)
      .filter((one) => one[CLIENT] !== op.client && one[SEQ] > op.base);
    if (others.length) {
      const last = others.reduce((best, one) => (one[SEQ] > best[SEQ] ? one : best));
      registers.alive = [[true, ...last.slice(SEQ)], entry(false)];
    }
  }
}

// The state with operations that the server has not confirmed on top of it.
export function withPending(confirmed, pending, me) {
  const state = { seq: confirmed.seq, regions: { ...confirmed.regions } };
  const own = new Set();
  for (const op of pending) {
    for (const [region] of op.writes) {
      if (!own.has(region) && state.regions[region]) {
        const copied = Object.entries(state.regions[region]).map(([field, values]) => [field, [...values]]);
        state.regions[region] = Object.fromEntries(copied);
      }
      own.add(region);
    }
    apply(state, { ...op, by: me, seq: state.seq + 1 });
  }
  return state;
}

export function value(state, region, field, missing = null) {
  const values = state.regions[region]?.[field];
  if (!values || !values.length) return missing;
  return field === "alive" ? values.some((one) => one[VALUE]) : values[0][VALUE];
}

export const isAlive = (state, region) => region !== CLIP && value(state, region, "alive", false);
export const labelsOf = (state, region, attribute) => value(state, region, `labels/${attribute}`, []);
export const isDone = (state) => value(state, CLIP, "done", false);
export const author = (state, region, field) => state.regions[region]?.[field]?.[0]?.[OP];

export function isLabelled(state, region) {
  return Object.entries(state.regions[region]).some(([field, values]) => field.startsWith("labels/") && values[0][VALUE].length);
}

// Regions by frame, those of one frame by their person's number, then by their place from the left.
export function byFrame(state, frames) {
  const found = new Map(frames.map((frame) => [frame.name, []]));
  for (const region of Object.keys(state.regions)) if (isAlive(state, region)) found.get(value(state, region, "frame"))?.push(region);
  const place = (region) => [value(state, region, "track") ?? Infinity, value(state, region, "box")[0]];
  for (const regions of found.values()) {
    regions.sort((one, other) => {
      const [a, x] = place(one), [b, y] = place(other);
      return (a === b ? 0 : a - b) || x - y || (one < other ? -1 : 1);
    });
  }
  return found;
}

export function conflicts(state) {
  const found = [];
  for (const [region, registers] of Object.entries(state.regions)) {
    if (region !== CLIP && !isAlive(state, region)) continue;
    for (const [field, values] of Object.entries(registers)) {
      if (values.length > 1) found.push({ region, field, values: values.map((one) => ({ value: one[VALUE], by: one[BY] })) });
    }
  }
  return found;
}

export const inConflict = (state, region, field) => (state.regions[region]?.[field]?.length || 0) > 1;

// Seconds in which several boxes have one person's number.
export function doubles(state, regionsByFrame) {
  const found = [];
  for (const [frame, regions] of regionsByFrame) {
    const seen = new Map();
    for (const region of regions) {
      const track = value(state, region, "track");
      if (track !== null) seen.set(track, [...(seen.get(track) || []), region]);
    }
    for (const [track, those] of seen) if (those.length > 1) found.push({ frame, track, regions: those });
  }
  return found;
}
