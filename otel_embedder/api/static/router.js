/** Every state is an address: `#/view/part?key=value`; a value that is a list is said repeatedly. */
export const read = () => {
  const [way, query = ''] = (location.hash.replace(/^#\/?/, '') || 'changes').split('?');
  const [view, ...rest] = way.split('/').map(decoded);
  return { view, rest, params: new URLSearchParams(query) };
};
/* What somebody typed need not be well encoded. */
const decoded = (part) => {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
};
const READABLE = { '%3A': ':', '%2F': '/', '%2C': ',' };

export const address = (way, params = {}) => {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) {
    for (const each of [value].flat()) if (each != null && each !== '') query.append(key, each);
  }
  const words = String(query).replace(/%3A|%2F|%2C/g, (code) => READABLE[code]);
  return `#/${way}${words ? `?${words}` : ''}`;
};
export const go = (to) => {
  location.hash = to;
};
/** Changes the address without a new step for the back button (typing, dragging). */
export const replace = (to) => {
  history.replaceState(null, '', to);
  dispatchEvent(new HashChangeEvent('hashchange'));
};
/** All parameters of an address, each as a list. */
const all = (params) =>
  Object.fromEntries([...params.keys()].map((key) => [key, params.getAll(key)]));
/** This address with some parameters changed. */
export const changed = (params) => {
  const at = read();
  const way = [at.view, ...at.rest.map(encodeURIComponent)].join('/');
  return address(way, { ...all(at.params), ...params });
};
