/** What changed: the answer as a sentence, the curve, then the ranked rows. */
import * as api from '../api.js';
import { h, $, say, set } from '../dom.js';
import { MINUTE, iso, shellWord } from '../format.js';
import { keepingFocus, pill, rowNamed } from '../parts.js';
import { address, changed, go, read, replace } from '../router.js';
import { CurveWithWindows, isPinned, spelled, windowsOf } from '../windows.js';
import { aside, rows, verdict } from './changed.js';

export const hints = [
  ['j k', 'rows'],
  ['Enter', 'traces'],
  ['f', 'failures'],
  ['l', 'reads like it'],
  ['w', 'windows'],
];
export const command = ({ params }) =>
  `otel-embedder changes --window ${shellWord(params.get('window') ?? '15m')} --against ${shellWord(params.get('against') ?? '1h')}`;

const AROUND = 10 * MINUTE;
const SEEN = 120 * MINUTE;
const EVERY = 15_000;

/* The curve stays where it is while windows are moved on it. */
const stretch = (params) => {
  const { window, against } = windowsOf(params);
  const until = isPinned(params)
    ? Math.min(Date.now(), Math.max(window[1] + AROUND, against[0] + SEEN))
    : null;
  return [Math.min(against[0] - AROUND, (until ?? Date.now()) - SEEN), until];
};
let held = null;
const curveFor = async (params, signal) => {
  const { window, against } = windowsOf(params);
  if (held && isPinned(params) && held.from <= against[0] && window[1] <= held.to)
    return held.curve;
  const [since, until] = stretch(params);
  const curve = await api.curve(iso(since), until && iso(until), signal);
  held = { curve, from: curve.from, to: curve.from + curve.step * curve.spans.length };
  return curve;
};
export const load = async ({ params }, signal) => {
  const [found, curve] = await Promise.all([
    api.changes(params.get('window') ?? '15m', params.get('against') ?? '1h', signal),
    curveFor(params, signal),
  ]);
  return { ...found, curve };
};

export const title = (_, data) =>
  data?.certain.length ? `${data.certain[0].service} changed` : 'Changes';

const CHOICES = { '5m': 'last 5 min', '15m': 'last 15 min', '30m': 'last 30 min' };
const presets = (params) =>
  h(
    'div',
    { class: 'presets', role: 'group', 'aria-label': 'Windows' },
    Object.entries(CHOICES).map(([v, words]) =>
      h(
        'a',
        {
          href: address('changes', { window: v === '15m' ? null : v }),
          class: 'chip',
          'data-chip': v,
          'aria-current': (params.get('window') ?? '15m') === v ? 'true' : null,
        },
        words,
      ),
    ),
    isPinned(params)
      ? h(
          'a',
          {
            class: 'chip pinned',
            href: '#/changes',
            title: 'The windows stand still; go back to the last 15 minutes (0)',
          },
          'pinned: back to live ',
          h('kbd', {}, '0'),
        )
      : h('span', { class: 'mute' }, 'against the hour before'),
  );

/* --- the view ------------------------------------------------------------ */
let onCurve;
let current;
let since = 0;
const fill = (params, data) => {
  current = data;
  since = Date.now();
  set($('#verdict'), verdict(data));
  set($('#presets'), presets(params));
  set($('#arrived'));
  set($('#found'), rows(data, params.get('row')));
  set($('#beside'), aside(data));
  onCurve.show(
    data.curve,
    isPinned(params)
      ? windowsOf(params)
      : {
          window: [data.window.from, data.window.to],
          against: [data.baseline.from, data.baseline.to],
        },
  );
};
export const render = () => {
  onCurve = new CurveWithWindows((windows) => replace(changed(spelled(windows))));
  return h(
    'div',
    { class: 'view' },
    h(
      'div',
      { class: 'head' },
      h('div', { class: 'verdict', id: 'verdict' }),
      h('div', { id: 'presets' }),
    ),
    onCurve.box,
    h('div', { id: 'arrived' }),
    h('div', { class: 'with-aside' }, h('div', { id: 'found' }), h('div', { id: 'beside' })),
  );
};
export const shown = ({ params }, data) => fill(params, data);
export const update = ({ params }, data) => {
  const was = $('h1').textContent;
  keepingFocus(() => fill(params, data));
  if ($('h1').textContent !== was) say($('h1').textContent);
};
export const moved = ({ params }) => onCurve.place(windowsOf(params));
export const leave = () => onCurve.close();

/* Numbers change in place; another order waits until it is asked for. */
const order = (data) => data.certain.map((c) => c.id).join('\n');
export const tick = async () => {
  const at = read();
  if (!current || isPinned(at.params) || Date.now() - since < EVERY) return;
  since = Date.now();
  const before = current;
  const data = await load(at).catch(() => null);
  if (
    !data ||
    current !== before ||
    !$('#found') ||
    read().params.toString() !== at.params.toString()
  )
    return;
  if (!current.certain.length || order(data) === order(current)) {
    update(at, data);
    return;
  }
  const show = () => {
    update(at, data);
    (rowNamed(data.certain[0]?.id) ?? $('h1')).focus();
  };
  set($('#arrived'), pill(0, show, 'Another answer'));
  say('Another answer is there. Press full stop to show it.');
};

const here = () => document.activeElement?.closest('.change') ?? $('.change');
const follow = (words) => () =>
  [...(here()?.querySelectorAll('.links a') ?? [])].find((a) => a.textContent === words)?.click();
const openTrace = () => [...(here()?.querySelectorAll('.trace') ?? [])].at(-1)?.click();
const KEYS = {
  f: follow('Its failures'),
  l: follow('Reads like it'),
  o: openTrace,
  w: () => $('.handle.window')?.focus(),
  0: () => go('#/changes'),
};
export const key = (e) => KEYS[e.key];
export const escape = ({ params }) => {
  if (!params.get('row')) return false;
  replace(changed({ row: null }));
  return true;
};
