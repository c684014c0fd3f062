// @ts-check
"use strict";

/** The keyboard, and the same by buttons: everything works without a mouse, and everything with one. */
Xray.keys = (() => {
  /** @type {Record<string, string>} */
  const LABELS = { c: "covid", n: "normal", o: "other", u: "unsure" };
  const REASONS = ["not_a_chest", "lateral", "child", "unreadable", "annotated"];
  let isExcludeSure = true;

  /** @param {KeyboardEvent} event */
  const isTyping = (event) => event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement;

  /** @param {boolean} sure */
  const askWhy = (sure) => {
    isExcludeSure = sure;
    Xray.panels.show("why");
  };

  /** @param {number} number 1 to 5 */
  const exclude = (number) => {
    Xray.panels.hide();
    Xray.review.judge("exclude", isExcludeSure, REASONS[number - 1]);
  };

  const askNote = () => {
    /** @type {HTMLInputElement} */ (Xray.find("note-text")).value = Xray.review.now.note ?? "";
    Xray.panels.show("note");
  };

  const takeNote = () => {
    Xray.review.flag(/** @type {HTMLInputElement} */ (Xray.find("note-text")).value.trim());
    Xray.panels.hide();
  };

  /** Keys while a panel is open. @param {KeyboardEvent} event @param {string} panel */
  const pressInPanel = (event, panel) => {
    const number = Number(event.key);
    if (event.key === "Escape" || (event.key === "?" && panel === "help")) Xray.panels.hide();
    else if (panel === "why" && number >= 1 && number <= REASONS.length) exclude(number);
    else if (panel === "note" && event.key === "Enter") takeNote();
    else return;
    event.preventDefault();
  };

  /** What a key does on the film. @param {KeyboardEvent} event @returns {(() => unknown) | null} */
  const actionOf = (event) => {
    const key = event.key.toLowerCase();
    if (LABELS[key]) return () => Xray.review.judge(LABELS[key], !event.shiftKey);
    /** @type {Record<string, () => unknown>} */
    const plain = {
      x: () => Xray.review.now.state !== "saving" && askWhy(!event.shiftKey), z: Xray.review.back, f: askNote,
      p: Xray.review.togglePrior, g: () => Xray.panels.show("guide"), "?": () => Xray.panels.show("help"),
      enter: Xray.review.keep, h: Xray.reveal.toggle,
    };
    return plain[key] ?? Xray.filmKeys.actionOf(event);
  };

  /** @param {KeyboardEvent} event */
  const press = (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const panel = Xray.panels.current();
    if (panel) {
      pressInPanel(event, panel);
      return;
    }
    const isButton = event.target instanceof HTMLButtonElement && (event.key === "Enter" || event.key === " ");
    if (isTyping(event) || isButton || (event.repeat && !Xray.filmKeys.mayRepeat(event))) return;
    const action = actionOf(event);
    if (!action) return;
    event.preventDefault();
    action();
  };

  /** A button stands for its key. @param {HTMLElement} button */
  const connect = (button) => {
    button.addEventListener("click", (event) => {
      const action = actionOf(new KeyboardEvent("keydown", { key: button.dataset.key, shiftKey: event.shiftKey }));
      button.blur();
      if (action) action();
    });
  };

  const start = () => {
    document.addEventListener("keydown", press);
    document.querySelectorAll("[data-key]").forEach((button) => connect(/** @type {HTMLElement} */ (button)));
    document.querySelectorAll("[data-reason]").forEach((button) => {
      button.addEventListener("click", () => exclude(Number(/** @type {HTMLElement} */ (button).dataset.reason)));
    });
    Xray.find("note-save").addEventListener("click", takeNote);
  };

  return { start };
})();
