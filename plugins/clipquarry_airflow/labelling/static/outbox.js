// The browser's journal: every operation is in IndexedDB, on the disk, before it is shown; it leaves only when the server has kept it.
// Without IndexedDB (some private windows) localStorage takes its place.

import { apply, withPending } from "./state.js";
import { post } from "./talk.js";

const [DATABASE, STORE] = ["clipquarry-labelling", "operations"];
const AT_ONCE = 200;
const [FIRST_WAIT, LONGEST_WAIT, LOOK] = [500, 20000, 2500];

// Not crypto.randomUUID: it needs https, and many an Airflow is reached by http.
export function newName() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((one) => one.toString(16).padStart(2, "0")).join("").replace(/(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

const asked = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

class Restored extends Error {
  constructor() {
    super("The server's copy is older than this page: it was restored from a backup. Reload the page.");
    this.status = this.final = true;
  }
}

class Indexed {
  static async open() {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "n", autoIncrement: true });
    const database = await asked(request);
    database.onversionchange = () => database.close();
    return new Indexed(database);
  }
  constructor(database) { this.database = database; }
  _done(mode, work) {
    return new Promise((resolve, reject) => {
      const transaction = this.database.transaction(STORE, mode, { durability: "strict" });
      const request = work(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error || new Error("The browser's storage refuses."));
    });
  }
  all() { return this._done("readonly", (store) => store.getAll()); }
  async put(record) { record.n = await this._done("readwrite", (store) => store.put(record)); }
  remove(numbers) { return this._done("readwrite", (store) => numbers.map((n) => store.delete(n)).at(-1)); }
}

class Local {
  constructor() { this.last = Date.now() * 1000; }
  async all() {
    const keys = Object.keys(localStorage).filter((key) => key.startsWith(`${DATABASE}/`)).sort();
    return keys.map((key) => JSON.parse(localStorage.getItem(key)));
  }
  async put(record) {
    record.n ??= ++this.last;
    localStorage.setItem(`${DATABASE}/${record.n}`, JSON.stringify(record));
  }
  async remove(numbers) { for (const n of numbers) localStorage.removeItem(`${DATABASE}/${n}`); }
}

export class Outbox {
  // `place`: dataset/project/clip/seat, `path`: where operations go, `me`: the person. `changed()` is called after every change.
  static async open({ place, path, me, state, changed }) {
    let store;
    try {
      store = await Indexed.open();
    } catch {
      store = new Local();
    }
    navigator.storage?.persist?.().catch(() => {}); // asks the browser not to clear it by itself
    const box = new Outbox();
    Object.assign(box, { store, place, path, me, confirmed: state, changed, client: newName() });
    const records = (await store.all()).filter((one) => one.place === place && one.me === me);
    box.pending = records.filter((one) => !one.refused);
    box.refused = records.filter((one) => one.refused);
    box.wait = 0;
    box.trouble = "";
    box.closed = false;
    box._refresh();
    box._soon(0);
    return box;
  }

  _refresh() { this.view = withPending(this.confirmed, this.pending.map((one) => one.op), this.me); }

  // Resolves when the operation is on this computer's disk.
  async add(what, writes, undoes = undefined) {
    const op = { op: newName(), client: this.client, base: this.confirmed.seq, what, writes };
    if (undoes) op.undoes = undoes;
    const record = { place: this.place, me: this.me, at: new Date().toISOString(), op };
    await this.store.put(record);
    this.pending.push(record);
    this._refresh();
    this.changed();
    if (!this.wait) this._soon(0);
    return op;
  }

  _soon(delay) {
    if (this.stopped) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this._send(), delay);
  }

  async _send() {
    if (this.sending || this.closed || this.stopped) return;
    this.sending = true;
    const batch = this.pending.slice(0, AT_ONCE);
    try {
      const answer = await post(this.path, { seen: this.confirmed.seq, operations: batch.map((one) => one.op) });
      await this._take(answer, batch);
      this.wait = 0;
      this.trouble = "";
    } catch (error) {
      this.signedOut = error.signedOut === true;
      this.closed = error.final === true;
      this.wait = Math.min(LONGEST_WAIT, (this.wait || FIRST_WAIT / 2) * 2) * (0.75 + Math.random() / 2);
      this.trouble = error.status ? error.message : "The server cannot be reached.";
    }
    this.sending = false;
    this.changed();
    this._soon(this.wait || (this.pending.length ? 0 : LOOK));
  }

  async _take(answer, batch) {
    const gone = [];
    for (const record of batch) {
      if (answer.refused[record.op.op]) {
        record.refused = answer.refused[record.op.op];
        await this.store.put(record); // it stays on this computer until the person has seen it
        this.refused.push(record);
      }
      if (answer.kept[record.op.op] || record.refused) gone.push(record);
    }
    const kept = gone.filter((one) => !one.refused).map((one) => one.n);
    if (answer.state) this.confirmed = answer.state;
    else if (answer.seq < this.confirmed.seq) throw new Restored();
    else for (const op of answer.news) if (op.seq > this.confirmed.seq) apply(this.confirmed, op);
    this.pending = this.pending.filter((one) => !gone.includes(one));
    this._refresh();
    if (kept.length) await this.store.remove(kept);
  }

  retry() {
    this.closed = false;
    this.wait = 0;
    this._soon(0);
  }

  async drop() {
    await this.store.remove(this.refused.map((one) => one.n));
    this.refused = [];
    this.changed();
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
  }
}

// What other clips' pages could not send before they were closed: sent now, by whatever page is open. Returns what still waits.
export async function sendLeftovers(root, me, openPlace) {
  let store;
  try {
    store = await Indexed.open();
  } catch {
    store = new Local();
  }
  const records = (await store.all()).filter((one) => one.me === me && one.place !== openPlace && !one.refused);
  let left = records.length;
  for (const place of new Set(records.map((one) => one.place))) {
    const [dataset, project, clip, seat] = place.split("/").map(encodeURIComponent);
    const these = records.filter((one) => one.place === place);
    for (let at = 0; at < these.length; at += AT_ONCE) {
      const batch = these.slice(at, at + AT_ONCE);
      try {
        const body = { seen: Number.MAX_SAFE_INTEGER, operations: batch.map((one) => one.op) };
        const answer = await post(`${root}p/${dataset}/${project}/clips/${clip}/${seat}`, body);
        for (const record of batch.filter((one) => answer.refused[one.op.op])) {
          await store.put({ ...record, refused: answer.refused[record.op.op] });
        }
        const kept = batch.filter((one) => answer.kept[one.op.op]);
        if (kept.length) await store.remove(kept.map((one) => one.n));
        left -= batch.length;
      } catch {
        break; // it stays where it is
      }
    }
  }
  return left;
}
