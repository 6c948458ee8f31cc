/** Points on a canvas: where they are, of which class, and how each class looks. */
import { now } from './format.js';

export const NEW = 15 * 60_000;
const COLOURS = 7;
const EDGE = 18;
const MANY = 2000;

/* --- classes ------------------------------------------------------------- */
/** The most frequent by name, all others as one. */
const most = ({ points }, of, names) => {
  const tally = new Map();
  for (const p of points) tally.set(of(p), (tally.get(of(p)) ?? 0) + 1);
  const byCount = [...tally].sort((a, b) => b[1] - a[1]).map(([i]) => i);
  const top = byCount.slice(0, COLOURS);
  const place = new Map(top.map((i, k) => [i, k]));
  const rest = byCount.length > top.length ? ['others'] : [];
  return { names: [...top.map((i) => names[i]), ...rest], of: (p) => place.get(of(p)) ?? COLOURS };
};
/** By what points are told apart; each gives the classes' names, and a point's class. */
export const CLASSES = {
  service: (held) => most(held, (p) => p.service, held.services),
  status: () => ({ names: ['ok', 'failed'], of: (p) => Number(p.failed) }),
  operation: (held) => most(held, (p) => p.operation, held.operations),
  seen: () => {
    const since = now() - NEW;
    return { names: ['before', 'last 15 min'], of: (p) => Number(p.first > since) };
  },
};

/* --- looks --------------------------------------------------------------- */
/* Dot, cross, diamond: the meaning is there without colour, too. */
const MARKS = {
  dot: (c, x, y, r) => c.rect(x - r, y - r, 2 * r, 2 * r),
  cross: (c, x, y, r) => {
    c.moveTo(x - r - 1, y - r - 1);
    c.lineTo(x + r + 1, y + r + 1);
    c.moveTo(x + r + 1, y - r - 1);
    c.lineTo(x - r - 1, y + r + 1);
  },
  diamond: (c, x, y) => {
    c.moveTo(x, y - 4);
    c.lineTo(x + 4, y);
    c.lineTo(x, y + 4);
    c.lineTo(x - 4, y);
    c.closePath();
  },
};
/** How the class `k` looks: its mark, its colour's token, and its class in the legend. */
export const looks = (way, k) => {
  if (way === 'status' && k === 1) return { mark: 'cross', token: '--error', name: 'error' };
  if (way === 'seen' && k === 1) return { mark: 'diamond', token: '--new', name: 'new' };
  const many = way === 'service' || way === 'operation';
  if (many && k < COLOURS) return { mark: 'dot', token: `--s${k}`, name: `s${k}` };
  return { mark: 'dot', token: '--dim', name: 'dim' };
};
const paint = (token) => getComputedStyle(document.documentElement).getPropertyValue(token).trim();

/* --- places -------------------------------------------------------------- */
const ends = (values) => {
  const sorted = values.sort((a, b) => a - b);
  const [low, high] = [sorted[0] ?? 0, sorted.at(-1) ?? 1];
  return high > low ? [low, high] : [low - 0.5, low + 0.5];
};
const middle = (values) => values.sort((a, b) => a - b)[values.length >> 1];
const inside = (share) => Math.max(-0.01, Math.min(1.01, share));

const placed = (names, name) => {
  const at = names.indexOf(name);
  return at < 0 ? names.push(name) - 1 : at;
};
/** What is held with `more` points of the same axes; those that are there already stay. */
export const joined = (held, more) => {
  const [services, operations] = [[...held.services], [...held.operations]];
  const known = new Set(held.points.map((p) => p.key));
  const points = more.points
    .filter((p) => !known.has(p.key))
    .map((p) => ({
      ...p,
      service: placed(services, more.services[p.service]),
      operation: placed(operations, more.operations[p.operation]),
    }));
  return {
    ...held,
    changed: more.changed,
    services,
    operations,
    points: [...held.points, ...points],
  };
};

export class Plane {
  constructor(held) {
    this.size = [0, 0];
    this.held = { axes: null, points: [] };
    this.hold(held);
  }

  /** Takes other points. The edges stay, so that a point does, as long as the axes do. */
  hold(held) {
    if (held.axes !== this.held.axes || this.held.points.length === 0) {
      this.x = ends(held.points.map((p) => p.x));
      this.y = ends(held.points.map((p) => p.y));
    }
    this.held = held;
  }

  where(p) {
    const place = (value, [low, high], size) =>
      EDGE + inside((value - low) / (high - low)) * (size - 2 * EDGE);
    return [place(p.x, this.x, this.size[0]), place(p.y, this.y, this.size[1])];
  }

  /** The place in `points` of the one that is nearest, of those that are `shown`; -1: none is near. */
  nearest(x, y, far, shown) {
    let best = -1;
    let least = far * far;
    this.held.points.forEach((p, i) => {
      const [px, py] = this.where(p);
      const d = (px - x) ** 2 + (py - y) ** 2;
      if (d < least && shown(p)) [best, least] = [i, d];
    });
    return best;
  }

  /** Draws all but the classes in `off`; `point` and `area` are marked, if there are any. */
  draw(canvas, { way, off, point, area }) {
    const scale = devicePixelRatio || 1;
    [canvas.width, canvas.height] = this.size.map((pixels) => pixels * scale);
    const c = canvas.getContext('2d');
    c.scale(scale, scale);
    this.drawPoints(c, way, off);
    this.drawNames(c);
    if (point) this.drawPoint(c, point);
    if (area) this.drawArea(c, area);
  }

  drawPoints(c, way, off) {
    const { names, of } = CLASSES[way](this.held);
    /* Few points may be seen from further away than many. */
    const r = this.held.points.length > MANY ? 1.2 : 2.4;
    names.forEach((name, k) => {
      if (off.has(name)) return;
      const { mark, token } = looks(way, k);
      c.beginPath();
      for (const p of this.held.points) if (of(p) === k) MARKS[mark](c, ...this.where(p), r);
      c.strokeStyle = paint(token);
      c.fillStyle = paint(token);
      c.lineWidth = 1.1;
      if (mark === 'cross') c.stroke();
      else c.fill();
    });
  }

  /* Services are named where most of their points are, so that colours need not be known. */
  drawNames(c) {
    c.font = '600 12px system-ui, sans-serif';
    c.textAlign = 'center';
    c.lineJoin = 'round';
    c.lineWidth = 4;
    c.strokeStyle = paint('--bg');
    c.fillStyle = paint('--ink');
    const { names, of } = CLASSES.service(this.held);
    names.slice(0, COLOURS).forEach((name, k) => {
      const own = this.held.points.filter((p) => of(p) === k);
      const at = { x: middle(own.map((p) => p.x)), y: middle(own.map((p) => p.y)) };
      const [x, y] = this.where(at);
      c.strokeText(name.slice(0, 40), x, y - 4);
      c.fillText(name.slice(0, 40), x, y - 4);
    });
  }

  drawPoint(c, p) {
    c.beginPath();
    c.arc(...this.where(p), 8, 0, 6.3);
    c.lineWidth = 2;
    c.strokeStyle = paint('--ink');
    c.stroke();
  }

  drawArea(c, area) {
    c.strokeStyle = paint('--accent');
    c.fillStyle = paint('--accent-wash');
    c.lineWidth = 1.5;
    c.beginPath();
    c.rect(...area);
    c.fill();
    c.stroke();
  }
}
