/** One kind of failure: what, since when, where to look, what to do with it. */
import * as api from '../api.js';
import { sparkline } from '../charts.js';
import { curve } from '../curve.js';
import { h, $, set } from '../dom.js';
import { ago, clock, count, duration, exact, iso, shellWord, times } from '../format.js';
import {
  badge,
  copyLine,
  examples,
  keepingFocus,
  likeness,
  shape,
  slots,
  spoken,
  stat,
} from '../parts.js';
import { address, go } from '../router.js';
import { decide, mute, resolve } from './errors.js';

let current = null;
export const load = async ({ rest }, signal) => {
  try {
    return await api.oneGroup(rest[0], signal);
  } catch (error) {
    if (error instanceof api.Problem && error.status === 404) return null;
    throw error;
  }
};
export const title = (_, g) => (g ? spoken(g.title) : 'No such group');
export const hints = [
  ['m', 'mute'],
  ['r', 'resolve'],
  ['n', 'note'],
  ['o', 'open a trace'],
  ['Esc', 'all groups'],
];
export const command = ({ rest }) => `otel-embedder groups show ${shellWord(rest[0])}`;

/* --- decisions ----------------------------------------------------------- */
const again = () => dispatchEvent(new HashChangeEvent('hashchange'));
const places = (g) => g.title.split('<*>').length - 1;
const split = (g) =>
  g.merged.length
    ? decide(
        () => Promise.all(g.merged.map((id) => api.split(id))),
        'Split: what was merged stands alone again.',
      )
    : $('#split')?.focus();
const keep = (g) => (e) => {
  e.preventDefault();
  const was = g.note;
  const words = $('#note').value.trim();
  $('#note').blur();
  decide(
    () => api.note(g.id, words),
    'Note kept.',
    () => api.note(g.id, was),
  );
};
const splitAt = (g) => (e) => {
  e.preventDefault();
  decide(
    () => api.split(g.id, { place: Number($('#split').value) }),
    'Split: each word there is a group of its own from now on.',
  );
};
const button = (words, key, act) =>
  h('button', { type: 'button', onclick: act }, words, h('kbd', { 'aria-hidden': 'true' }, key));
const actions = (g) =>
  h(
    'div',
    { class: 'actions', role: 'group', 'aria-label': 'Decide' },
    button(g.state === 'resolved' ? 'Open again' : 'Resolve', 'r', () => resolve(g)),
    button(g.state === 'muted' ? 'Unmute' : 'Mute', 'm', () => mute(g)),
    (g.merged.length > 0 || places(g) > 0) && button('Split', 's', () => split(g)),
    button('Note', 'n', () => $('#note').focus()),
  );

/* --- what is known ------------------------------------------------------- */
const facts = (g) =>
  h(
    'dl',
    { class: 'stats' },
    stat(
      'failing traces',
      count(g.n),
      g.growth >= 1.5 ? `growing, ${times(g.growth)}` : 'about as before',
    ),
    stat('first seen', ago(g.first), exact(g.first).slice(0, 16)),
    stat('last seen', ago(g.last), clock(g.last)),
    g.again && stat('came again', ago(g.again), clock(g.again)),
    stat('reached', String(g.reached.length), g.reached.join(', ')),
  );
const urgent = (g) => ['new', 'regressed'].includes(g.state);
/* Of one group its steps are told only by who says from when on they are. */
const byTime = (g) =>
  curve({
    from: g.since,
    step: g.step,
    values: g.trend,
    label: `Failing traces each ${duration(g.step)} from ${exact(g.since)} on; the most is ${count(Math.max(...g.trend))}`,
    value: (n) => (n == null ? '' : count(n)),
    tone: urgent(g) ? '--error' : '--edge',
    bars: true,
    most: 4,
  });
const evenly = (g) => [
  sparkline(g.trend, {
    label: `Failing traces in even steps from the first to the last; the most is ${count(Math.max(...g.trend))}`,
    tone: urgent(g) ? 'error' : 'muted',
    width: 960,
    height: 72,
    stretch: true,
  }),
  h('figcaption', { class: 'mute' }, h('span', {}, exact(g.first)), h('span', {}, exact(g.last))),
];
const day = (g) =>
  g.trend.length > 1 && h('figure', { class: 'day' }, g.step ? byTime(g) : evenly(g));
const began = (g) =>
  address('changes', {
    window: `${iso(g.again ?? g.first)}/${iso(Math.min(Date.now(), (g.again ?? g.first) + 900_000))}`,
  });
const onlyWords = (g) =>
  spoken(g.title)
    .replace(/[^\p{L}\p{N} ]+/gu, ' ')
    .replace(/\s+/g, ' ')
    .trim();
const shown = (g) =>
  h(
    'section',
    {},
    examples(g.examples, 'Examples: the latest of its traces'),
    h(
      'p',
      { class: 'links' },
      h('a', { href: began(g) }, 'What changed when it began'),
      h('a', { href: address('search', { q: onlyWords(g).slice(0, 200) }) }, 'Search its words'),
    ),
  );
const operations = (g) =>
  h(
    'section',
    { 'aria-labelledby': 'h-operations' },
    h('h2', { id: 'h-operations' }, 'Fails at'),
    h(
      'p',
      { class: 'mute' },
      'Callers that failed because of it are part of it, and no groups of their own.',
    ),
    h(
      'ul',
      { class: 'texts' },
      g.operations.map((name) => h('li', {}, h('code', {}, name))),
    ),
    g.merged.length > 0 &&
      h(
        'p',
        { class: 'mute' },
        'Merged into it: ',
        g.merged.map((id) => [h('code', {}, id), ' ']),
      ),
  );
const related = (g) =>
  h(
    'section',
    {},
    h('h2', {}, 'Related'),
    h('p', { class: 'mute' }, 'Their words are alike. They stay groups of their own.'),
    g.related.length
      ? h(
          'ul',
          { class: 'related' },
          g.related.map((o) =>
            h(
              'li',
              {},
              likeness(o.like),
              h(
                'div',
                {},
                h('a', { href: address(`errors/${encodeURIComponent(o.id)}`) }, slots(o.title)),
                h('p', {}, h('span', { class: 'mute' }, o.service)),
              ),
            ),
          ),
        )
      : h('p', {}, 'Nothing reads like it.'),
  );
const note = (g) =>
  h(
    'section',
    {},
    h('h2', {}, 'Note and decisions'),
    h(
      'form',
      { class: 'note', onsubmit: keep(g) },
      h(
        'label',
        { for: 'note' },
        g.note ? 'Note; survives indexing again' : 'Write a note; it survives indexing again',
      ),
      h(
        'div',
        {},
        h('input', {
          id: 'note',
          type: 'text',
          maxlength: 400,
          autocomplete: 'off',
          value: g.note,
        }),
        h('button', { type: 'submit' }, 'Keep'),
      ),
    ),
    g.mutedUntil && h('p', {}, 'Muted until ', exact(g.mutedUntil), '.'),
    places(g) > 0 &&
      h(
        'form',
        { class: 'note', onsubmit: splitAt(g) },
        h('label', { for: 'split' }, 'Split by the words at one place'),
        h(
          'div',
          {},
          h(
            'select',
            { id: 'split' },
            Array.from({ length: places(g) }, (_, i) =>
              h('option', { value: i + 1 }, `the ${i + 1}. <*>`),
            ),
          ),
          h('button', { type: 'submit' }, 'Split'),
        ),
      ),
    h('p', {}, copyLine(`otel-embedder groups note ${shellWord(g.id)} '...'`)),
  );

const content = (g) => [
  h('p', { class: 'crumb' }, h('a', { href: '#/errors' }, 'Errors'), ' / ', h('code', {}, g.id)),
  h(
    'div',
    { class: 'verdict grouped' },
    h(
      'div',
      {},
      h(
        'p',
        { class: 'line1' },
        badge(g.state),
        h('b', {}, g.service),
        ' ',
        g.operations[0],
        g.type && h('span', { class: 'mute' }, ` · ${g.type}`),
      ),
      h('h1', { tabindex: -1 }, slots(g.title)),
    ),
    actions(g),
  ),
  facts(g),
  day(g),
  h(
    'div',
    { class: 'with-aside' },
    h('div', {}, shown(g), operations(g)),
    h('aside', { 'aria-label': 'Beside it' }, related(g), note(g)),
  ),
];
const missing = ({ rest }) => [
  h('h1', { tabindex: -1 }, 'No group ', h('code', {}, rest[0])),
  h(
    'p',
    {},
    shape('info'),
    ' It may have gone with its last trace, or belong to another catalogue. ',
    h('a', { href: '#/errors' }, 'All groups'),
  ),
];
const all = (at, g) => {
  current = g;
  return g ? content(g) : missing(at);
};

export const render = (at, g) => h('div', { class: 'view', id: 'group' }, all(at, g));
export const update = (at, g) => {
  /* What is being written stays. */
  if (document.activeElement?.id === 'note') return;
  keepingFocus(() => set($('#group'), all(at, g)));
  if (document.activeElement === document.body) $('h1')?.focus();
};
export const news = again;
export const key = (e) => {
  const g = current;
  return (
    g &&
    {
      m: () => mute(g),
      r: () => resolve(g),
      n: () => $('#note').focus(),
      s: () => split(g),
      o: () => $('.trace')?.click(),
    }[e.key]
  );
};
export const escape = () => {
  go('#/errors');
  return true;
};
