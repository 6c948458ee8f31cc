/** One box: plain words, a pasted text, a trace id, a stack trace. */
import * as api from '../api.js';
import { sparkline } from '../charts.js';
import { h, $, say, set } from '../dom.js';
import { ago, count, counted, duration, now, shellWord } from '../format.js';
import {
  badge,
  differing,
  keepingFocus,
  likeness,
  marked,
  shape,
  textWay,
  traceLink,
  who,
} from '../parts.js';
import { address, go } from '../router.js';
import { facets, filtersOf, flagsOf } from './facets.js';

const MOST = 25;
const NEW = 15 * 60_000;
const TRACE = /^[0-9a-f]{32}(:[0-9a-f]{16})?$/i;
const STACK = /Exception|Error:|Traceback|\bat [\w.$<>]+\(/;

const asked = (at) => (at.params.get('q') ?? '').trim();
const example = (at) =>
  at.params.get('like') ?? (TRACE.test(asked(at)) ? asked(at).toLowerCase() : null);

const isNew = (x) => now() - x.first < NEW;

/* --- asking -------------------------------------------------------------- */
const ask = (at, signal) => {
  const like = example(at);
  const filters = filtersOf(at.params);
  return like
    ? api.like(like, filters, MOST, signal)
    : api.search(asked(at), filters, MOST, signal);
};
/* What filters would leave depends on no question: it is asked once while one types. */
const COUNTS_LAST = 15_000;
let counts = { of: null, at: 0, found: null };
const countsFor = (params) => {
  const of = JSON.stringify(filtersOf(params));
  if (counts.of !== of || now() - counts.at > COUNTS_LAST) {
    counts = { of, at: now(), found: api.filters(filtersOf(params)) };
    counts.found.catch(() => {
      counts.of = null;
    });
  }
  return counts.found;
};
const REFUSED = [400, 404, 422];
export const load = async (at, signal) => {
  if (!asked(at) && !example(at)) return null;
  const began = performance.now();
  try {
    const [found, left] = await Promise.all([ask(at, signal), countsFor(at.params)]);
    return { found, counts: left, ms: performance.now() - began };
  } catch (error) {
    if (!(error instanceof api.Problem) || !REFUSED.includes(error.status)) throw error;
    return { refused: error.message };
  }
};

/* --- words --------------------------------------------------------------- */
export const title = (at) => {
  if (at.params.get('like')) return 'More like this';
  return asked(at) ? `Search: ${asked(at)}` : 'Search';
};
export const hints = [
  ['j k', 'hits'],
  ['Enter', 'more like this'],
  ['o', 'open a trace'],
  ['/', 'ask again'],
];
export const command = (at) => {
  const like = example(at);
  const flags = flagsOf(at.params);
  const what = like
    ? `--like ${shellWord(like)}`
    : shellWord(asked(at) || 'card payments time out at the bank');
  return [
    'otel-embedder search',
    what,
    ...flags.map(([flag, value]) => `--${flag} ${shellWord(value)}`),
  ].join(' ');
};
const understood = (at) => {
  if (TRACE.test(asked(at))) return 'Read as a trace id: what reads like its spans. ';
  return STACK.test(asked(at)) ? 'Read as a stack trace: its causes were asked for. ' : null;
};

const hit = (q, source) => (x) =>
  h(
    'li',
    { class: 'hit', 'data-id': x.id },
    likeness(x.like),
    h(
      'div',
      { class: 'what' },
      h(
        'h3',
        {},
        h(
          'a',
          { href: textWay(x.id), 'data-row': x.id, title: 'More like this (Enter)' },
          source ? differing(x.words, source) : marked(x.words, q),
        ),
      ),
      h(
        'p',
        { class: 'links' },
        h('span', { class: 'mute' }, who(x.service, x.operation), x.kind && ` · ${x.kind}`),
        isNew(x) && badge('new'),
        x.examples.slice(0, 2).map((e, i) => traceLink(e, i ? 'earlier trace' : 'last trace')),
        h('a', { href: textWay(x.id) }, 'More like this'),
      ),
    ),
    h(
      'div',
      { class: 'st' },
      x.failed ? badge('error', 'failed') : h('span', { class: 'badge plain' }, 'ok'),
    ),
    h('div', { class: 'n num' }, count(x.n), h('span', { class: 'unit' }, 'spans')),
    h(
      'div',
      { class: 'trend' },
      x.trend.length > 1 &&
        sparkline(x.trend, {
          label: `Over time, ${counted(x.n, 'span')}`,
          tone: x.failed ? 'error' : 'muted',
          width: 96,
          height: 24,
        }),
    ),
    h(
      'div',
      { class: 'ms num' },
      x.ms == null
        ? ''
        : [x.ms >= 1000 && shape('slow'), duration(x.ms), h('span', { class: 'unit' }, 'typical')],
    ),
    h('div', { class: 'last' }, ago(x.last)),
  );

const TRY = [
  'card payments time out at the bank',
  'connection refused by the database',
  'orders wait for each other',
  'a request was retried',
];
const beginning = () =>
  h(
    'div',
    { class: 'teach' },
    h('h1', { tabindex: -1 }, 'Ask in plain words.'),
    h(
      'p',
      {},
      'Every kind of span that passed by is here once, as words. Ask for what you mean: the words need not be the same. A trace id, a text or a whole stack trace may be pasted, too.',
    ),
    h(
      'ul',
      {},
      TRY.map((q) => h('li', {}, h('a', { href: address('search', { q }), 'data-row': q }, q))),
    ),
  );
const refusal = (at, words) =>
  h(
    'div',
    { class: 'teach' },
    h('h1', { tabindex: -1, class: 'asked' }, asked(at) || example(at)),
    h('p', { id: 'answered' }, words),
  );
const nothing = () =>
  h(
    'div',
    { class: 'teach' },
    h('h2', {}, 'Nothing reads like that.'),
    h(
      'p',
      {},
      'Use fewer or more usual words, or take filters away. Ids and numbers are not kept, so they can’t be found.',
    ),
  );

const heading = (at, found) =>
  at.params.get('like')
    ? [
        h('h1', { tabindex: -1 }, 'More like this'),
        h('p', { class: 'source' }, h('code', {}, found.asked)),
      ]
    : h('h1', { tabindex: -1, class: 'asked' }, asked(at));
const how = (at, { found, ms }) => {
  if (at.params.get('like'))
    return `By likeness of words and of duration, ${duration(ms)}. What both say is dimmed.`;
  const by = found.understood
    ? 'meaning and by words'
    : 'words alone, for the model knows none of these';
  return `By ${by}, ${duration(ms)}.`;
};
const verdict = (at, data) => {
  const { hits, compared, leftOut } = data.found;
  const spans = hits.reduce((n, x) => n + x.n, 0);
  const most = hits.length >= MOST ? 'The best ' : '';
  return h(
    'div',
    { class: 'verdict' },
    heading(at, data.found),
    h(
      'p',
      { class: 'why', id: 'answered' },
      understood(at) && h('b', {}, understood(at)),
      `${most}${count(hits.length)} of ${counted(compared, 'text')}, seen in ${counted(spans, 'span')}. `,
      how(at, data),
      leftOut > 0 &&
        ` ${counted(leftOut, 'text')} of another version, or still without a vector, could not be compared.`,
    ),
  );
};

const results = (at, data) => {
  if (!data) return [beginning()];
  if (data.refused) return [refusal(at, data.refused)];
  const { hits, asked: text } = data.found;
  const source = at.params.get('like') ? text : null;
  const shown = hits.map(hit(asked(at), source));
  return [
    verdict(at, data),
    h(
      'div',
      { class: 'with-facets' },
      facets(at.params, data.counts),
      hits.length
        ? h(
            'section',
            { 'aria-labelledby': 'h-hits' },
            h('h2', { class: 'sr', id: 'h-hits' }, 'Hits'),
            h('ol', { class: 'hits' }, shown),
          )
        : nothing(),
    ),
  ];
};

export const render = (at, data) => h('div', { class: 'view', id: 'search' }, results(at, data));
let saying;
export const update = (at, data) => {
  const open = $('.facets')?.open;
  keepingFocus(() => set($('#search'), results(at, data)));
  if ($('.facets') && open != null) $('.facets').open = open;
  if (document.activeElement === document.body) $('h1')?.focus();
  clearTimeout(saying);
  saying = setTimeout(() => say($('#answered')?.textContent ?? ''), 600);
};
export const key = (e) => {
  const row = document.activeElement?.closest('.hit') ?? $('.hit');
  if (!row) return null;
  return { o: () => row.querySelector('.trace')?.click(), l: () => go(textWay(row.dataset.id)) }[
    e.key
  ];
};
export const escape = () => {
  $('#q').focus();
  return true;
};
