/** Texts by likeness. Colour and shape by choice; hover reads, click searches, a drawn area lists. */
import * as api from '../api.js';
import { h, $, say, set } from '../dom.js';
import { ago, count, counted, now } from '../format.js';
import { keepingFocus, shape, textWay, who } from '../parts.js';
import { CLASSES, NEW, Plane, joined, looks } from '../plane.js';
import { changed, go, replace } from '../router.js';

const MOST = 20_000;
const LISTED = 30;
const NEAR = 12;
const CALM = 80;
const WAYS = { service: 'Service', status: 'Status', operation: 'Operation', seen: 'First seen' };
const by = ({ params }) => (WAYS[params.get('by')] ? params.get('by') : 'status');
const hidden = ({ params }) => new Set(params.getAll('without'));

export const title = () => 'Map';
export const hints = [
  ['← ↑ ↓ →', 'walk'],
  ['Enter', 'search from a point'],
  ['j k', 'list'],
  ['Esc', 'let the area go'],
];
export const command = () => 'otel-embedder catalogue export';
export const load = (_, signal) => api.map(MOST, signal);

let plane;
let canvas;
let current;
let cursor = -1;
let brush = null;
let observer;

const held = () => plane.held;
const pointed = () => held().points[cursor];
const area = () =>
  brush && [
    Math.min(brush[0], brush[2]),
    Math.min(brush[1], brush[3]),
    Math.abs(brush[2] - brush[0]),
    Math.abs(brush[3] - brush[1]),
  ];
const draw = () => {
  if (!canvas?.isConnected) return;
  plane.draw(canvas, { way: by(current), off: hidden(current), point: pointed(), area: area() });
};
const isShown = () => {
  const { names, of } = CLASSES[by(current)](held());
  const off = hidden(current);
  return (p) => !off.has(names[of(p)]);
};
const nearest = (x, y, far = NEAR) => plane.nearest(x, y, far, isShown());

/* --- one point ----------------------------------------------------------- */
const entries = new Map();
const entryOf = (p) => {
  if (!entries.has(p.key)) {
    const asked = api.entry(p.key);
    asked.catch(() => entries.delete(p.key));
    entries.set(p.key, asked);
  }
  return entries.get(p.key);
};
const UNKNOWN = { words: 'What it says could not be read.', n: null };
const readable = (p) => entryOf(p).catch(() => UNKNOWN);
/** Goes on to what reads like a point. */
const follow = async (p) => {
  const { id } = await readable(p);
  if (id) go(textWay(id));
};
const line = (p) => who(held().services[p.service], held().operations[p.operation]);
const facts = (p, entry) => [
  p.failed && [shape('error'), 'failed · '],
  entry.n != null && [counted(entry.n, 'span'), ' · '],
  'first seen ',
  ago(p.first),
];
let calm;
const card = (speak) => {
  const el = $('#card');
  clearTimeout(calm);
  if (!el) return;
  el.hidden = cursor < 0;
  if (cursor < 0) return;
  const p = pointed();
  const [x, y] = plane.where(p);
  el.style.setProperty('left', `${Math.min(Math.max(0, plane.size[0] - 296), x + 14)}px`);
  el.style.setProperty('top', `${Math.min(plane.size[1] - 130, y + 14)}px`);
  const fill = (entry) =>
    set(
      el,
      line(p),
      h('code', {}, entry.words.slice(0, 240)),
      h('span', { class: 'mute' }, facts(p, entry)),
    );
  fill({ words: '…', n: null });
  /* A pointer that only passes asks nothing. */
  calm = setTimeout(async () => {
    const entry = await readable(p);
    if (pointed() !== p) return;
    fill(entry);
    if (speak) say(`${held().services[p.service]} ${entry.words}`);
  }, CALM);
};
const move = (i, speak) => {
  if (i === cursor) return;
  cursor = i;
  card(speak);
  draw();
};
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
/** The nearest point that way, within an angle of 45°. */
const beside = ([dx, dy]) => {
  const [x, y] = plane.where(pointed());
  const shown = isShown();
  let best = -1;
  let least = Infinity;
  held().points.forEach((p, i) => {
    const [px, py] = plane.where(p);
    const along = (px - x) * dx + (py - y) * dy;
    const across = Math.abs((px - x) * dy) + Math.abs((py - y) * dx);
    const d = along + 2 * across;
    if (along > 1 && across <= along && d < least && shown(p)) [best, least] = [i, d];
  });
  return best;
};
const walk = (e) => {
  if (e.key === 'Enter' && cursor >= 0) {
    follow(pointed());
    return;
  }
  const way = ARROWS[e.key];
  if (!way) return;
  e.preventDefault();
  e.stopPropagation();
  const to = cursor < 0 ? nearest(plane.size[0] / 2, plane.size[1] / 2, Infinity) : beside(way);
  if (to >= 0) move(to, true);
};

/* --- an area ------------------------------------------------------------- */
const inArea = () => {
  const { points } = held();
  const byTime = (a, b) => b.first - a.first;
  if (!brush) return points.filter((p) => now() - p.first < NEW).sort(byTime);
  const [left, top, wide, high] = area();
  const shown = isShown();
  const isIn = (p) => {
    const [x, y] = plane.where(p);
    return x >= left && x <= left + wide && y >= top && y <= top + high;
  };
  return points.filter((p) => isIn(p) && shown(p)).sort(byTime);
};
const listed = (p) => {
  const words = h(
    'button',
    { type: 'button', class: 'text', 'data-row': p.key, onclick: () => follow(p) },
    '…',
  );
  const n = h('span', { class: 'num' });
  readable(p).then((entry) => {
    set(words, entry.words);
    set(n, entry.n == null ? '' : count(entry.n));
  });
  return h('li', {}, n, h('div', {}, h('p', {}, p.failed && shape('error'), line(p)), words));
};
const list = () => {
  const found = inArea();
  const heading = brush
    ? `${counted(found.length, 'text')} in the area`
    : `New in the last 15 minutes: ${count(found.length)}`;
  const hint = brush ? 'Escape lets it go.' : 'Draw an area to list what lies in it.';
  keepingFocus(() =>
    set(
      $('#area'),
      h('h2', { id: 'h-area' }, heading),
      h('p', { class: 'mute' }, hint, found.length > LISTED && ` The newest ${LISTED} are shown.`),
      h('ul', { class: 'inarea' }, found.slice(0, LISTED).map(listed)),
    ),
  );
};
const at = (e) => {
  const frame = canvas.getBoundingClientRect();
  return [e.clientX - frame.left, e.clientY - frame.top];
};
const down = (e) => {
  if (e.button) return;
  const [x, y] = at(e);
  const stopping = new AbortController();
  const { signal } = stopping;
  let drawn = false;
  const drag = (ev) => {
    const [u, v] = at(ev);
    if (!drawn && Math.hypot(u - x, v - y) <= 5) return;
    drawn = true;
    brush = [x, y, u, v];
    cursor = -1;
    card();
    draw();
  };
  const up = () => {
    stopping.abort();
    const i = nearest(x, y);
    if (!drawn && i >= 0) follow(held().points[i]);
    if (!drawn) return;
    list();
    say($('#h-area').textContent);
  };
  addEventListener('pointermove', drag, { signal });
  addEventListener('pointerup', up, { signal });
  addEventListener('pointercancel', () => stopping.abort(), { signal });
};

/* --- the view ------------------------------------------------------------ */
const choice =
  (way) =>
  ([value, words]) =>
    h(
      'label',
      { class: 'chip' },
      h('input', {
        type: 'radio',
        name: 'by',
        value,
        checked: value === way,
        'data-chip': `by ${value}`,
        onchange: () => replace(changed({ by: value, without: null })),
      }),
      words,
    );
const flip = (name, off) => () => {
  const next = new Set(off);
  if (!next.delete(name)) next.add(name);
  replace(changed({ without: [...next] }));
};
const legend = (state) => {
  const way = by(state);
  const off = hidden(state);
  const { names, of } = CLASSES[way](held());
  const tally = names.map(() => 0);
  for (const p of held().points) tally[of(p)] += 1;
  const shown = (name, k) => {
    const look = looks(way, k);
    const props = { 'data-chip': `class ${name}`, 'aria-pressed': String(!off.has(name)) };
    return h(
      'button',
      { type: 'button', class: 'chip', onclick: flip(name, off), ...props },
      h('i', { class: `key ${look.mark} ${look.name}`, 'aria-hidden': 'true' }),
      name,
      h('span', { class: 'num' }, count(tally[k])),
    );
  };
  return [
    h(
      'div',
      { role: 'radiogroup', 'aria-label': 'Colour by', class: 'by' },
      h('span', { class: 'mute' }, 'Colour by'),
      Object.entries(WAYS).map(choice(way)),
    ),
    h('div', { role: 'group', 'aria-label': 'Shown', class: 'by' }, names.map(shown)),
  ];
};
const summary = () =>
  `${counted(held().points.length, 'text')}, those seen last. Points stay where they are; near means alike, far means little.`;
const label = () =>
  `${counted(held().points.length, 'text')} by likeness. Arrow keys walk from point to point, Enter searches from one.`;

export const render = (state, data) => {
  plane = new Plane(data);
  [current, cursor, brush] = [state, -1, null];
  const hover = (e) => {
    if (!e.buttons) move(nearest(...at(e)));
  };
  canvas = h('canvas', {
    tabindex: 0,
    role: 'application',
    'aria-roledescription': 'map',
    'aria-label': label(),
    onpointermove: hover,
    onpointerleave: () => move(-1),
    onpointerdown: down,
    onkeydown: walk,
    onblur: () => move(-1),
  });
  const frame = h(
    'div',
    { class: 'frame' },
    canvas,
    h('div', { id: 'card', class: 'card', hidden: true }),
  );
  observer = new ResizeObserver(([{ contentRect }]) => {
    plane.size = [Math.round(contentRect.width), Math.round(contentRect.height)];
    draw();
  });
  observer.observe(frame);
  addEventListener('themechange', draw);
  return h(
    'div',
    { class: 'view' },
    h(
      'div',
      { class: 'verdict' },
      h('h1', { tabindex: -1 }, 'What reads alike lies together.'),
      h('p', { class: 'why', id: 'summary' }, summary()),
    ),
    h('div', { id: 'legend', class: 'filters' }, legend(state)),
    h(
      'div',
      { class: 'with-aside' },
      frame,
      h('aside', { id: 'area', 'aria-labelledby': 'h-area' }),
    ),
  );
};
export const shown = list;
const refresh = () => {
  keepingFocus(() => set($('#legend'), legend(current)));
  set($('#summary'), summary());
  draw();
};
export const update = (state, data) => {
  const was = pointed();
  current = state;
  plane.hold(data);
  cursor = was ? data.points.findIndex((p) => p.key === was.key) : -1;
  refresh();
  list();
};
const again = async () => {
  const data = await load().catch(() => null);
  if (data && canvas.isConnected) update(current, data);
};
/* New points come beside those that are there: none moves. Where some were missed, all come again. */
export const arrived = ({ after, points }) => {
  if (!plane || points.changed === held().changed) return;
  const fits = points.axes === held().axes && held().points.length < 2 * MOST;
  const isNext = after <= held().changed && held().changed < points.changed;
  if (fits && isNext && points.isWhole)
    update(current, joined(held(), points));
  else again();
};
export const leave = () => {
  observer.disconnect();
  removeEventListener('themechange', draw);
};
export const key = (e) => (e.key === 'l' && pointed() ? () => follow(pointed()) : null);
export const escape = () => {
  if (!brush) return false;
  brush = null;
  draw();
  list();
  return true;
};
