/** Is the sidecar well? Problems first, in words, with the remedy. */
import { status } from '../api.js';
import { curve } from '../curve.js';
import { h, set, $ } from '../dom.js';
import { ago, bytes, count, counted, now } from '../format.js';
import { copyLine, keepingFocus, shape, stat } from '../parts.js';

export const hints = [
  ['j k', 'problems'],
  ['p', 'pause'],
  ['y', 'copy the command'],
];
export const command = () => 'otel-embedder health';
export const load = (_, signal) => status(signal);

const serious = (health) => health.troubles.filter((t) => t.tone !== 'info');
const headline = (health) => {
  const [worst] = serious(health);
  return worst ? worst.what : 'All is well.';
};
export const title = (_, health) => (serious(health).length ? headline(health) : 'Now');

const trouble = (t) =>
  h(
    'li',
    { class: t.tone },
    shape(t.tone),
    h(
      'div',
      {},
      h('h3', {}, h('span', { tabindex: -1, 'data-row': t.what }, t.what)),
      h('p', {}, t.effect),
      h('p', {}, h('b', {}, 'What to do: '), t.remedy),
      t.line && copyLine(t.line),
    ),
  );
const troubles = (health) =>
  health.troubles.length > 0 &&
  h(
    'section',
    { 'aria-labelledby': 'h-problems' },
    h('h2', { id: 'h-problems' }, 'Problems'),
    h('ul', { class: 'problems' }, health.troubles.map(trouble)),
  );

/* --- the last hour ------------------------------------------------------- */
const shown = (v) => (Number.isInteger(v) || Math.abs(v) >= 100 ? count(v) : v.toFixed(1));
const share = (v) => (v == null ? null : v * 100);
/* [title, unit, what of a moment, words below it, the most that may be] */
const TILES = [
  ['Spans', 'a second', (m) => m.spans, () => 'passed on'],
  ['Refused', 'a second', (m) => m.refused, () => 'answered with an error'],
  ['Hit rate', '%', (m) => share(m.hits), () => 'texts known already', () => 100],
  ['Wait for the model, p50', 'ms', (m) => m.p50, () => 'a text'],
  ['Wait for the model, p95', 'ms', (m) => m.p95, () => 'a text'],
  ['Wait for the model, p99', 'ms', (m) => m.p99, () => 'a text'],
  ['Stand-ins', 'spans', (m) => m.standIns, () => 'they say what they are'],
  ['Queue', 'texts', (m) => m.queue, (s) => `room for ${count(s.mostQueued)}`],
  ['Memory', 'MB', (m) => m.memory / 1e6, () => 'of the process'],
];
const range = (known) =>
  known.length > 0
    ? `from ${shown(Math.min(...known))} to ${shown(Math.max(...known))}`
    : 'nothing yet';
const tile =
  (s) =>
  ([title, unit, of, note, most]) => {
    const values = s.moments.map((m) => of(m) ?? null);
    const known = values.filter((v) => v !== null);
    const drawn = curve({
      from: s.from,
      step: s.step,
      values,
      label: `${title} (${unit}) over the last hour: ${range(known)}`,
      value: (v) => (v == null ? '' : shown(v)),
      most: most?.(s),
    });
    const last = known.length > 0 ? shown(known.at(-1)) : '–';
    return h(
      'div',
      { class: 'tile' },
      h('dt', {}, title),
      h(
        'dd',
        {},
        h('span', { class: 'num big' }, last),
        ' ',
        h('span', { class: 'unit' }, unit),
        drawn,
        h('small', { class: 'mute' }, note(s)),
      ),
    );
  };
const lastHour = ({ sidecar }) =>
  sidecar &&
  h(
    'section',
    { 'aria-labelledby': 'h-tiles' },
    h('h2', { id: 'h-tiles' }, 'Last hour'),
    h('dl', { class: 'tiles' }, TILES.map(tile(sidecar))),
  );
const ALONE = 'This page is shown beside a sidecar, not by one: it knows the catalogue alone.';
const station = ([name, what]) => h('li', {}, h('b', {}, name), h('code', {}, what));
const way = ({ sidecar, model, textVersion, url }) => {
  if (!sidecar) return h('p', { class: 'mute alone' }, ALONE);
  const stations = [
    ['Door', sidecar.listen],
    ['Text', textVersion],
    ['Model', model],
    ['Next hop', sidecar.nextHop],
    ['Catalogue', url],
  ];
  return h(
    'section',
    { 'aria-labelledby': 'h-way' },
    h('h2', { id: 'h-way' }, 'A span’s way'),
    h('ol', { class: 'way' }, stations.map(station)),
  );
};

const names = (held) =>
  Object.entries(held).map(([name, n]) =>
    h('li', {}, h('code', {}, name), h('span', { class: 'num' }, counted(n, 'text'))),
  );
const kept = ({ catalogue: c, model, textVersion }) =>
  c &&
  h(
    'section',
    { 'aria-labelledby': 'h-kept' },
    h('h2', { id: 'h-kept' }, 'The catalogue'),
    h(
      'dl',
      { class: 'stats' },
      stat('texts', count(c.texts), `of ${counted(c.services.length, 'service')}`),
      stat('waiting', count(c.waiting), 'for a vector'),
      stat('on disk', bytes(c.bytes)),
    ),
    h(
      'div',
      { class: 'pair' },
      h('div', {}, h('h3', {}, 'Vectors of'), h('ul', { class: 'texts' }, names(c.models))),
      h('div', {}, h('h3', {}, 'Texts of version'), h('ul', { class: 'texts' }, names(c.versions))),
    ),
    h(
      'p',
      { class: 'mute' },
      'Questions are compared with those of ',
      h('code', {}, model),
      ' and version ',
      h('code', {}, textVersion),
      '.',
    ),
  );

const content = (health) => [
  h(
    'div',
    { class: 'verdict' },
    h('h1', { tabindex: -1 }, headline(health)),
    h('p', { class: 'why' }, 'Started ', ago(health.started), `, version ${health.version}.`),
  ),
  troubles(health),
  way(health),
  lastHour(health),
  kept(health),
];
const EVERY = 10_000;
let since = 0;
export const render = (_, health) => {
  since = now();
  return h('div', { class: 'view', id: 'now' }, content(health));
};
export const update = (_, health) => {
  since = now();
  keepingFocus(() => set($('#now'), content(health)));
};
/* What is being marked, to be copied, stays; so does a curve that is being read. */
export const tick = async () => {
  const isRead = !getSelection().isCollapsed || $('.curved:hover');
  if (isRead || now() - since < EVERY) return;
  since = now();
  const health = await status().catch(() => null);
  if (health && $('#now')) update(null, health);
};
