/** The list of keys, and whether single ones do things. */
import { h, $ } from './dom.js';
import { recall, remember } from './memory.js';

const KEYS = [
  [
    'Everywhere',
    [
      ['/', 'ask'],
      ['g c', 'Changes'],
      ['g e', 'Errors'],
      ['g s', 'Search'],
      ['g m', 'Map'],
      ['g n', 'Now'],
      ['j k', 'next, previous row'],
      ['Enter', 'open'],
      ['Esc', 'close, then back'],
      ['y', 'copy the command'],
      ['p', 'pause, go on'],
      ['t', 'colours: auto, dark, light'],
      ['.', 'show what is new'],
      ['?', 'this list'],
    ],
  ],
  [
    'Changes',
    [
      ['o', 'open a trace of now'],
      ['f', 'its failures'],
      ['l', 'reads like it'],
      ['w', 'to the windows on the curve'],
      ['← →', 'move an edge by a minute (Shift: five)'],
      ['Alt ← →', 'move the whole window'],
      ['0', 'back to the last 15 minutes'],
    ],
  ],
  [
    'Errors',
    [
      ['m', 'mute, unmute'],
      ['r', 'resolve, reopen'],
      ['x', 'choose, to merge'],
      ['s', 'split (in a group)'],
      ['n', 'write a note (in a group)'],
      ['u', 'undo'],
    ],
  ],
  [
    'Search and Map',
    [
      ['l', 'more like this'],
      ['o', 'open a trace'],
      ['← ↑ ↓ →', 'walk the map'],
      ['Enter', 'search from a point'],
    ],
  ],
];

export const keyed = (keys) => keys.split(' ').map((key) => h('kbd', {}, key));
export const singleKeys = () => recall('keys') !== 'off';

const section = ([title, list]) =>
  h(
    'section',
    {},
    h('h3', {}, title),
    h(
      'dl',
      {},
      list.map(([key, words]) => h('div', {}, h('dt', {}, keyed(key)), h('dd', {}, words))),
    ),
  );

export const showKeys = () => {
  const box = $('#keys');
  box.replaceChildren(
    h(
      'header',
      {},
      h('h2', { id: 'keys-h' }, 'Keys'),
      h(
        'button',
        { type: 'button', class: 'quiet', onclick: () => box.close() },
        'Close ',
        h('kbd', {}, 'Esc'),
      ),
    ),
    h('div', { class: 'cols' }, KEYS.map(section)),
    h(
      'footer',
      {},
      h(
        'label',
        {},
        h('input', {
          type: 'checkbox',
          checked: singleKeys(),
          onchange: (e) => remember('keys', e.target.checked ? 'on' : 'off'),
        }),
        ' Single keys do things (turn off for dictation)',
      ),
    ),
  );
  box.showModal();
};
