/** The shell: addresses to views, keys, what is live, and what is shown when nothing can be. */
import { Away, Problem, status } from './api.js';
import { h, $, set, say } from './dom.js';
import { clock, now, oneLine, refreshTimes } from './format.js';
import { keyed, showKeys, singleKeys } from './keys.js';
import { listen } from './live.js';
import { copyLine, focusStep, toast } from './parts.js';
import { address, changed, go, read, replace } from './router.js';
import { nextTheme, startTheme } from './theme.js';
import { problem, stateOf, token } from './views/empty.js';

/* What the first file does not ask for comes after the first answer: none waits for all others. */
const VIEWS = {
  changes: () => import('./views/changes.js'),
  errors: () => import('./views/errors.js'),
  group: () => import('./views/group.js'),
  search: () => import('./views/search.js'),
  map: () => import('./views/map.js'),
  now: () => import('./views/now.js'),
};
const NAV = [
  ['changes', 'Changes', 'c'],
  ['errors', 'Errors', 'e'],
  ['search', 'Search', 's'],
  ['map', 'Map', 'm'],
  ['now', 'Now', 'n'],
];
/* Typing and dragging ask often: what is asked is what is left standing for so long. */
const CALM = 30;
const BEFORE_WAITING = 200;
/* However often the catalogue changes, what is new is looked for so often. */
const LOOK_AGAIN = 5000;

let view;
let shown;
let turn = new AbortController();
let health = null;
let fresh = 0;
let live = true;
let awaySince = null;

const viewNamed = (at) => {
  if (at.view === 'errors' && at.rest[0]) return 'group';
  return NAV.some(([id]) => id === at.view) ? at.view : 'changes';
};
const viewOf = async (name) => {
  try {
    return await VIEWS[name]();
  } catch {
    throw new Away('The server does not answer.');
  }
};
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/* --- what is around a view ----------------------------------------------- */
const nav = () => {
  const here = read().view;
  const link = ([id, words, key]) =>
    h(
      'a',
      {
        href: `#/${id}`,
        'aria-current': here === id ? 'page' : null,
        'aria-keyshortcuts': `g ${key}`,
        title: `g ${key}`,
      },
      words,
      id === 'errors' && fresh > 0 && h('span', { class: 'pip' }, `${fresh} new`),
    );
  set($('#nav'), NAV.map(link));
};
const commandLine = (at, next) => {
  const hints = [...(next.hints ?? []), ['?', 'all keys']].map(([key, words]) =>
    h('span', {}, keyed(key), words),
  );
  set(
    $('#command'),
    h('span', { class: 'mute' }, 'Same answer in a terminal'),
    copyLine(next.command(at)),
    h('span', { class: 'hints', 'aria-hidden': 'true' }, hints),
  );
};
const banner = () => {
  if (awaySince === null) set($('#banner'));
  else
    set(
      $('#banner'),
      h(
        'div',
        { class: 'away', role: 'alert' },
        h('b', {}, 'The server does not answer. '),
        `What you see is of ${clock(awaySince)} and stays. It is tried again by itself; nothing to do here if it is being restarted.`,
        copyLine('otel-embedder health'),
      ),
    );
};
const name = (words) => {
  document.title = `${words.slice(0, 120)} · otel-embedder`;
};

/* --- showing a view ------------------------------------------------------ */
/** Shows this in the place of the view; the view is made anew when it can be shown again. */
const instead = (node, words) => {
  view?.leave?.();
  view = shown = null;
  $('#main').removeAttribute('aria-busy');
  $('#main').dataset.at = location.hash;
  set($('#main'), node);
  name(words);
  focusHeading();
};
const focusHeading = () => {
  const started = render.started;
  render.started = true;
  if (!started || document.activeElement === $('#q')) return;
  ($('#main h1') ?? $('#main')).focus({ preventScroll: true });
};

const put = (next, key, at, data) => {
  const main = $('#main');
  if (next === view && key === shown) next.update(at, data);
  else {
    view?.leave?.();
    [view, shown] = [next, key];
    main.className = at.view;
    set(main, next.render(at, data));
    next.shown?.(at, data);
    if (render.started) scrollTo(0, 0);
    focusHeading();
  }
  main.removeAttribute('aria-busy');
  main.dataset.at = location.hash;
  name(next.title(at, data));
};

const failed = (error) => {
  if (error instanceof Away) {
    isAway();
    if (!view)
      instead(
        problem(
          'The server does not answer.',
          'It is tried again by itself, every few seconds.',
          'otel-embedder health',
        ),
        'Away',
      );
    return;
  }
  if (!(error instanceof Problem)) throw error;
  if (error.status === 401) instead(token(render), 'Token');
  else
    instead(
      problem(
        error.status === 404 ? 'That is not here.' : 'That can’t be answered.',
        error.message,
      ),
      'Problem',
    );
};

const render = async () => {
  turn.abort();
  turn = new AbortController();
  const { signal } = turn;
  const at = read();
  const wanted = viewNamed(at);
  const key = [at.view, at.rest.join('/')].join('/');
  nav();
  if (document.activeElement !== $('#q'))
    $('#q').value = at.view === 'search' ? (at.params.get('q') ?? '') : '';
  const waiting = setTimeout(() => $('#main').setAttribute('aria-busy', 'true'), BEFORE_WAITING);
  try {
    const next = await viewOf(wanted);
    if (signal.aborted) return;
    commandLine(at, next);
    if (next === view && key === shown) {
      next.moved?.(at);
      await sleep(CALM);
      if (signal.aborted) return;
    }
    const data = await next.load(at, signal);
    if (signal.aborted) return;
    const empty = health && wanted !== 'now' && stateOf(health);
    if (empty) instead(empty, 'Nothing to show yet');
    else put(next, key, at, data);
  } catch (error) {
    if (!signal.aborted) failed(error);
  } finally {
    clearTimeout(waiting);
  }
};

/* --- live ---------------------------------------------------------------- */
const isAway = () => {
  if (awaySince !== null) return;
  awaySince = now();
  banner();
};
const learn = (what) => {
  const was = health && Boolean(stateOf(health));
  health = what;
  const is = Boolean(stateOf(health));
  if (was === null ? is && read().view !== 'now' : was !== is) render();
};
/* An empty state goes by itself, as soon as there is something. */
const look = () => status().then(learn, () => null);

let lastChange = null;
let lookedAt = 0;
const onBeat = (beat) => {
  view?.beat?.(beat);
  if (beat.changed === lastChange || now() - lookedAt < LOOK_AGAIN) return;
  const isFirst = lastChange === null;
  lastChange = beat.changed;
  lookedAt = now();
  if (!isFirst) view?.news?.();
};
const onGroups = ({ total, ids }) => {
  fresh = total;
  nav();
  view?.fresh?.(ids);
};
const onBack = () => {
  awaySince = null;
  banner();
  look();
  render();
};
const NEWS = {
  away: isAway,
  back: onBack,
  status: (beat) => live && onBeat(beat),
  texts: (texts) => live && view?.arrived?.(texts),
  groups: (groups) => live && onGroups(groups),
};
const told = (name, what) => NEWS[name](what);
const showLive = () => {
  $('#live').setAttribute('aria-pressed', String(live));
  $('#live').title = 'Pause or go on (p)';
  if (awaySince === null || !live)
    set(
      $('#live'),
      h('i', { class: live ? 'beat on' : 'beat', 'aria-hidden': 'true' }),
      live ? `Live ${clock(now())}` : 'Paused',
    );
  else set($('#live'), h('i', { class: 'beat', 'aria-hidden': 'true' }), 'Away');
};
const tick = () => {
  showLive();
  refreshTimes();
  if (!live || document.hidden || awaySince !== null) return;
  if (view) view.tick?.();
  else look();
};
const setLive = (on) => {
  live = on;
  tick();
};

/* --- keys ---------------------------------------------------------------- */
const copy = async (line) => {
  try {
    await navigator.clipboard.writeText(line);
    toast('Copied.');
  } catch {
    toast(`Copy by hand: ${line}`);
  }
};
const toAsk = () => {
  $('#q').focus();
  $('#q').select();
};
const ANYWHERE = {
  '/': toAsk,
  '?': showKeys,
  t: nextTheme,
  p: () => setLive(!live),
  y: () => copy($('#command [data-copy]').dataset.copy),
  j: () => focusStep(1, $('#main')),
  k: () => focusStep(-1, $('#main')),
  u: () => $('#undo')?.click(),
  '.': () => $('.arrived')?.click(),
};
const SECOND_KEY = 1200;
let pressedG = 0;

const escape = (at, typing) => {
  if (typing) typing.blur();
  else if (!view?.escape?.(at) && at.rest[0]) go(`#/${at.view}`);
};
const onTyping = (e, typing) => {
  if (e.key !== 'ArrowDown' || typing.id !== 'q') return;
  e.preventDefault();
  focusStep(1, $('#main'));
};
const keyAction = (e) => {
  const second = Date.now() - pressedG < SECOND_KEY && NAV.find(([, , key]) => key === e.key);
  pressedG = 0;
  if (second) return () => go(`#/${second[0]}`);
  if (e.key === 'g') {
    return () => {
      pressedG = Date.now();
      say('g: c, e, s, m or n');
    };
  }
  return view?.key?.(e, read()) ?? ANYWHERE[e.key];
};
const onKey = (e) => {
  if (e.ctrlKey || e.metaKey || e.defaultPrevented || $('#keys').open) return;
  const typing = e.target.closest('input:not([type=checkbox]):not([type=radio]), textarea, select');
  if (e.key === 'Escape') return escape(read(), typing);
  if (typing) return onTyping(e, typing);
  if (e.altKey || (!singleKeys() && e.key.length === 1)) return undefined;
  const action = keyAction(e);
  if (!action) return undefined;
  e.preventDefault();
  return action();
};

/* --- the one box --------------------------------------------------------- */
/** Asks what stands in the box; `step`: as a step that the back button takes back. */
const asked = (step) => {
  const q = $('#q').value.trim();
  const at = read();
  const to = at.view === 'search' ? changed({ q, like: null }) : address('search', { q });
  if (!step && at.view === 'search') replace(to);
  else if (q || step) go(to);
};
/** Of a pasted text one line: of a stack trace its causes only. */
const pasted = (e) => {
  const text = e.clipboardData.getData('text');
  if (!text.includes('\n')) return;
  e.preventDefault();
  $('#q').value = oneLine(text);
  asked(true);
};

const start = () => {
  $('#q').addEventListener('input', () => asked(false));
  $('#q').addEventListener('paste', pasted);
  $('#ask').addEventListener('submit', (e) => {
    e.preventDefault();
    asked(true);
    focusStep(1, $('#main'));
  });
  document.addEventListener('click', (e) => {
    const line = e.target.closest('[data-copy]');
    if (line) copy(line.dataset.copy);
  });
  $('.skip').addEventListener('click', (e) => {
    e.preventDefault();
    $('#main').focus();
  });
  $('#help').addEventListener('click', showKeys);
  $('#live').addEventListener('click', () => setLive(!live));
  document.addEventListener('keydown', onKey);
  addEventListener('hashchange', render);
  startTheme();
  showLive();
  setInterval(tick, 5000);
  look();
  // Before the first answer: what comes between that and the news nobody would tell.
  listen(told);
  render().finally(() => {
    for (const bring of Object.values(VIEWS)) bring().catch(() => null);
  });
};
start();
