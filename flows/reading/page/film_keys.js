// @ts-check
"use strict";

/** The keys that change how a film is seen: window, inversion, zoom, place. */
Xray.filmKeys = (() => {
  /** @param {KeyboardEvent} event */
  const mayRepeat = (event) => event.key.startsWith("Arrow") || event.key === "+" || event.key === "-";

  /** @param {number} factor */
  const zoom = (factor) => {
    const screen = /** @type {HTMLCanvasElement} */ (Xray.find("screen"));
    Xray.viewer.zoomAt(factor, screen.width / 2, screen.height / 2);
  };

  /** What a key does to the film, or null. @param {KeyboardEvent} event @returns {(() => unknown) | null} */
  const actionOf = (event) => {
    const key = event.key.toLowerCase();
    if (key >= "1" && key <= "5") return () => Xray.viewer.preset(Number(key));
    const step = 60 * (window.devicePixelRatio || 1);
    /** @type {Record<string, () => unknown>} */
    const plain = {
      i: Xray.viewer.invert, 0: Xray.viewer.fit, "+": () => zoom(1.25), "-": () => zoom(0.8),
      arrowleft: () => event.shiftKey ? Xray.viewer.pan(step, 0) : Xray.viewer.adjust(-0.1, 0),
      arrowright: () => event.shiftKey ? Xray.viewer.pan(-step, 0) : Xray.viewer.adjust(0.1, 0),
      arrowup: () => event.shiftKey ? Xray.viewer.pan(0, step) : Xray.viewer.adjust(0, -0.04),
      arrowdown: () => event.shiftKey ? Xray.viewer.pan(0, -step) : Xray.viewer.adjust(0, 0.04),
    };
    return plain[key] ?? null;
  };

  return { actionOf, mayRepeat };
})();
