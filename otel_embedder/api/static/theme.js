/** Dark or light: the system's, or the one chosen. */
import { $, set } from './dom.js';
import { recall, remember } from './memory.js';
import { shape } from './parts.js';

const NAMES = { system: 'Auto', dark: 'Dark', light: 'Light' };
const ORDER = Object.keys(NAMES);
const chosen = () => (NAMES[recall('theme')] ? recall('theme') : 'system');

const show = (name) => {
  if (name === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  set($('#theme'), shape('theme'), ` ${NAMES[name]}`);
  $('#theme').setAttribute('aria-label', `Colours: ${NAMES[name]}. Change`);
  dispatchEvent(new Event('themechange'));
};
export const nextTheme = () => {
  remember('theme', ORDER[(ORDER.indexOf(chosen()) + 1) % ORDER.length]);
  show(chosen());
};
export const startTheme = () => {
  show(chosen());
  $('#theme').addEventListener('click', nextTheme);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () =>
    dispatchEvent(new Event('themechange')),
  );
};
