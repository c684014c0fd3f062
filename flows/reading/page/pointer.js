// @ts-check
"use strict";

/** The mouse: drag for window and level, the wheel to zoom, space or the middle button to move the film. */
Xray.pointer = (() => {
  const WIDTH = 0.004;  // of the window's width for each pixel to the side
  const LEVEL = 0.0015;  // of the film's own window for each pixel up or down
  const WHEEL = 0.0015;
  let isSpaceHeld = false;

  /** @param {HTMLCanvasElement} screen */
  const start = (screen) => {
    const ratio = () => window.devicePixelRatio || 1;
    /** @type {{id: number, isPan: boolean} | null} */
    let drag = null;
    screen.addEventListener("pointerdown", (event) => {
      drag = { id: event.pointerId, isPan: isSpaceHeld || event.button === 1 };
      screen.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    screen.addEventListener("pointermove", (event) => {
      if (!drag || drag.id !== event.pointerId) return;
      if (drag.isPan) Xray.viewer.pan(event.movementX, event.movementY);
      else Xray.viewer.adjust(event.movementX * WIDTH, event.movementY * LEVEL);
    });
    const end = () => { drag = null; };
    screen.addEventListener("pointerup", end);
    screen.addEventListener("pointercancel", end);
    screen.addEventListener("wheel", (event) => {
      event.preventDefault();
      const box = screen.getBoundingClientRect();
      const [x, y] = [(event.clientX - box.left) * ratio(), (event.clientY - box.top) * ratio()];
      Xray.viewer.zoomAt(Math.exp(-event.deltaY * WHEEL), x, y);
    }, { passive: false });
    document.addEventListener("keydown", (event) => {
      if (event.code === "Space" && document.activeElement === document.body) {
        isSpaceHeld = true;
        document.body.classList.add("moving");
        event.preventDefault();
      }
    });
    document.addEventListener("keyup", (event) => {
      if (event.code !== "Space") return;
      isSpaceHeld = false;
      document.body.classList.remove("moving");
    });
  };

  return { start };
})();
