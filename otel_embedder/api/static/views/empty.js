/** Instead of a view: what is missing, why, and the line that mends it. */
import { Away, Problem, begin } from '../api.js';
import { h, $ } from '../dom.js';
import { count } from '../format.js';
import { copyLine } from '../parts.js';

const teach = (title, words, steps) =>
  h(
    'div',
    { class: 'view teach roomy' },
    h('h1', { tabindex: -1 }, title),
    h('p', {}, words),
    steps.length > 0 &&
      h(
        'ol',
        { class: 'steps' },
        steps.map(([what, line]) => h('li', {}, what, copyLine(line))),
      ),
    h('p', { class: 'mute' }, 'This page looks again by itself and goes on.'),
  );

const noCatalogue = () =>
  teach(
    'There is no catalogue yet.',
    'The page reads what the sidecar keeps of the spans. It keeps nothing until it is told where.',
    [
      ['Start the sidecar with one', 'otel-embedder serve --catalogue sqlite:///catalogue.db'],
      [
        'Or look at files that you have',
        'otel-embedder index traces.jsonl --catalogue sqlite:///catalogue.db',
      ],
    ],
  );
const noSpans = () =>
  teach(
    'The catalogue is open. No span has come yet.',
    'Nothing was sent so far. Most often the Collector’s exporter points elsewhere.',
    [
      ['See whether the sidecar is well', 'otel-embedder health'],
      [
        'Put files that you have into the catalogue',
        'otel-embedder index traces.jsonl --catalogue sqlite:///catalogue.db',
      ],
    ],
  );
const otherVersion = (health) =>
  teach(
    `All ${count(health.catalogue.texts)} texts are of another version.`,
    `This page asks as ${health.model}, texts ${health.textVersion}, and no text in the catalogue has a vector of both. Vectors of different models and versions are never compared: the answer would be noise.`,
    [
      [
        'Bring them over (can be stopped, and goes on)',
        'otel-embedder reembed --catalogue sqlite:///catalogue.db',
      ],
    ],
  );

/** What stands in the way of every view; null if nothing does. */
export const stateOf = (health) => {
  const kept = health.catalogue;
  if (!kept) return noCatalogue();
  if (!kept.texts) return noSpans();
  const comparable =
    (kept.models[health.model] ?? 0) > 0 && (kept.versions[health.textVersion] ?? 0) > 0;
  return comparable || kept.waiting > 0 ? null : otherVersion(health);
};

export const problem = (title, words, line) =>
  h(
    'div',
    { class: 'view teach roomy' },
    h('h1', { tabindex: -1 }, title),
    h('p', {}, words),
    line && h('p', {}, copyLine(line)),
    h(
      'p',
      {},
      h('a', { href: '#/changes' }, 'What changed'),
      ' · ',
      h('a', { href: '#/now' }, 'Is the sidecar well?'),
    ),
  );

/** Asks for the token once; the server keeps a cookie of it that no script can read. */
export const token = (goOn) => {
  const enter = async (e) => {
    e.preventDefault();
    try {
      await begin($('#token').value);
      goOn();
    } catch (error) {
      if (!(error instanceof Problem || error instanceof Away)) throw error;
      $('#refused').textContent = error.message;
      $('#token').select();
    }
  };
  return h(
    'div',
    { class: 'view teach roomy' },
    h('h1', { tabindex: -1 }, 'A token is asked for here.'),
    h(
      'p',
      {},
      'It is one of those in the file that ',
      h('code', {}, 'http_token_file'),
      ' names. This browser is let in from then on.',
    ),
    h(
      'form',
      { class: 'note', onsubmit: enter },
      h('label', { for: 'token' }, 'Token'),
      h(
        'div',
        {},
        h('input', {
          id: 'token',
          type: 'password',
          autocomplete: 'current-password',
          required: true,
        }),
        h('button', { type: 'submit' }, 'Let me in'),
      ),
    ),
    h('p', { id: 'refused', role: 'alert' }),
  );
};
