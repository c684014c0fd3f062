// @ts-check
"use strict";

/** One film of the results, to look at; nothing is written here. */
(() => {
  Xray.list = { offline: false };
  Xray.viewer.start(Xray.find("screen"));
  Xray.pointer.start(Xray.find("screen"));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const action = Xray.filmKeys.actionOf(event);
    if (!action) return;
    event.preventDefault();
    action();
  });
  Xray.films.get(document.body.dataset.name).then((/** @type {Film | Missing} */ film) => {
    Xray.find("loading").hidden = true;
    if (!("code" in film)) {
      Xray.viewer.show([film]);
      return;
    }
    Xray.find("unreadable-why").textContent = `${film.words} (${film.code})`;
    Xray.find("unreadable").hidden = false;
  });
})();
