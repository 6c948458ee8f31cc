/** News as they come, each second; while there are none, the server is asked whether it is there. */
import { Away, EVENTS, NEWS, status } from './api.js';

const AGAIN = 5000;
const SOON = 1000;
const SOON_TRIES = 3;

/** Calls `told(name, what)`: each piece of news by its name, and `away` and `back`. */
export const listen = (told) => {
  let tries = 0;
  let away = false;
  const isBack = () => {
    tries = 0;
    if (away) told('back');
    away = false;
  };
  const look = async () => {
    try {
      await status();
      isBack();
    } catch (error) {
      if (!(error instanceof Away)) return;
      if (!away) told('away');
      away = true;
    }
  };
  const open = () => {
    const source = new EventSource(EVENTS);
    for (const [name, read] of Object.entries(NEWS))
      source.addEventListener(name, (e) => told(name, read(JSON.parse(e.data))));
    source.addEventListener('open', isBack);
    source.addEventListener('error', () => {
      source.close();
      tries += 1;
      setTimeout(open, tries > SOON_TRIES ? AGAIN : SOON);
      look();
    });
  };
  open();
};
