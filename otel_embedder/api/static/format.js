/** Numbers, durations and times as people read them. */
import { h, $$ } from './dom.js';

export const MINUTE = 60_000;
export const now = () => Date.now();

const two = (n) => String(n).padStart(2, '0');
const NUMBER = new Intl.NumberFormat('en');
const trim = (text) => text.replace(/\.0$/, '');

export const count = (n) => NUMBER.format(Math.round(n));
export const counted = (n, one, many = `${one}s`) =>
  `${count(n)} ${Math.round(n) === 1 ? one : many}`;
export const percent = (share) => {
  const p = share * 100;
  if (p === 0) return '0';
  return p < 1 ? `${p.toFixed(1)} %` : `${Math.round(p)} %`;
};
export const duration = (ms) => {
  if (ms < 0.995) return `${(ms * 1000).toFixed(0)} µs`;
  if (ms < 9.95) return `${trim(ms.toFixed(1))} ms`;
  if (ms < 995) return `${Math.round(ms)} ms`;
  if (ms < 9950) return `${trim((ms / 1000).toFixed(1))} s`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  return ms < 5_400_000
    ? `${Math.round(ms / MINUTE)} min`
    : `${trim((ms / 3_600_000).toFixed(1))} h`;
};
export const times = (x) => (x >= 10 ? `${Math.round(x)} ×` : `${trim(x.toFixed(1))} ×`);
const UNITS = [
  ['TB', 1e12],
  ['GB', 1e9],
  ['MB', 1e6],
  ['kB', 1e3],
];
export const bytes = (n) => {
  const unit = UNITS.find(([, size]) => n >= size);
  return unit
    ? `${trim((n / unit[1]).toFixed(n >= 100 * unit[1] ? 0 : 1))} ${unit[0]}`
    : `${n} bytes`;
};

export const clock = (t) => {
  const d = new Date(t);
  return `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}`;
};
export const exact = (t) =>
  new Date(t)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z/, ' UTC');
/** To the minute, as the command line takes it. */
export const iso = (t) => new Date(t).toISOString().replace(/\.\d+Z/, 'Z');

const since = (t) => {
  const seconds = Math.max(0, (now() - t) / 1000);
  if (seconds < 10) return 'just now';
  if (seconds < 90) return `${Math.round(seconds)} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86_400)} d ago`;
};
/** Relative, with the exact time on hover and for machines. */
export const ago = (t) => {
  if (t == null) return h('span', { class: 'mute' }, 'unknown');
  return h('time', { datetime: new Date(t).toISOString(), title: exact(t), 'data-t': t }, since(t));
};
export const refreshTimes = () => {
  for (const el of $$('time[data-t]')) {
    const words = since(+el.dataset.t);
    if (el.textContent !== words) el.textContent = words;
  }
};

/** A word for a shell, in quotes where it needs them. */
export const shellWord = (text) =>
  /^[\w./:@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;

const FRAME = /^(at |File "|\.\.\. \d+ more)/;
/** Of a stack trace the lines that say what went wrong, without those that say where. */
export const oneLine = (text) =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line && !FRAME.test(line))
    .join(' ')
    .slice(0, 1000);
