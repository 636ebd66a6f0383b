// Images of a clip, loaded and decoded before they are needed, so that the next second is there within a blink.

const AROUND = 12; // key frames before and after the present one
const AT_ONCE = 4;

export class Images {
  constructor(address) {
    this.address = address; // (kind, …numbers) → URL
    this.loaded = new Map();
    this.waiting = [];
    this.busy = 0;
  }

  // A decoded image; a promise only where it is not there yet. `null`: the server has none.
  get(...key) {
    const name = key.join("/");
    if (!this.loaded.has(name)) this.loaded.set(name, this._load(key, name));
    return this.loaded.get(name);
  }

  async _load(key, name) {
    const image = new Image();
    image.decoding = "async";
    image.src = this.address(...key);
    try {
      await image.decode();
    } catch {
      this.loaded.delete(name); // asked again when the server is back
      return null;
    }
    this.loaded.set(name, image);
    return image;
  }

  // Load what is near a frame, the nearest first, a few at a time, and forget what is far.
  near(frame, count) {
    const order = [];
    for (let step = 1; step <= AROUND; step++) order.push(frame + step, frame - step);
    this.waiting = order.filter((one) => one >= 0 && one < count && !this.loaded.has(`images/${one}`)).map((one) => ["images", one]);
    for (const [name, image] of this.loaded) {
      if (image instanceof Image && Math.abs(Number(name.split("/")[1]) - frame) > 2 * AROUND) this.loaded.delete(name);
    }
    this._next();
  }

  also(keys) {
    this.waiting.push(...keys.filter((key) => !this.loaded.has(key.join("/"))));
    this._next();
  }

  _next() {
    while (this.busy < AT_ONCE && this.waiting.length) {
      this.busy += 1;
      Promise.resolve(this.get(...this.waiting.shift())).finally(() => {
        this.busy -= 1;
        this._next();
      });
    }
  }
}
