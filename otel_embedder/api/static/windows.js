/** The two windows of Changes: read from an address, moved, laid over a curve. Times are ms. */
import { strip } from './charts.js';
import { h, $, $$, set } from './dom.js';
import { MINUTE, clock, count, iso } from './format.js';

const LEAST = 3 * MINUTE;
const HEIGHT = 132;
const ROOM = 620;
const UNITS = { m: MINUTE, h: 60 * MINUTE, d: 1440 * MINUTE };
const clamp = (v, low, high) => Math.max(low, Math.min(high, v));
const toMinute = (t) => Math.round(t / MINUTE) * MINUTE;

/** `15m` that ends at `end`, or `FROM/TO`. */
const parse = (value, end, fallback) => {
  const [, n, unit] = /^(\d+)([mhd])$/.exec(value ?? '') ?? [];
  if (n) return [end - n * UNITS[unit], end];
  const ends = (value ?? '').split('/').map(Date.parse);
  return ends.length === 2 && ends.every(Number.isFinite) ? ends : [end - fallback, end];
};
export const isPinned = (params) => (params.get('window') ?? '').includes('/');
export const windowsOf = (params) => {
  const window = parse(params.get('window'), Math.ceil(Date.now() / MINUTE) * MINUTE, 15 * MINUTE);
  return { window, against: parse(params.get('against'), window[0], 60 * MINUTE) };
};
const spell = ([from, to]) => `${iso(from)}/${iso(to)}`;
export const spelled = (w) => ({ window: spell(w.window), against: spell(w.against) });

/** The windows never overlap: the one that is moved pushes the other along. */
export const legal = (w, name, edge, value, [low, high]) => {
  const moved = [...w[name]];
  const size = moved[1] - moved[0];
  const to = toMinute(value);
  const [first, last] = name === 'window' ? [low + LEAST, high] : [low, high - LEAST];
  if (edge === 'all') {
    moved[0] = clamp(to, first, Math.max(first, last - size));
    moved[1] = Math.min(last, moved[0] + size);
  } else if (edge === 0) moved[0] = clamp(to, first, moved[1] - LEAST);
  else moved[1] = clamp(to, moved[0] + LEAST, last);
  return name === 'window'
    ? { window: moved, against: before(w.against, moved[0], low) }
    : { window: after(w.window, moved[1], high), against: moved };
};
const before = ([from, to], end, low) =>
  to <= end ? [from, to] : [Math.max(low, end - (to - from)), end];
const after = ([from, to], begin, high) =>
  from >= begin ? [from, to] : [begin, Math.min(high, Math.max(to, begin + LEAST))];

const HANDLES = [
  ['against', 0, 'Baseline from'],
  ['against', 1, 'Baseline to'],
  ['window', 0, 'Window from'],
  ['window', 1, 'Window to'],
];
const NAMES = { window: 'Now', against: 'Baseline' };

/** The curve of spans and errors, with both windows to be moved; `moved(windows)` tells so. */
export class CurveWithWindows {
  constructor(moved) {
    this.moved = moved;
    this.box = h('div', { class: 'curve', role: 'group' });
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.box);
  }

  /** Shows this curve, and where the windows are. */
  show(curve, windows) {
    this.curve = curve;
    this.windows = windows;
    this.range = [curve.from, curve.from + curve.step * Math.max(1, curve.spans.length)];
    this.box.setAttribute(
      'aria-label',
      `Spans and errors over time, ${clock(this.range[0])} to ${clock(this.range[1])} UTC: at most ${count(Math.max(0, ...curve.spans))} spans and ${count(Math.max(0, ...curve.errors))} errors each ${curve.step / MINUTE} min. Two windows to move.`,
    );
    this.draw();
  }

  place(windows) {
    this.windows = windows;
    for (const name of ['against', 'window']) {
      const [from, to] = windows[name].map((t) => this.x(t));
      const band = $(`.band.${name}`, this.box);
      if (!band) return;
      band.style.setProperty('left', `${from}px`);
      band.style.setProperty('width', `${Math.max(4, to - from)}px`);
      $('.label', band).textContent = this.label(name, windows[name]);
    }
    $$('.handle', this.box).forEach((el, i) => {
      const [name, edge] = HANDLES[i];
      el.style.setProperty('left', `${this.x(windows[name][edge])}px`);
      el.setAttribute('aria-valuenow', Math.round((windows[name][edge] - this.range[0]) / MINUTE));
      el.setAttribute('aria-valuetext', `${clock(windows[name][edge])} UTC`);
    });
  }

  /* Where there is no room for both, the times of now matter more. */
  label(name, range) {
    const times = this.width < ROOM && name === 'against' ? '' : ` ${range.map(clock).join('–')}`;
    return NAMES[name] + times;
  }

  close() {
    this.observer.disconnect();
  }

  x(t) {
    return clamp((t - this.range[0]) / (this.range[1] - this.range[0]), 0, 1) * this.width;
  }

  draw() {
    if (!this.curve || !this.box.clientWidth) return;
    const focused = $$('.handle', this.box).indexOf(document.activeElement);
    this.width = this.box.clientWidth;
    const { spans, errors, step } = this.curve;
    const each = step === MINUTE ? 'min' : `${step / MINUTE} min`;
    const axis = (side, what, values) =>
      h(
        'span',
        { class: `axis ${side}` },
        `${what}/${each}`,
        h('span', {}, `, ${count(Math.max(0, ...values))} at most`),
      );
    set(
      this.box,
      strip(spans, errors, this.width, HEIGHT),
      axis('high', 'spans', spans),
      axis('low', 'errors', errors),
      this.ticks(),
      ['against', 'window'].map((name) => this.band(name)),
      HANDLES.map((each_) => this.handle(...each_)),
    );
    this.place(this.windows);
    if (focused >= 0) $$('.handle', this.box)[focused].focus();
  }

  ticks() {
    const [low, high] = this.range;
    const sizes = [5, 10, 20, 30, 60, 120, 360, 1440, 10_080].map((n) => n * MINUTE);
    const size = sizes.find((n) => ((high - low) / n) * 62 < this.width) ?? sizes.at(-1);
    const first = Math.ceil(low / size) * size;
    return Array.from({ length: Math.floor((high - first) / size) + 1 }, (_, i) => first + i * size)
      .filter((t) => this.x(t) > 14 && this.x(t) < this.width - 20)
      .map((t) => h('span', { class: 'tick', style: { left: `${this.x(t)}px` } }, clock(t)));
  }

  band(name) {
    return h(
      'div',
      { class: `band ${name}`, onpointerdown: this.drag(name, 'all') },
      h('span', { class: 'label' }),
    );
  }

  handle(name, edge, label) {
    const most = Math.round((this.range[1] - this.range[0]) / MINUTE);
    return h('div', {
      class: `handle ${name} ${edge ? 'to' : 'from'}`,
      role: 'slider',
      tabindex: 0,
      'aria-label': label,
      'aria-valuemin': 0,
      'aria-valuemax': most,
      'aria-valuenow': 0,
      'aria-orientation': 'horizontal',
      onpointerdown: this.drag(name, edge),
      onkeydown: this.nudge(name, edge),
    });
  }

  drag(name, edge) {
    return (e) => {
      if (e.button) return;
      e.preventDefault();
      e.stopPropagation();
      const from = this.windows;
      const start = from[name][edge === 'all' ? 0 : edge];
      const scale = (this.range[1] - this.range[0]) / this.width;
      const move = (ev) =>
        this.moved(legal(from, name, edge, start + (ev.clientX - e.clientX) * scale, this.range));
      const stopping = new AbortController();
      const { signal } = stopping;
      addEventListener('pointermove', move, { signal });
      for (const end of ['pointerup', 'pointercancel'])
        addEventListener(end, () => stopping.abort(), { signal });
    };
  }

  nudge(name, edge) {
    return (e) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
      if (!step) return;
      e.preventDefault();
      e.stopPropagation();
      const by = step * MINUTE * (e.shiftKey ? 5 : 1);
      const w = this.windows;
      this.moved(
        e.altKey
          ? legal(w, name, 'all', w[name][0] + by, this.range)
          : legal(w, name, edge, w[name][edge] + by, this.range),
      );
    };
  }
}
