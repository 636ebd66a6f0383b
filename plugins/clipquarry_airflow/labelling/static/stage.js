// The frame and its boxes on a Konva stage: shown, picked, drawn, moved and resized. It changes nothing by itself: it tells what a person did.

import { colourOf, dashOf } from "./look.js";

const DARK = "#1b1f24";
const SMALLEST = 4;

export class Picture {
  // `told`: {pick(region), box(region, [x, y, w, h]), drawn([x, y, w, h])}
  constructor(container, told) {
    this.container = container;
    this.told = told;
    this.stage = new Konva.Stage({ container, width: 10, height: 10 });
    this.frames = new Konva.Layer({ listening: false });
    this.boxes = new Konva.Layer();
    this.image = new Konva.Image({});
    this.frames.add(this.image);
    this.stage.add(this.frames, this.boxes);
    this.handles = new Konva.Transformer({
      rotateEnabled: false, flipEnabled: false, keepRatio: false, ignoreStroke: true, anchorSize: 12, anchorCornerRadius: 6,
      anchorStroke: DARK, anchorStrokeWidth: 2, anchorFill: "#ffffff", borderEnabled: false,
    });
    this.drawing = null;
    this.shown = null;
    this.visible = true;
    this.sizes = new ResizeObserver(() => this._fit());
    this.sizes.observe(container);
    this.ending = new AbortController();
    this._listen();
  }

  // Show a loaded image and boxes [{region, box, track, text, selected, conflict}]. Synchronous, so that a frame is there with its boxes.
  show(frame, image, boxes) {
    this.frame = frame;
    this.list = boxes;
    this.image.image(image);
    this._fit(true);
    this.frames.draw();
    this._draw();
    this.shown = frame.name;
    this.container.dataset.shown = frame.name;
  }

  // An image of the film in the place of the frame.
  play(image) {
    this.image.image(image);
    this.frames.draw();
  }

  setVisible(visible) {
    this.visible = visible;
    this.boxes.visible(visible);
  }

  startDrawing(on) {
    this.drawing = on ? {} : null;
    this.container.classList.toggle("drawing", on);
  }

  _fit(quiet = false) {
    if (!this.frame) return;
    const width = Math.max(40, this.container.clientWidth), height = Math.max(40, this.container.clientHeight);
    this.scale = Math.min(width / this.frame.width, height / this.frame.height);
    const ratio = window.devicePixelRatio || 1;
    if (ratio !== this.ratio) {
      this.ratio = ratio; // the browser's zoom: boxes stay sharp at 200 %
      for (const layer of [this.frames, this.boxes]) layer.getCanvas().setPixelRatio(ratio);
    }
    const size = [Math.floor(this.frame.width * this.scale), Math.floor(this.frame.height * this.scale)];
    if (this.stage.width() !== size[0] || this.stage.height() !== size[1]) this.stage.size({ width: size[0], height: size[1] });
    this.image.size({ width: size[0], height: size[1] });
    if (!quiet) {
      this.frames.draw();
      this._draw();
    }
  }

  _draw() {
    this.late = this.held; // somebody has the mouse on it: what others did meanwhile is drawn when it is let go
    if (this.late) return;
    this.handles.remove();
    this.boxes.destroyChildren();
    for (const one of [...this.list].sort((a, b) => a.selected - b.selected)) this._box(one);
    this.boxes.draw();
  }

  _box({ region, box, track, text, selected, conflict }) {
    const [x, y, width, height] = box.map((value) => value * this.scale);
    const stroke = selected ? 4 : 2.5;
    const plain = { x, y, width, height, listening: false };
    this.boxes.add(new Konva.Rect({ ...plain, stroke: DARK, strokeWidth: stroke + 3, opacity: 0.85 }));
    const rect = new Konva.Rect({
      ...plain, listening: true, stroke: colourOf(track), strokeWidth: stroke, dash: dashOf(track), draggable: selected,
      hitStrokeWidth: 12, fill: selected ? "rgba(255,255,255,0.06)" : "rgba(0,0,0,0.001)", name: "person", id: `region ${region}`, strokeScaleEnabled: false,
    });
    this.boxes.add(rect);
    const said = new Konva.Label({ x, y: Math.max(0, y - 24), listening: false });
    said.add(new Konva.Tag({ fill: selected ? "#ffffff" : DARK, stroke: colourOf(track), strokeWidth: 2, cornerRadius: 3 }));
    said.add(new Konva.Text({
      text: `${conflict ? "⚠ " : ""}${text}`, fontSize: 14, padding: 4, fill: selected ? "#000000" : "#ffffff", fontFamily: "system-ui, sans-serif",
      fontStyle: selected ? "bold" : "normal", width: selected ? Math.min(Math.max(width, 110), 300) : Math.max(width, 30), ellipsis: true, wrap: "none",
    }));
    if (said.x() + said.width() > this.stage.width()) said.x(Math.max(0, this.stage.width() - said.width()));
    this.boxes.add(said);
    if (!selected) return;
    this.boxes.add(this.handles);
    this.handles.nodes([rect]);
    rect.on("dragend transformend", () => {
      const scaled = [rect.x(), rect.y(), rect.width() * rect.scaleX(), rect.height() * rect.scaleY()];
      rect.scale({ x: 1, y: 1 });
      this.told.box(region, this._inside(scaled.map((value) => value / this.scale)));
    });
  }

  // Whole tenths of a pixel, within the frame.
  _inside([x, y, width, height]) {
    const round = (value) => Math.round(value * 10) / 10;
    const left = Math.min(Math.max(0, x), this.frame.width - 1), top = Math.min(Math.max(0, y), this.frame.height - 1);
    const right = Math.min(this.frame.width, x + width), bottom = Math.min(this.frame.height, y + height);
    return [round(left), round(top), round(Math.max(1, right - left)), round(Math.max(1, bottom - top))];
  }

  _listen() {
    const at = () => this.stage.getPointerPosition();
    this.stage.on("mousedown", (event) => {
      const isOther = event.target.name() === "person" && !event.target.draggable();
      this.held = Boolean(this.drawing) || !isOther;
      if (this.drawing) {
        const { x, y } = at();
        this.drawing = { x, y, rect: new Konva.Rect({ x, y, stroke: "#ffffff", strokeWidth: 2, dash: [6, 4] }) };
        this.boxes.add(this.drawing.rect);
      } else if (event.target.name() === "person") {
        this.told.pick(event.target.id().slice("region ".length));
      }
    });
    this.stage.on("mousemove", () => {
      if (!this.drawing?.rect) return;
      const { x, y } = at();
      const { rect } = this.drawing;
      rect.setAttrs({ x: Math.min(x, this.drawing.x), y: Math.min(y, this.drawing.y), width: Math.abs(x - this.drawing.x), height: Math.abs(y - this.drawing.y) });
    });
    window.addEventListener("mouseup", () => {
      this.held = false;
      if (this.late) setTimeout(() => this._draw()); // after Konva's own ears
      if (!this.drawing?.rect) return;
      const { rect } = this.drawing;
      const box = [rect.x(), rect.y(), rect.width(), rect.height()].map((value) => value / this.scale);
      rect.destroy();
      this.startDrawing(false);
      if (box[2] >= SMALLEST && box[3] >= SMALLEST) this.told.drawn(this._inside(box));
      else this._draw();
    }, { signal: this.ending.signal });
  }

  close() {
    this.sizes.disconnect();
    this.ending.abort();
    this.stage.destroy();
    delete this.container.dataset.shown;
  }
}
