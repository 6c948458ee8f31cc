/** Filters beside the hits, with what they would leave in the catalogue. */
import { h } from '../dom.js';
import { count } from '../format.js';
import { changed, go } from '../router.js';

const SHOWN = 12;
const LISTS = [
  ['status', 'Status'],
  ['service', 'Service'],
  ['kind', 'Kind'],
];
const CHOICES = [
  ['since', 'Seen', { '': 'ever', '15m': 'last 15 min', '1h': 'last hour', '1d': 'last day' }],
  ['least', 'Some took', { '': 'any time', '100ms': '100 ms or more', '1s': '1 s or more' }],
];
const NAMES = [...LISTS, ...CHOICES].map(([name]) => name);
/* Not set is no failure, and for who reads no other thing than OK. */
const SAID = { UNSET: 'unset', OK: 'ok', ERROR: 'failed' };
const said = (name, value) => (name === 'service' ? value : (SAID[value] ?? value.toLowerCase()));

/** What is asked of the server by an address. */
export const filtersOf = (params) => ({
  status: params.getAll('status'),
  service: params.getAll('service'),
  kind: params.getAll('kind'),
  since: params.get('since'),
  least: params.get('least'),
});
export const isFiltered = (params) => NAMES.some((name) => params.get(name));
/** The same for a command line: pairs of option and value. */
export const flagsOf = (params) =>
  NAMES.flatMap((name) =>
    params.getAll(name).map((value) => [name === 'least' ? 'min-duration' : name, value]),
  );

const toggle = (params, name, value) => () => {
  const chosen = new Set(params.getAll(name));
  if (!chosen.delete(value)) chosen.add(value);
  go(changed({ [name]: [...chosen] }));
};
const list =
  (params, counts) =>
  ([name, heading]) => {
    const chosen = params.getAll(name);
    const known = counts[name];
    const gone = chosen.filter((value) => !known.some((v) => v.value === value));
    const values = [...known.slice(0, SHOWN), ...gone.map((value) => ({ value, n: 0 }))];
    const box = ({ value, n }) =>
      h(
        'label',
        { class: n ? '' : 'none' },
        h('input', {
          type: 'checkbox',
          checked: chosen.includes(value),
          'data-chip': `${name}=${value}`,
          onchange: toggle(params, name, value),
        }),
        h('span', {}, said(name, value)),
        h('span', { class: 'num' }, count(n)),
      );
    return values.length > 0 && h('fieldset', {}, h('legend', {}, heading), values.map(box));
  };
const choice =
  (params) =>
  ([name, heading, values]) =>
    h(
      'fieldset',
      {},
      h('legend', {}, heading),
      Object.entries(values).map(([value, words]) =>
        h(
          'label',
          {},
          h('input', {
            type: 'radio',
            name,
            checked: (params.get(name) ?? '') === value,
            'data-chip': `${name}=${value}`,
            onchange: () => go(changed({ [name]: value })),
          }),
          h('span', {}, words),
        ),
      ),
    );
const cleared = () => changed(Object.fromEntries(NAMES.map((name) => [name, null])));

export const facets = (params, counts) => {
  const on = isFiltered(params);
  return h(
    'details',
    { class: 'facets', open: innerWidth > 880 },
    h('summary', {}, `Filters${on ? ' (on)' : ''}`),
    h(
      'form',
      { 'aria-label': 'Filters' },
      on && h('a', { href: cleared() }, 'Clear filters'),
      LISTS.map(list(params, counts)),
      CHOICES.map(choice(params)),
    ),
  );
};
