/** What changed: the answer as a sentence, the curve, then the ranked rows. */
import * as api from '../api.js';
import { shifts } from '../charts.js';
import { h, $, say, set } from '../dom.js';
import {
  MINUTE,
  clock,
  count,
  counted,
  duration,
  iso,
  percent,
  shellWord,
  times,
} from '../format.js';
import {
  certainty,
  examples,
  keepingFocus,
  links,
  pill,
  rowNamed,
  shape,
  sureness,
  textWay,
  who,
} from '../parts.js';
import { address, changed, go, read, replace } from '../router.js';
import { CurveWithWindows, isPinned, spelled, windowsOf } from '../windows.js';

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

/* --- words --------------------------------------------------------------- */
const num = (words) => h('b', { class: 'num' }, words);
const fact = (r) => h('span', { class: 'mute' }, r);
const toNow = (r, value) => [num(value(r.before)), ' → ', num(value(r.after))];
const timed = (name) => (r) => [
  shape('slow'),
  h(
    'span',
    {},
    `${name} `,
    toNow(r, duration),
    r.before > 0 && fact(` ${times(r.after / r.before)}`),
  ),
];
const EVIDENCE = {
  median: timed('p50'),
  p95: timed('p95'),
  fails: (r) => [shape('error'), h('span', {}, 'fails ', toNow(r, percent))],
  new: (r) => [shape('new'), h('span', {}, r.said)],
  ends: (r) => [shape('ends'), h('span', {}, r.said)],
};
const ORDER = Object.keys(EVIDENCE);
const TONES = { fails: 'error', new: 'new', ends: 'ends' };
const tone = (c) => TONES[c.reasons[0]?.test] ?? 'slow';
const facts = (c) => {
  const reasons = [...c.reasons]
    .sort((a, b) => ORDER.indexOf(a.test) - ORDER.indexOf(b.test))
    .slice(0, 3);
  return h(
    'ul',
    { class: 'facts' },
    reasons.map((r) => h('li', { class: r.test }, EVIDENCE[r.test]?.(r) ?? r.said)),
  );
};

const sentence = (c) => {
  const slow =
    c.reasons.find((r) => r.test === 'median') ?? c.reasons.find((r) => r.test === 'p95');
  const fails = c.reasons.find((r) => r.test === 'fails');
  const words = [
    slow && [' answers in ', num(duration(slow.after)), ` instead of ${duration(slow.before)}`],
    fails && [slow ? ', and ' : ': ', num(percent(fails.after)), ` of its calls fail`],
  ];
  if (slow || fails) return words;
  return c.reasons.some((r) => r.test === 'new') ? ' is new' : ' has changed';
};
const subject = (c) =>
  h(
    'span',
    { class: 'subject' },
    c.service,
    c.calls ? [h('span', { class: 'arrow' }, ' → '), c.calls] : [' ', c.operation],
  );
const between = (p) => `${clock(p.from)} and ${clock(p.to)}`;
const noChange = ({ window, baseline, visible }) => [
  h('h1', { tabindex: -1 }, 'No change found.'),
  h(
    'p',
    { class: 'why' },
    `Between ${between(window)} nothing differs for certain from ${clock(baseline.from)}–${clock(baseline.to)}. `,
    visible
      ? [
          'To be seen in the ',
          counted(visible.spans, 'span'),
          ' of ',
          h('b', {}, visible.service),
          ' ',
          visible.operation,
          `, where there are most, ${percent(visible.failing)} would have had to fail.`,
        ]
      : 'Too few spans are in these windows to tell anything.',
  ),
];
const verdict = (data) => {
  const [top, ...others] = data.certain;
  if (!top) return noChange(data);
  return [
    h('h1', { tabindex: -1 }, subject(top), sentence(top), '.'),
    h(
      'p',
      { class: 'why' },
      `Since ${clock(data.window.from)}, `,
      h('b', {}, sureness(top.z)),
      `: ${counted(top.nAfter, 'span')} against ${count(top.nBefore)} before. `,
      others.length
        ? `${counted(others.length, 'other change')} below, perhaps following from it.`
        : 'Nothing else changed for certain.',
    ),
  ];
};
export const title = (_, data) =>
  data?.certain.length ? `${data.certain[0].service} changed` : 'Changes';

/* --- rows ---------------------------------------------------------------- */
const readsLike = (c) =>
  c.readsLike.length > 0 &&
  h(
    'div',
    { class: 'reads' },
    h('h3', {}, 'Reads like it'),
    h(
      'ul',
      {},
      c.readsLike.map((a) =>
        h(
          'li',
          {},
          h('span', { class: 'num mute' }, a.like.toFixed(2).replace('0.', '.')),
          ' ',
          h(
            'a',
            { href: a.id ? textWay(a.id) : address('search', { q: a.words.slice(0, 300) }) },
            a.words,
          ),
          ' ',
          h('span', { class: 'mute' }, a.service),
        ),
      ),
    ),
  );
const traces = (list, caption, none) =>
  list.length ? examples(list, caption) : h('p', { class: 'mute none' }, none);
const detail = (c, id, open) =>
  h(
    'div',
    { class: 'more', id, hidden: !open },
    open && [
      h(
        'div',
        { class: 'pair' },
        traces(
          c.before,
          `Before: ${counted(c.nBefore, 'span')}`,
          c.nBefore
            ? 'No trace of before is kept.'
            : 'Not seen before: there is no trace of before.',
        ),
        traces(c.after, `Now: ${counted(c.nAfter, 'span')}`, 'No trace of now is kept.'),
      ),
      readsLike(c),
    ],
  );
const reading = (c) => (c.words ? address('search', { q: c.words.slice(0, 300) }) : null);
const item = (openRow) => (c, i) => {
  const open = openRow === c.id;
  const id = `more-${c.certain ? '' : 'unsure-'}${i}`;
  const flip = () => replace(changed({ row: read().params.get('row') === c.id ? null : c.id }));
  return h(
    'li',
    { class: `change ${tone(c)} ${c.certain ? '' : 'unsure'}` },
    h('div', { class: 'rank num', 'aria-hidden': 'true' }, c.certain ? i + 1 : ''),
    h(
      'div',
      { class: 'what' },
      h(
        'h3',
        {},
        h(
          'button',
          {
            type: 'button',
            'data-row': c.id,
            'aria-expanded': String(open),
            'aria-controls': id,
            onclick: flip,
          },
          who(c.service, c.operation, c.calls),
          h('span', { class: 'kind' }, c.kind),
        ),
      ),
      facts(c),
      links(
        ['Traces before and now', changed({ row: c.id })],
        c.group && ['Its failures', address(`errors/${encodeURIComponent(c.group)}`)],
        reading(c) && ['Reads like it', reading(c)],
      ),
    ),
    h('div', { class: 'picture' }, shifts(c.reasons, { tone: tone(c) })),
    certainty(c.z),
    detail(c, id, open),
  );
};
const legend = () =>
  h(
    'span',
    { class: 'legend' },
    h('i', { class: 'up' }),
    'before',
    h('i', { class: 'down' }),
    'now',
  );
const RANK = 'Ranked by how much changed, times how certain it is.';
const NEXT = [
  ['Take a longer window: small changes need more spans', address('changes', { window: '30m' })],
  ['Failures that are new or came back', address('errors', { state: 'new,regressed' })],
  ['Ask in words for what was reported', '#/search'],
];
const whereNext = () =>
  h(
    'section',
    { class: 'teach', 'aria-labelledby': 'h-next' },
    h('h2', { id: 'h-next' }, 'Where to look next'),
    h(
      'ul',
      {},
      NEXT.map(([words, to]) => h('li', {}, h('a', { href: to, 'data-row': to }, words))),
    ),
  );
const rows = ({ certain, unsure }, open) => [
  certain.length
    ? h(
        'section',
        { 'aria-labelledby': 'h-changed' },
        h(
          'div',
          { class: 'cap' },
          h('h2', { id: 'h-changed' }, 'Changed, likeliest cause first'),
          legend(),
          h('span', { class: 'mute hint', title: RANK }, 'how certain'),
        ),
        h('ol', { class: 'changes' }, certain.map(item(open))),
      )
    : whereNext(),
  unsure.length > 0 &&
    h(
      'section',
      { 'aria-labelledby': 'h-unsure', class: 'below' },
      h(
        'div',
        { class: 'cap' },
        h('h2', { id: 'h-unsure' }, 'Below the line: not certain'),
        h('span', { class: 'mute' }, 'perhaps chance; look here if nothing above fits'),
      ),
      h('ul', { class: 'changes' }, unsure.map(item(open))),
    ),
];
const shifted = (name) => (x) => {
  const value = (v) => (name === 'Faster' ? duration(v) : v.toPrecision(2));
  return h(
    'li',
    {},
    h(
      'a',
      { href: address('search', { q: `${x.service} ${x.operation}` }) },
      h('b', {}, x.service),
      ' ',
      x.operation,
    ),
    h('span', { class: 'num' }, `${value(x.before)} → ${value(x.after)}`),
    h('span', { class: 'mute' }, name === 'Faster' ? 'p50' : '/trace'),
  );
};
const aside = ({ beside }) => {
  const any = Object.entries(beside).filter(([, list]) => list.length);
  return h(
    'aside',
    { 'aria-labelledby': 'h-beside' },
    h('h2', { id: 'h-beside' }, 'Beside it'),
    h(
      'p',
      { class: 'mute' },
      any.length
        ? 'Unranked: mostly consequences.'
        : 'Nothing gone, rarer, more frequent or faster.',
    ),
    any.map(([name, list]) =>
      h(
        'section',
        {},
        h('h3', {}, name, h('span', { class: 'num mute' }, list.length)),
        h('ul', {}, list.map(shifted(name))),
      ),
    ),
  );
};
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
