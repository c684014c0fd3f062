// @ts-check
"use strict";

/** What lies over the film for a moment: help, guide, why excluded, a note. One at a time; Escape closes it. */
Xray.panels = (() => {
  /** @type {HTMLElement | null} */
  let open = null;
  /** @type {Element | null} */
  let before = null;

  /** Open a panel by its id; the first thing in it that can be used gets the focus.
   * @param {string} id */
  const show = (id) => {
    hide();
    before = document.activeElement;
    open = Xray.find(id);
    open.hidden = false;
    const first = open.querySelector("input, button");
    /** @type {HTMLElement} */ (first ?? open).focus({ preventScroll: true });
  };

  const hide = () => {
    if (!open) return;
    open.hidden = true;
    open = null;
    if (before instanceof HTMLElement) before.blur();
  };

  /** The id of the panel that is open, or null. */
  const current = () => open?.id ?? null;

  const start = () => {
    for (const button of document.querySelectorAll("[data-close]")) button.addEventListener("click", hide);
  };

  return { start, show, hide, current };
})();

/** One line above the bottom that stays until it is taken back; null takes it back.
 * @param {string | null} words */
Xray.notice = (words) => {
  const line = Xray.find("notice");
  if (line.textContent !== (words ?? "")) line.textContent = words ?? "";
  line.hidden = words === null;
};
