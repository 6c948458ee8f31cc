/** What changed, in words and small pictures: the sentence, the ranked rows, what stands beside. */
import { shifts } from '../charts.js';
import { h } from '../dom.js';
import { clock, count, counted, duration, percent, times } from '../format.js';
import { certainty, examples, links, shape, sureness, textWay, who } from '../parts.js';
import { address, changed, read, replace } from '../router.js';

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
/* What is less sure than this is chance; the first sentence says only what is surer than that. */
const [LEAST_Z, SURE_Z] = [1, 3];
const told = (c, z) => c.reasons.filter((r, i) => i === 0 || r.z >= z);
const TONES = { fails: 'error', new: 'new', ends: 'ends' };
const tone = (c) => TONES[c.reasons[0]?.test] ?? 'slow';
const facts = (c) => {
  const reasons = told(c, LEAST_Z)
    .sort((a, b) => ORDER.indexOf(a.test) - ORDER.indexOf(b.test))
    .slice(0, 3);
  return h(
    'ul',
    { class: 'facts' },
    reasons.map((r) => h('li', { class: r.test }, EVIDENCE[r.test]?.(r) ?? r.said)),
  );
};

const sentence = (c) => {
  const sure = told(c, SURE_Z);
  const [slow, late, fails] = ['median', 'p95', 'fails'].map((test) =>
    sure.find((r) => r.test === test),
  );
  const words = [
    slow && [' answers in ', num(duration(slow.after)), ` instead of ${duration(slow.before)}`],
    fails && [slow ? ', and ' : ': ', num(percent(fails.after)), ' of its calls fail'],
    late &&
      !slow && [
        fails ? ', p95 is ' : ': p95 is ',
        num(duration(late.after)),
        ` instead of ${duration(late.before)}`,
      ],
  ];
  if (slow || late || fails) return words;
  return sure.some((r) => r.test === 'new') ? ' is new' : ' has changed';
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
export const verdict = (data) => {
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
/* Those of its group, where it is known; else those of its service. */
const failures = (c) => {
  if (c.group) return address(`errors/${encodeURIComponent(c.group)}`);
  const fails = c.reasons.some((r) => r.test === 'fails');
  return fails ? address('errors', { service: c.service }) : null;
};
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
        failures(c) && ['Its failures', failures(c)],
        reading(c) && ['Reads like it', reading(c)],
      ),
    ),
    h('div', { class: 'picture' }, shifts(told(c, LEAST_Z), { tone: tone(c) })),
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
export const rows = ({ certain, unsure }, open) => [
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
export const aside = ({ beside }) => {
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
