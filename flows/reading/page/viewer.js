// @ts-check
"use strict";

/** The films on the screen: which grey levels are shown, how large, and where. */
Xray.viewer = (() => {
  /** @type {HTMLCanvasElement} */
  let screen;
  /** @type {(Film | null)[]} */
  let panes = [null];
  /** @type {{zoom: number, x: number, y: number}} */
  let view = { zoom: 1, x: 0, y: 0 };
  /** Of the film itself: its own window is (0, 1). @type {{from: number, to: number, inverted: boolean}} */
  let shares = { from: 0, to: 1, inverted: false };
  let isAsked = false;
  /** @type {(() => void)[]} */
  let painted = [];

  /** Shares of the file's own window: as the file says, the whole range, more contrast, the dark, the bright. */
  const PRESETS = [[0, 1], null, [0.2, 0.8], [0, 0.6], [0.4, 1]];

  /** Fill the film's table of 65,536 grey levels for a window, and its own canvas with what it shows.
   * @param {Film} film @param {Window} window */
  const render = (film, window) => {
    const { table, values, curve } = film;
    const span = Math.max(window.high - window.low, 1e-6);
    const own = film.high - film.low;
    for (let value = 0; value <= film.top; value += 1) {
      const share = Math.min(1, Math.max(0, (value - window.low) / span));
      let level = share * 255;
      if (curve) level = curve[Math.min(curve.length - 1, Math.max(0, Math.round(bend(value, window, film, own))))];
      level = Math.round(window.inverted ? 255 - level : level);
      table[value] = 0xff000000 | (level << 16) | (level << 8) | level;
    }
    const context = /** @type {CanvasRenderingContext2D} */ (film.canvas.getContext("2d"));
    const picture = context.createImageData(film.width, film.height);
    const pixels = new Uint32Array(picture.data.buffer);
    for (let place = 0; place < values.length; place += 1) pixels[place] = table[values[place]];
    context.putImageData(picture, 0, 0);
  };

  /** Where on the film's own curve a value stands when the window was moved.
   * @param {number} value @param {Window} window @param {Film} film @param {number} own */
  const bend = (value, window, film, own) =>
    film.low + ((value - window.low) / Math.max(window.high - window.low, 1e-6)) * own;

  /** The window of a film for the shares that are chosen.
   * @param {Film} film @returns {Window} */
  const windowOf = (film) => {
    const own = film.high - film.low;
    return { low: film.low + shares.from * own, high: film.low + shares.to * own, inverted: shares.inverted };
  };

  /** How large and where a pane's film is drawn, in pixels of the screen.
   * @param {Film} film @param {number} index */
  const placeOf = (film, index) => {
    const width = screen.width / panes.length;
    const scale = Math.min(width / film.width, screen.height / film.height) * view.zoom;
    const left = index * width + width / 2 + view.x - (film.width * scale) / 2;
    return { left, top: screen.height / 2 + view.y - (film.height * scale) / 2, scale, from: index * width, width };
  };

  const draw = () => {
    isAsked = false;
    const context = /** @type {CanvasRenderingContext2D} */ (screen.getContext("2d"));
    context.fillStyle = "#000";
    context.fillRect(0, 0, screen.width, screen.height);
    context.imageSmoothingQuality = "high";
    panes.forEach((film, index) => {
      if (!film) return;
      const { left, top, scale, from, width } = placeOf(film, index);
      context.save();
      context.beginPath();
      context.rect(from, 0, width, screen.height);
      context.clip();
      context.imageSmoothingEnabled = scale < 4;
      context.drawImage(film.canvas, left, top, film.width * scale, film.height * scale);
      context.restore();
    });
    Xray.reveal?.drawHeat(context, panes[0] && placeOf(panes[0], 0), panes[0]);
    const waiting = painted;
    painted = [];
    // A frame is on the screen once the next one begins.
    requestAnimationFrame(() => waiting.forEach((tell) => tell()));
  };

  /** Draw with the next frame; resolves when it is on the screen.
   * @returns {Promise<void>} */
  const redraw = () => {
    if (!isAsked) {
      isAsked = true;
      requestAnimationFrame(draw);
    }
    return new Promise((resolve) => painted.push(resolve));
  };

  const rerender = () => {
    panes.forEach((film) => film && render(film, windowOf(film)));
    return redraw();
  };

  /** Show one film, or two beside each other, fitted, each in its own window.
   * @param {(Film | null)[]} films */
  const show = (films) => {
    const isFresh = shares.from === 0 && shares.to === 1 && !shares.inverted;
    const left = panes.filter((film) => film && !films.includes(film));
    shares = { from: 0, to: 1, inverted: false };
    view = { zoom: 1, x: 0, y: 0 };
    if (!isFresh) [...left, ...films].forEach((film) => film && render(film, windowOf(film)));
    panes = films;
    return redraw();
  };

  /** Add a film beside the one that is shown, or take it away; window and zoom stay.
   * @param {Film | null} prior */
  const compare = (prior) => {
    panes = prior ? [panes[0], prior] : [panes[0]];
    return rerender();
  };

  /** @param {number} from @param {number} to */
  const setShares = (from, to) => {
    shares = { ...shares, from: Math.min(from, to - 0.001), to };
    return rerender();
  };

  /** Move the window: wider or narrower about its middle, darker or brighter; both in shares of the own window.
   * @param {number} wider @param {number} level */
  const adjust = (wider, level) => {
    const middle = (shares.from + shares.to) / 2 + level;
    const half = Math.max(0.0005, ((shares.to - shares.from) / 2) * Math.exp(wider));
    return setShares(middle - half, middle + half);
  };

  /** @param {number} number 1 to 5 */
  const preset = (number) => {
    const film = panes[0];
    const own = film ? film.high - film.low : 1;
    const whole = film ? [-film.low / own, (film.top - film.low) / own] : [0, 1];
    const [from, to] = PRESETS[number - 1] ?? whole;
    return setShares(from, to);
  };

  const invert = () => {
    shares.inverted = !shares.inverted;
    return rerender();
  };

  /** Zoom so that what is at this point of the screen (device pixels) stays there.
   * @param {number} factor @param {number} x @param {number} y */
  const zoomAt = (factor, x, y) => {
    const zoom = Math.min(32, Math.max(0.5, view.zoom * factor));
    const width = screen.width / panes.length;
    const [middleX, middleY] = [Math.floor(x / width) * width + width / 2, screen.height / 2];
    const ratio = zoom / view.zoom;
    view = {
      zoom,
      x: x - middleX - (x - middleX - view.x) * ratio,
      y: y - middleY - (y - middleY - view.y) * ratio,
    };
    return redraw();
  };

  /** @param {number} x @param {number} y in device pixels */
  const pan = (x, y) => {
    view = { ...view, x: view.x + x, y: view.y + y };
    return redraw();
  };

  const fit = () => {
    view = { zoom: 1, x: 0, y: 0 };
    return redraw();
  };

  const resize = () => {
    const ratio = window.devicePixelRatio || 1;
    screen.width = Math.round(screen.clientWidth * ratio);
    screen.height = Math.round(screen.clientHeight * ratio);
    redraw();
  };

  /** @param {HTMLCanvasElement} canvas */
  const start = (canvas) => {
    screen = canvas;
    new ResizeObserver(resize).observe(canvas);
    resize();
  };

  return { start, render, show, compare, setShares, adjust, preset, invert, zoomAt, pan, fit, redraw };
})();
