/** All that is asked of the server, and the only place that knows the names of its fields. */
const BASE = 'api/v1/';
const PATIENCE = 30_000;

/** The server answered that it can't: `status` of HTTP, `message` in its words, `field` if one is wrong. */
export class Problem extends Error {
  constructor(status, words, field) {
    super(words);
    this.status = status;
    this.field = field;
  }
}

/** The server did not answer. */
export class Away extends Error {}

const query = (params) => {
  const said = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) {
    for (const each of Array.isArray(value) ? value : [value])
      if (each != null && each !== '') said.append(key, each);
  }
  return String(said);
};

const problem = async (answer) => {
  const said = await answer.json().catch(() => ({}));
  return new Problem(
    answer.status,
    said.detail ?? `The server answered ${answer.status} ${answer.statusText}.`,
    said.field,
  );
};

const call = async (path, options, signal) => {
  const signals = [AbortSignal.timeout(PATIENCE), ...(signal ? [signal] : [])];
  let answer;
  try {
    answer = await fetch(BASE + path, { ...options, signal: AbortSignal.any(signals) });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Away('The server does not answer.');
  }
  if (!answer.ok) throw await problem(answer);
  return answer.status === 204 ? null : answer.json();
};

const ask = (path, params, signal) => {
  const said = query(params);
  return call(said ? `${path}?${said}` : path, {}, signal);
};
const tell = (path, body) =>
  call(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });

/** Milliseconds since 1970, of RFC 3339; also of nanoseconds and of seconds as numbers. */
const moment = (value) => {
  if (value == null) return null;
  if (typeof value === 'string') return Date.parse(value);
  return value > 1e14 ? value / 1e6 : value * 1000;
};

/* --- answers ------------------------------------------------------------- */
const example = (e) => ({
  trace: e.trace_id,
  span: e.span_id,
  at: moment(e.time),
  ms: e.milliseconds,
  link: e.link,
});

const hit = (x) => ({
  id: x.text_id,
  like: x.cosine ?? 0,
  words: x.text,
  service: x.service,
  operation: x.operation,
  kind: x.kind.toLowerCase(),
  failed: x.status === 'ERROR',
  n: x.spans,
  trend: x.trend ?? [],
  first: moment(x.first_seen),
  last: moment(x.last_seen),
  ms: x.milliseconds,
  examples: x.examples.map(example),
});

const answer = (a) => ({
  asked: a.asked,
  understood: a.is_understood,
  hits: a.hits.map(hit),
  compared: a.compared,
  leftOut: a.left_out.waiting + a.left_out.other_model + a.left_out.other_text_version,
  since: moment(a.since),
});

const group = (g) => ({
  id: g.id,
  title: g.title,
  state: g.state,
  service: g.service,
  type: g.type,
  n: g.count,
  trend: g.trend,
  growth: g.growth,
  first: moment(g.first_seen),
  last: moment(g.last_seen),
  again: moment(g.came_again),
  reached: g.reached.filter((name) => name !== g.service),
  operations: g.operations,
  examples: g.examples.map(example),
  note: g.note,
  mutedUntil: moment(g.muted_until),
  merged: g.merged,
  related: (g.related ?? []).map((r) => ({
    id: r.id,
    title: r.title,
    service: r.service,
    like: r.cosine,
  })),
});

const operation = (o) => ({
  service: o.service,
  operation: o.operation,
  kind: o.kind.toLowerCase(),
  calls: o.calls,
});
const reason = (r) => ({ test: r.test, before: r.before, after: r.after, z: r.z, said: r.said });
const change = (c) => ({
  ...operation(c.operation),
  id: [c.operation.service, c.operation.operation, c.operation.kind].join('|'),
  certain: c.is_certain,
  nBefore: c.spans_before,
  nAfter: c.spans_after,
  reasons: c.reasons.map(reason),
  z: Math.max(0, ...c.reasons.map((r) => r.z)),
  words: c.text,
  before: c.examples_before.map(example),
  after: c.examples_after.map(example),
  readsLike: c.reads_like.map((a) => ({
    like: a.cosine,
    service: a.service,
    operation: a.operation,
    words: a.text,
    id: a.text_id,
  })),
  group: c.group || null,
});
const shifted = (x) => ({ ...operation(x.operation), before: x.before, after: x.after, z: x.z });
const period = (p) => ({ from: moment(p.since), to: moment(p.until), spans: p.spans });

/* Places in the plane come as they are; whoever draws them says what the edges are. */
const points = (p) => ({
  axes: p.axes,
  changed: p.changed,
  isWhole: p.total === p.key.length,
  services: p.services,
  operations: p.operations,
  points: p.key.map((key, i) => ({
    key,
    x: p.x[i],
    y: p.y[i],
    service: p.service[i],
    operation: p.operation[i],
    failed: p.statuses[p.status[i]] === 'ERROR',
    first: p.first_seen[i] * 1000,
  })),
});

const facet = (values) => values.map((v) => ({ value: v.value, n: v.texts }));
const facets = (f) => ({
  status: facet(f.status),
  service: facet(f.service),
  kind: facet(f.kind),
});

const catalogue = (c) => ({
  texts: c.texts,
  waiting: c.waiting,
  bytes: c.bytes,
  models: c.models,
  versions: c.text_versions,
  services: c.services.map((x) => x.service),
});
const second = (m) => ({
  spans: m.spans,
  refused: m.refused,
  hits: m.hits,
  standIns: m.stand_ins,
  queue: m.queue,
  memory: m.memory,
  p50: m.p50_ms,
  p95: m.p95_ms,
  p99: m.p99_ms,
});
const sidecar = (s) => ({
  listen: s.listen,
  nextHop: s.next_hop,
  mostQueued: s.max_queue,
  from: moment(s.since),
  step: s.step * 1000,
  moments: s.moments.map(second),
});
const health = (s) => ({
  version: s.version,
  started: moment(s.started),
  model: s.model,
  textVersion: s.text_version,
  url: s.url,
  catalogue: s.catalogue ? catalogue(s.catalogue) : null,
  sidecar: s.sidecar ? sidecar(s.sidecar) : null,
  troubles: s.troubles,
});

/* --- questions ----------------------------------------------------------- */
const narrowing = (f) => ({
  service: f.service,
  status: f.status,
  kind: f.kind,
  since: f.since,
  min_duration: f.least,
});

export const search = async (question, f, count, signal) =>
  answer(await ask('search', { question, ...narrowing(f), count }, signal));
export const like = async (what, f, count, signal) =>
  answer(await ask('like', { like: what, ...narrowing(f), count }, signal));
export const filters = async (f, signal) => facets(await ask('facets', narrowing(f), signal));
export const entry = async (key, signal) => hit((await ask('entries', { key }, signal)).hits[0]);

export const groups = async (f, signal) => {
  const found = await ask('groups', { since: f.since, state: f.state, count: f.count }, signal);
  return {
    groups: found.groups.map(group),
    total: found.total,
    since: moment(found.since),
    step: found.step * 1000,
  };
};
export const oneGroup = async (id, signal) => {
  const found = await ask(`groups/${encodeURIComponent(id)}`, {}, signal);
  return { ...group(found), since: moment(found.since), step: (found.step ?? 0) * 1000 };
};
const deciding =
  (word) =>
  (id, body = {}) =>
    tell(`groups/${encodeURIComponent(id)}/${word}`, body);
export const mute = deciding('mute');
export const resolve = deciding('resolve');
export const reopen = deciding('reopen');
export const split = deciding('split');
export const merge = (id, into) => deciding('merge')(id, { into });
export const note = (id, words) => deciding('note')(id, { text: words });

export const changes = async (window, against, signal) => {
  const c = await ask('changes', { window, against }, signal);
  return {
    window: period(c.window),
    baseline: period(c.baseline),
    certain: c.certain.map(change),
    unsure: c.uncertain.map(change),
    beside: {
      Gone: c.gone.map(shifted),
      Rarer: c.fewer.map(shifted),
      'More frequent': c.more.map(shifted),
      Faster: c.faster.map(shifted),
    },
    visible: c.visible && {
      ...operation(c.visible.operation),
      spans: c.visible.spans,
      failing: c.visible.failing,
    },
  };
};
export const curve = async (since, until, signal) => {
  const c = await ask('curve', { since, until }, signal);
  return { from: moment(c.since), step: c.step * 1000, spans: c.spans, errors: c.errors };
};
export const map = async (count, signal) => points(await ask('map', { count }, signal));
export const status = async (signal) => health(await ask('status', {}, signal));
export const begin = (token) => tell('session', { token });

/* --- news ---------------------------------------------------------------- */
export const EVENTS = `${BASE}events`;
/* `changed` grows with each change of the catalogue. */
const beat = (b) => ({
  at: moment(b.time),
  texts: b.texts,
  changed: b.changed,
  moment: b.moment ? second(b.moment) : null,
});
/** By the name of an event what reads it: how all is, texts that came, failures that are new. */
export const NEWS = {
  status: beat,
  texts: (t) => ({ after: t.after, points: points(t.points) }),
  groups: (g) => ({ total: g.total, ids: g.groups.map((each) => each.id) }),
};
