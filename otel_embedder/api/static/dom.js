/** Builds elements of text. What a span says can become no markup, reorder nothing, flood nothing. */
const SVG = 'http://www.w3.org/2000/svg';
const MOST = 2000;
const PROPERTIES = ['value', 'checked', 'hidden', 'disabled', 'open'];

/* Control characters, and those that turn the direction of what stands around them. */
const UNSEEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g;

/** Text as it may be shown: what can't be seen as a sign, what is too long cut and told so. */
export const plain = (text) => {
  const said = String(text);
  const shown =
    said.length > MOST
      ? `${said.slice(0, MOST)}… (cut: ${said.length.toLocaleString('en')} characters)`
      : said;
  return shown.replace(UNSEEN, '\ufffd');
};

const put = (el, props) => {
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value == null || value === false) continue;
    if (key.startsWith('on')) el.addEventListener(key.slice(2), value);
    else if (key === 'style')
      for (const [k, v] of Object.entries(value)) el.style.setProperty(k, v);
    else if (PROPERTIES.includes(key) && key in el) el[key] = value;
    else if (value === true) el.setAttribute(key, '');
    else el.setAttribute(key, key === 'href' || key.startsWith('data-') ? value : plain(value));
  }
  return el;
};

const fill = (el, kids) => {
  for (const kid of kids.flat(Infinity)) {
    if (kid == null || kid === false) continue;
    el.append(kid instanceof Node ? kid : plain(kid));
  }
  return el;
};

export const h = (tag, props, ...kids) => fill(put(document.createElement(tag), props), kids);
export const s = (tag, props, ...kids) =>
  fill(put(document.createElementNS(SVG, tag), props), kids);

/** Puts these in the place of what is there. */
export const set = (el, ...kids) => {
  el.replaceChildren();
  return fill(el, kids);
};

export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

/** Says something politely to who can't see it. */
export const say = (words) => {
  $('#said').textContent = plain(words);
};
