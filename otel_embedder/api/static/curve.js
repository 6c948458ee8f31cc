/** A curve over time to be read at a point, by uPlot; what it shows is said in words beside it. */
import { h } from './dom.js';
import { clock, exact } from './format.js';

const SCRIPT = 'vendor/uplot/uPlot.iife.min.js';
const STYLE = 'vendor/uplot/uPlot.min.css';

const come = (el, where) =>
  new Promise((done, fail) => {
    el.addEventListener('load', done);
    el.addEventListener('error', () => fail(new Error(`${where} did not come`)));
    document.head.append(el);
  });
let loading;
/* Its files are as its makers give them: a script that leaves one name behind, and its style. */
const uPlot = async () => {
  loading ??= Promise.all([
    come(h('link', { rel: 'stylesheet', href: STYLE }), STYLE),
    come(h('script', { src: SCRIPT }), SCRIPT),
  ]);
  await loading;
  return globalThis.uPlot;
};

const paint = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const options = (box, { from, step, values, tone, value, bars, label, most }) => {
  const Plot = globalThis.uPlot;
  const axis = {
    stroke: () => paint('--mute'),
    grid: { stroke: () => paint('--line'), width: 1 },
    ticks: { show: false },
    font: '11.5px system-ui, sans-serif',
  };
  return {
    width: box.clientWidth,
    height: box.clientHeight,
    tzDate: (seconds) => Plot.tzDate(new Date(seconds * 1000), 'Etc/UTC'),
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    scales: {
      /* A bar stands for the time that begins where it does. */
      x: {
        range: [from / 1000, (from + step * (bars ? values.length : values.length - 1)) / 1000],
      },
      y: { range: (_, __, high) => [0, Math.max(most ?? 0, high * 1.1, 1)] },
    },
    axes: [
      { ...axis, size: 22, space: 60, values: (_, ticks) => ticks.map((x) => clock(x * 1000)) },
      { ...axis, size: 44, space: 24, values: (_, ticks) => ticks.map(value) },
    ],
    series: [
      {},
      {
        label,
        stroke: () => paint(tone),
        fill: bars ? () => paint(tone) : undefined,
        width: bars ? 0 : 1.5,
        paths: bars ? Plot.paths.bars({ size: [0.85], align: 1 }) : undefined,
        points: { show: false },
      },
    ],
  };
};

/** Draws `values`, one each `step` ms from `from` on, when it comes into the page. */
export const curve = ({
  from,
  step,
  values,
  label,
  value,
  tone = '--mute',
  bars = false,
  most,
}) => {
  const read = h('p', { class: 'read num mute', 'aria-hidden': 'true' });
  const box = h('div', { class: 'plot', role: 'img', 'aria-label': label });
  let plot;
  const seconds = values.map((_, i) => (from + i * step) / 1000);
  const tell = (u) => {
    const i = u.cursor.idx;
    read.textContent = i == null ? '' : `${value(values[i])} at ${exact(seconds[i] * 1000)}`;
  };
  const draw = async () => {
    const Plot = await uPlot();
    if (plot || !box.isConnected) return;
    plot = new Plot(
      {
        ...options(box, { from, step, values, tone, value, bars, label, most }),
        hooks: { setCursor: [tell] },
      },
      [seconds, values],
      box,
    );
  };
  const resize = new ResizeObserver(() => {
    if (!box.isConnected) {
      resize.disconnect();
      removeEventListener('themechange', again);
      plot?.destroy();
    } else if (plot) plot.setSize({ width: box.clientWidth, height: box.clientHeight });
    else draw();
  });
  const again = () => plot?.redraw();
  addEventListener('themechange', again);
  resize.observe(box);
  return h('div', { class: 'curved' }, box, read);
};
