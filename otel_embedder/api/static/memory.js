/** What one browser keeps of its user's choices; nothing, in a private window. */
export const recall = (key) => {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
};
export const remember = (key, value) => {
  try {
    localStorage.setItem(key, value);
  } catch {
    /* A private window: it is as if nothing were chosen. */
  }
};
