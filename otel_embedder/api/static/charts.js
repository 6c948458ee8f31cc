/** Small pictures, each with its words. All sizes in CSS pixels. */
import { s } from './dom.js';
import { duration, percent } from './format.js';

const path = (points) =>
  points.map(([x, y], i) => `${i ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`).join('');

/** Bars or a line; empty values have no bar. */
export const sparkline = (
  values,
  { label, width = 120, height = 26, tone = 'muted', bars = true, max, stretch } = {},
) => {
  const top = Math.max(max ?? 0, ...values, 1e-9);
  const step = width / Math.max(1, values.length);
  const y = (v) => height - 1 - (v / top) * (height - 3);
  const body = bars
    ? values.map(
        (v, i) =>
          v > 0 &&
          s('rect', {
            x: i * step + 0.5,
            width: Math.max(1, step - 1),
            y: y(v),
            height: height - 0.5 - y(v),
          }),
      )
    : s('path', { class: 'line', d: path(values.map((v, i) => [i * step + step / 2, y(v)])) });
  const size = {
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    preserveAspectRatio: stretch ? 'none' : null,
  };
  return s(
    'svg',
    { class: `spark ${tone}`, role: 'img', 'aria-label': label, ...size },
    s('line', { class: 'base', x1: 0, x2: width, y1: height - 0.5, y2: height - 0.5 }),
    body,
  );
};

/* A tick each decade, a word at some of them. */
const DECADES = [0.1, 1, 10, 100, 1000, 10_000, 100_000];
const WORDS = { 1: '1 ms', 100: '100 ms', 10000: '10 s' };
const [LEAST, MOST] = [0.05, 200_000];

const logWhere = (ms, width) =>
  (Math.log(Math.min(MOST, Math.max(LEAST, ms)) / LEAST) / Math.log(MOST / LEAST)) * width;

const middle = (x, width) => Math.max(14, Math.min(width - 16, x));
const tick = (x, height) => s('line', { class: 'tick', x1: x, x2: x, y1: 2, y2: height - 14 });
const word = (x, width, height, words) =>
  words && s('text', { x: middle(x, width), y: height - 3, 'text-anchor': 'middle' }, words);
/* Milliseconds on a logarithmic scale, shares on a plain one. */
const SCALES = {
  times: {
    of: (r) => r.test === 'median' || r.test === 'p95',
    place: (v, wide) => logWhere(v, wide),
    ticks: DECADES.map((v) => [v, WORDS[v]]),
    say: duration,
  },
  shares: {
    of: (r) => r.test !== 'median' && r.test !== 'p95',
    place: (v, wide) => v * wide,
    ticks: [0, 0.25, 0.5, 0.75, 1].map((v) => [v, v === 0.25 || v === 0.75 ? '' : percent(v)]),
    say: percent,
  },
};
const NAMES = { median: 'p50', p95: 'p95', fails: 'fails', new: 'in traces', ends: 'ends there' };

/** From before (open) to now (full), on one scale for all rows: a shift is seen without reading. */
export const shifts = (reasons, { width = 210, tone = 'slow' } = {}) => {
  const scale = reasons.some(SCALES.times.of) ? SCALES.times : SCALES.shares;
  const rows = reasons.filter(scale.of).slice(0, 3);
  const height = rows.length * 16 + 16;
  const x = (v) => scale.place(v, width - 12) + 6;
  const words = rows.map(
    (r) => `${NAMES[r.test] ?? r.test} before ${scale.say(r.before)}, now ${scale.say(r.after)}`,
  );
  const size = { viewBox: `0 0 ${width} ${height}`, width, height };
  return s(
    'svg',
    { class: `shifts ${tone}`, role: 'img', 'aria-label': words.join('; '), ...size },
    scale.ticks.map(([v, said]) => [tick(x(v), height), word(x(v), width, height, said)]),
    rows.map((r, i) => {
      const y = 11 + i * 16;
      return [
        s('path', { class: 'way', d: `M${x(r.before)} ${y}H${x(r.after)}` }),
        s('circle', { class: 'before', cx: x(r.before), cy: y, r: 3.5 }),
        s('rect', { class: 'after', x: x(r.after) - 2.5, y: y - 6, width: 5, height: 12, rx: 1 }),
      ];
    }),
  );
};

/** Area of spans, bars of errors. The windows are laid over it by the view. */
export const strip = (spans, errors, width, height) => {
  const step = width / Math.max(1, spans.length);
  const topS = Math.max(...spans, 1) * 1.15;
  const topE = Math.max(...errors, 10) * 1.15;
  const floor = height - 18;
  const split = floor * 0.62;
  const ys = (v) => split - (v / topS) * (split - 4);
  const he = (v) => (v / topE) * (floor - split - 5);
  const line = path(spans.map((v, i) => [i * step + step / 2, ys(v)]));
  return s(
    'svg',
    { class: 'strip', width, height, viewBox: `0 0 ${width} ${height}`, 'aria-hidden': 'true' },
    line && [
      s('path', { class: 'area', d: `${line}L${width} ${split}L0 ${split}Z` }),
      s('path', { class: 'line', d: line }),
    ],
    s('line', { class: 'base', x1: 0, x2: width, y1: split + 0.5, y2: split + 0.5 }),
    errors.map(
      (v, i) =>
        v > 0 &&
        s('rect', {
          class: 'err',
          x: i * step + 0.5,
          width: Math.max(1, step - 1),
          y: floor - he(v),
          height: he(v),
        }),
    ),
    s('line', { class: 'base', x1: 0, x2: width, y1: floor + 0.5, y2: floor + 0.5 }),
  );
};
