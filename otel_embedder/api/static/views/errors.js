/** Which failures are there, and which of them are new. */
import * as api from '../api.js';
import { sparkline } from '../charts.js';
import { h, $, say, set } from '../dom.js';
import { ago, count, counted, shellWord, times } from '../format.js';
import { badge, keepingFocus, pill, rowNamed, shape, slots, spoken, toast } from '../parts.js';
import { address, changed, go } from '../router.js';

export const title = () => 'Errors';
export const hints = [
  ['j k', 'rows'],
  ['Enter', 'open'],
  ['m', 'mute'],
  ['r', 'resolve'],
  ['x', 'choose'],
];

const STATES = ['new', 'regressed', 'ongoing', 'muted', 'resolved'];
const SHOWN = ['new', 'regressed', 'ongoing'];
const MOST = 500;
const since = (params) => params.get('since') ?? '1d';
const wanted = (params) => params.get('state')?.split(',') ?? SHOWN;
const reaches = (g, name) => !name || g.service === name || g.reached.includes(name);

export const command = ({ params }) => {
  const flags = [
    ...(params.get('state')?.split(',') ?? []).map((x) => `--state ${shellWord(x)}`),
    ...(params.get('service') ? [`--service ${shellWord(params.get('service'))}`] : []),
  ];
  return ['otel-embedder groups --since', since(params), ...flags].join(' ');
};

/* What was loaded is of all states: their counts stand beside the list. */
let current = null;
let waiting = null;
let chosen = new Set();
export const load = async ({ params }, signal) => {
  const found = await api.groups({ since: since(params), count: MOST }, signal);
  return found;
};
const sorted = (groups, params) =>
  groups.filter((g) => wanted(params).includes(g.state) && reaches(g, params.get('service')));
const again = () => dispatchEvent(new HashChangeEvent('hashchange'));

/* --- decisions ----------------------------------------------------------- */
/** Does what was decided, tells so, and how it is taken back. */
export const decide = async (act, words, undo) => {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof api.Problem || error instanceof api.Away)) throw error;
    toast(`Not done. ${error.message}`);
    return;
  }
  again();
  toast(
    words,
    undo && (() => undo().then(again, (error) => toast(`Not undone. ${error.message}`))),
  );
};
const brief = (g) => spoken(g.title).slice(0, 60);
const undone = (g) => () =>
  ({ muted: api.mute, resolved: api.resolve })[g.state]?.(g.id) ?? api.reopen(g.id);
export const mute = (g) =>
  g.state === 'muted'
    ? decide(() => api.reopen(g.id), `Heard again: ${brief(g)}`, undone(g))
    : decide(() => api.mute(g.id), `Muted until you unmute it: ${brief(g)}`, undone(g));
export const resolve = (g) =>
  g.state === 'resolved'
    ? decide(() => api.reopen(g.id), `Open again: ${brief(g)}`, undone(g))
    : decide(() => api.resolve(g.id), `Resolved; comes back as regressed: ${brief(g)}`, undone(g));
const merge = () => {
  /* The oldest keeps its id. */
  const [into, ...others] = current.groups
    .filter((g) => chosen.has(g.id))
    .sort((a, b) => a.first - b.first);
  chosen = new Set();
  decide(
    () => Promise.all(others.map((g) => api.merge(g.id, into.id))),
    `${others.length + 1} groups merged. The oldest keeps its id.`,
    () => Promise.all(others.map((g) => api.split(g.id))),
  );
};
const letGo = () => {
  chosen = new Set();
  again();
};
const choose = (g) => {
  if (!chosen.delete(g.id)) chosen.add(g.id);
  again();
};

/* --- rows ---------------------------------------------------------------- */
const usual = (g) => (g.growth >= 1.5 ? `growing, ${times(g.growth)}` : 'about as before');
const row = (g) =>
  h(
    'li',
    { class: `group ${g.state} ${chosen.has(g.id) ? 'chosen' : ''}`, 'data-id': g.id },
    h('div', { class: 'state' }, badge(g.state)),
    h(
      'div',
      { class: 'title' },
      h(
        'h3',
        {},
        h(
          'a',
          { href: address(`errors/${encodeURIComponent(g.id)}`), 'data-row': g.id },
          slots(g.title),
        ),
      ),
      h(
        'p',
        { class: 'mute' },
        h('b', {}, g.service),
        ' ',
        g.operations[0],
        g.operations.length > 1 && ` and ${g.operations.length - 1} more`,
        g.reached.length > 0 && ` · reached ${g.reached.join(', ')}`,
        chosen.has(g.id) && h('b', { class: 'picked' }, ' · chosen'),
      ),
    ),
    h(
      'div',
      { class: 'trend' },
      sparkline(g.trend, {
        label: `${counted(g.n, 'failing trace')} over time, ${usual(g)}`,
        tone: ['new', 'regressed'].includes(g.state) ? 'error' : 'muted',
        width: 216,
        height: 28,
      }),
    ),
    h('div', { class: 'n num' }, count(g.n), h('span', { class: 'sr' }, ' failing traces')),
    h('div', { class: 'last' }, ago(g.last), h('span', { class: 'mute' }, 'first ', ago(g.first))),
  );

const toggle = (params, key, value) => {
  if (key === 'service')
    return go(changed({ service: params.get('service') === value ? null : value }));
  const states = new Set(wanted(params));
  if (!states.delete(value)) states.add(value);
  return go(changed({ state: [...states].join(',') }));
};
const chip = (params, key, value, words, n, on) =>
  h(
    'button',
    {
      type: 'button',
      class: 'chip',
      'data-chip': `${key}=${value}`,
      'aria-pressed': String(on),
      onclick: () => toggle(params, key, value),
    },
    words,
    h('span', { class: 'num' }, n),
  );
const filters = (groups, params) => {
  const ofState = (state) =>
    groups.filter((g) => g.state === state && reaches(g, params.get('service'))).length;
  const states = STATES.map((state) =>
    chip(
      params,
      'state',
      state,
      [shape(state), state],
      ofState(state),
      wanted(params).includes(state),
    ),
  );
  const services = [...new Set(groups.map((g) => g.service))].map((name) =>
    chip(
      params,
      'service',
      name,
      name,
      groups.filter((g) => reaches(g, name) && wanted(params).includes(g.state)).length,
      params.get('service') === name,
    ),
  );
  return h(
    'div',
    { class: 'filters' },
    h('div', { role: 'group', 'aria-label': 'States' }, states),
    h('div', { role: 'group', 'aria-label': 'Service that fails, or is reached' }, services),
  );
};
const merging = () =>
  chosen.size > 1 &&
  h(
    'p',
    { class: 'merge' },
    `${chosen.size} groups chosen. `,
    h('button', { type: 'button', onclick: merge }, 'Merge into one'),
    ' ',
    h('button', { type: 'button', class: 'quiet', onclick: letGo }, 'Let go'),
  );
const none = (params) =>
  h(
    'div',
    { class: 'teach' },
    h('h2', {}, 'No group in these states.'),
    h(
      'p',
      {},
      'That is good, or the filter is too narrow. ',
      h(
        'a',
        { href: address('errors', { state: STATES.join(','), since: params.get('since') }) },
        'Show all states',
      ),
    ),
  );
const HEADS = ['State', 'What failed, at its cause', 'Over time', 'Traces', 'Last seen'];
const list = ({ groups, total }, params) => {
  const found = sorted(groups, params);
  const left = total - groups.length;
  return [
    filters(groups, params),
    merging(),
    h('h2', { class: 'sr' }, counted(found.length, 'group')),
    h(
      'div',
      { class: 'heads', 'aria-hidden': 'true' },
      HEADS.map((t) => h('span', {}, t)),
    ),
    found.length ? h('ol', { class: 'groups' }, found.map(row)) : none(params),
    h(
      'p',
      { class: 'mute foot' },
      `One line is one kind of failing trace, of the last ${since(params)}, put together by the words of its cause. New and regressed first, then by growth.`,
      left > 0 && ` ${counted(left, 'group')} more: the command line shows them all.`,
    ),
  ];
};
const heading = ({ groups }) => {
  const fresh = groups.filter((g) => g.state === 'new');
  const back = groups.filter((g) => g.state === 'regressed');
  const words = fresh.length
    ? `${count(fresh.length)} new ${fresh.length === 1 ? 'kind' : 'kinds'} of failure`
    : 'No new failure';
  const [latest] = [...fresh, ...back].sort((a, b) => (b.again ?? b.first) - (a.again ?? a.first));
  const why =
    latest &&
    h(
      'p',
      { class: 'why' },
      'The latest began ',
      ago(latest.again ?? latest.first),
      ' in ',
      h('b', {}, latest.service),
      latest.reached.length > 0 && ` and reached ${latest.reached.join(', ')}`,
      '.',
    );
  return [
    h('h1', { tabindex: -1 }, words, back.length > 0 && `, ${back.length} came back`, '.'),
    why,
  ];
};

export const render = ({ params }, data) => {
  [current, waiting] = [data, null];
  return h(
    'div',
    { class: 'view' },
    h(
      'div',
      { class: 'head' },
      h('div', { class: 'verdict', id: 'verdict' }, heading(data)),
      h('div', { id: 'arrived' }),
    ),
    h('div', { id: 'list' }, list(data, params)),
  );
};
export const update = ({ params }, data) => {
  [current, waiting] = [data, null];
  set($('#arrived'));
  set($('#verdict'), heading(data));
  keepingFocus(() => set($('#list'), list(data, params)));
};

/* New rows wait above the list until they are asked for: nothing moves under the pointer. */
const showWaiting = (ids) => () => {
  update(waiting.at, waiting.data);
  (rowNamed(ids[0]) ?? $('h1')).focus();
};
export const fresh = async (came) => {
  if (!current) return;
  const urgent = current.groups.filter((g) => ['new', 'regressed'].includes(g.state));
  if (came.every((id) => urgent.some((g) => g.id === id))) return;
  const at = { params: new URLSearchParams(location.hash.split('?')[1] ?? '') };
  const data = await load(at).catch(() => null);
  if (!data || !$('#arrived')) return;
  const known = new Set(sorted(current.groups, at.params).map((g) => g.id));
  const ids = sorted(data.groups, at.params)
    .map((g) => g.id)
    .filter((id) => !known.has(id));
  if (!ids.length) return;
  waiting = { at, data };
  set($('#arrived'), pill(ids.length, showWaiting(ids)));
  say(`${counted(ids.length, 'new group')} of failures. Press full stop to show.`);
};

const here = () =>
  current?.groups.find((g) => g.id === document.activeElement?.closest('.group')?.dataset.id);
export const key = (e) => {
  const g = here();
  return g && { m: () => mute(g), r: () => resolve(g), x: () => choose(g) }[e.key];
};
