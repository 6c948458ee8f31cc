/** Pieces that every view shares. */
import { h, s, $, plain } from './dom.js';
import { ago, count, duration } from './format.js';
import { address } from './router.js';

/* A shape for each meaning: colour is never alone. */
const SHAPES = {
  error: ['M4 4l8 8M12 4l-8 8'],
  slow: ['M8 2.2a5.8 5.8 0 1 0 .01 0', 'M8 5v3.4l2.4 1.4'],
  new: ['M8 1.8 14.2 8 8 14.2 1.8 8z'],
  regressed: ['M3 6h6.5a3.5 3.5 0 0 1 0 7H6', 'M5.8 3 2.8 6l3 3'],
  ongoing: ['M2 8h3l1.5-4 3 8L11 8h3'],
  muted: ['M8 2.2a5.8 5.8 0 1 0 .01 0', 'M4 12l8-8'],
  resolved: ['M3 8.5l3.4 3.5L13 4.5'],
  ends: ['M3 3v5a3 3 0 0 0 3 3h7', 'M10 8l3 3-3 3'],
  fine: ['M3 8.5l3.4 3.5L13 4.5'],
  info: ['M8 7v5', 'M8 4v.5'],
  theme: ['M8 2.2a5.8 5.8 0 1 0 .01 0', 'M8 2.2v11.6', 'M8 5.5h5M8 8h5.6M8 10.5h5'],
  copy: ['M6 6h7v7H6z', 'M3 10V3h7'],
  out: ['M6 3H3v10h10v-3', 'M9 3h4v4', 'M13 3 7.5 8.5'],
};
export const shape = (name) =>
  s(
    'svg',
    { class: `shape ${name}`, viewBox: '0 0 16 16', width: 13, height: 13, 'aria-hidden': 'true' },
    (SHAPES[name] ?? SHAPES.info).map((d) => s('path', { d })),
  );
export const badge = (state, words = state) =>
  h('span', { class: `badge ${state}` }, shape(state), words);

/** "z" in words first: nobody reads statistics at night. */
export const REPORTED = 4;
export const sureness = (z) => {
  if (z >= 2 * REPORTED) return 'certain';
  return z >= REPORTED ? 'very likely' : 'not certain';
};
export const certainty = (z) =>
  h(
    'div',
    { class: 'sure', title: `z ${z.toFixed(1)}; a change is reported from z ${REPORTED} on` },
    h('span', { class: 'word' }, sureness(z)),
    h('span', { class: 'z' }, `z ${z >= 10 ? Math.round(z) : z.toFixed(1)}`),
    h(
      'span',
      { class: 'bar', 'aria-hidden': 'true' },
      h('i', { style: { width: `${Math.min(100, (z / 14) * 100)}%` } }),
      h('b'),
    ),
  );

export const likeness = (v) => {
  const shown = Math.max(0, Math.min(1, v));
  return h(
    'div',
    { class: 'like' },
    h('span', { class: 'num' }, shown.toFixed(2).replace('0.', '.')),
    h('span', { class: 'sr' }, ' likeness'),
    h(
      'span',
      { class: 'bar', 'aria-hidden': 'true' },
      h('i', { style: { width: `${shown * 100}%` } }),
    ),
  );
};

/** "service operation → callee": what a row is about, always in this order. */
export const who = (service, operation, calls) =>
  h(
    'span',
    { class: 'who' },
    h('b', {}, service),
    ' ',
    h('span', { class: 'op' }, operation),
    calls && [
      h('span', { class: 'arrow', 'aria-hidden': 'true' }, ' → '),
      h('span', { class: 'sr' }, ' calls '),
      h('span', { class: 'next' }, calls),
    ],
  );

/** The words of a group: what differs from case to case is dimmed, not hidden. */
const SLOT = '<*>';
export const slots = (title) =>
  plain(title)
    .split(/(<\*>)/)
    .map((part) =>
      part === SLOT
        ? h(
            'span',
            { class: 'slot', title: 'differs from case to case' },
            h('span', { 'aria-hidden': 'true' }, SLOT),
            h('span', { class: 'sr' }, ' (any value) '),
          )
        : part,
    );
export const spoken = (title) => plain(title).replaceAll(SLOT, '…');

/** Of a text like another one: what both say steps back, what differs stands out. */
export const differing = (words, other) => {
  const said = new Set(plain(other).split(' '));
  return plain(words)
    .split(' ')
    .map((w, i) => [i ? ' ' : '', said.has(w) ? h('span', { class: 'same' }, w) : w]);
};

const tokens = (text) =>
  text
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((w) => w.length > 2);
/* The same word, or one that begins alike: "timeouts" marks "timeout". */
const alike = (a, b) =>
  a === b || (a.length > 3 && b.length > 3 && (a.startsWith(b) || b.startsWith(a)));
export const marked = (words, question) => {
  const asked = tokens(plain(question ?? ''));
  return plain(words)
    .split(' ')
    .map((w, i) => {
      const own = tokens(w);
      return [i ? ' ' : '', asked.some((a) => own.some((b) => alike(a, b))) ? h('mark', {}, w) : w];
    });
};

/* --- traces -------------------------------------------------------------- */
/** An address that a browser may follow: a template could be set to anything. */
const followed = (link) =>
  link && URL.canParse(link) && /^https?:$/.test(new URL(link).protocol) ? link : null;
/** A link where `trace_link` is set, else the id, to be copied. */
export const traceLink = (example, words) => {
  const to = followed(example.link);
  if (!to)
    return h(
      'button',
      {
        type: 'button',
        class: 'quiet trace',
        'data-copy': example.trace,
        title: `Copy the trace's id ${example.trace}`,
      },
      h('code', {}, example.trace.slice(0, 8)),
      shape('copy'),
    );
  return h(
    'a',
    {
      class: 'trace',
      href: to,
      target: '_blank',
      rel: 'noreferrer',
      title: `trace ${example.trace}`,
    },
    words ?? h('code', {}, example.trace.slice(0, 8)),
    shape('out'),
    h('span', { class: 'sr' }, ` trace ${example.trace.slice(0, 8)}, opens in a new tab`),
  );
};
const HEADS = ['Trace', 'When', 'Duration'];
export const examples = (list, caption) =>
  h(
    'div',
    { class: 'scroll' },
    h(
      'table',
      { class: 'examples' },
      h('caption', {}, caption),
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          HEADS.map((t, i) => h('th', { scope: 'col', class: i === 2 ? 'r' : null }, t)),
        ),
      ),
      h(
        'tbody',
        {},
        list.map((e) =>
          h(
            'tr',
            {},
            h('td', {}, traceLink(e)),
            h('td', {}, ago(e.at)),
            h('td', { class: 'r num' }, e.ms == null ? '' : duration(e.ms)),
          ),
        ),
      ),
    ),
  );

export const stat = (label, value, note) =>
  h(
    'div',
    { class: 'stat' },
    h('dt', {}, label),
    h('dd', {}, h('span', { class: 'num' }, value), note && h('small', {}, note)),
  );
export const copyLine = (line, label = 'Copy') =>
  h(
    'span',
    { class: 'line' },
    h('code', {}, line),
    h(
      'button',
      { class: 'quiet copy', type: 'button', 'data-copy': line, 'aria-label': `Copy: ${line}` },
      shape('copy'),
      label,
    ),
  );
export const links = (...list) =>
  h(
    'p',
    { class: 'links' },
    list.filter(Boolean).map(([words, to]) => h('a', { href: to }, words)),
  );
export const textWay = (id) => address('search', { like: id });

/** A list that j and k walk. Focus is the cursor: no second kind of "selected". */
export const focusStep = (step, root = document) => {
  const rows = [...root.querySelectorAll('[data-row]')].filter((el) => el.offsetParent);
  if (!rows.length) return;
  const here = rows.findIndex(
    (el) => el === document.activeElement || el.closest('li, tr')?.contains(document.activeElement),
  );
  const beside = step > 0 ? 0 : rows.length - 1;
  const next = rows[here < 0 ? beside : Math.max(0, Math.min(rows.length - 1, here + step))];
  next.focus();
  (next.closest('li') ?? next).scrollIntoView({ block: 'nearest' });
};
/** The row with this name, whatever signs are in it. */
export const rowNamed = (name) =>
  [...document.querySelectorAll('[data-row]')].find((el) => el.dataset.row === name);
/** Puts focus where it was, or where its row was, after a list was made anew. */
export const keepingFocus = (change) => {
  const rows = () => [...document.querySelectorAll('[data-row]')];
  const name = document.activeElement?.dataset?.row;
  const chip = document.activeElement?.dataset?.chip;
  const place = rows().indexOf(document.activeElement);
  change();
  if (name)
    (rowNamed(name) ?? rows()[Math.max(0, Math.min(place, rows().length - 1))] ?? $('h1'))?.focus();
  else if (chip)
    [...document.querySelectorAll('[data-chip]')].find((el) => el.dataset.chip === chip)?.focus();
};

let toastTimer;
export const toast = (words, undo) => {
  clearTimeout(toastTimer);
  const box = $('#toast');
  const back = () => {
    undo();
    box.replaceChildren();
  };
  box.replaceChildren(
    h(
      'div',
      {},
      words,
      undo &&
        h('button', { type: 'button', id: 'undo', onclick: back }, 'Undo ', h('kbd', {}, 'u')),
    ),
  );
  toastTimer = setTimeout(() => box.replaceChildren(), 9000);
};
export const pill = (n, show, words = `${count(n)} new`) =>
  h(
    'button',
    { type: 'button', class: 'arrived', onclick: show },
    shape('new'),
    words,
    h('span', {}, ' — show it'),
    h('kbd', { 'aria-hidden': 'true' }, '.'),
  );
