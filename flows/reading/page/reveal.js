// @ts-check
"use strict";

/** What the service said of a film, after the reader's own verdict and never before. */
Xray.reveal = (() => {
  const AGAIN = 1500;  // ms until a map that is being drawn is asked for once more
  /** @type {HTMLCanvasElement | null} */
  let heat = null;
  let isShaded = true;
  let shown = 0;

  /** A heat map as a picture: more yellow where more speaks for covid.
   * @param {Heat} map */
  const paintHeat = (map) => {
    const canvas = document.createElement("canvas");
    canvas.width = map.width;
    canvas.height = map.height;
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const picture = context.createImageData(map.width, map.height);
    const levels = atob(map.heat);
    for (let place = 0; place < levels.length; place += 1) {
      picture.data.set([255, 196, 60, levels.charCodeAt(place) * 0.6], 4 * place);
    }
    context.putImageData(picture, 0, 0);
    return canvas;
  };

  /** What the shade is, or why there is none.
   * @param {Reveal} reveal */
  const sayHeat = (reveal) => {
    if (reveal.drawing) return "The heat map is being drawn …";
    if (!reveal.heat) return "There is no heat map of this film: the network cannot be asked where it looked.";
    if (!/[^A]/.test(reveal.heat.heat.replaceAll("=", ""))) return "Nothing in this film spoke for covid to the network: there is no shade.";
    return "The yellow shade shows where the network looked. It is no proof: such maps often miss what matters. "
      + "H takes the shade away and brings it back.";
  };

  /** @param {Reveal} reveal */
  const shade = (reveal) => {
    heat = reveal.heat ? paintHeat(reveal.heat) : null;
    Xray.find("reveal-heat").textContent = sayHeat(reveal);
    return Xray.viewer.redraw();
  };

  /** Ask for the map until it is drawn, while this film is shown.
   * @param {number} position @param {number} turn */
  const wait = (position, turn) => setTimeout(async () => {
    if (turn !== shown) return;
    const answer = await fetch(`reveals/${position}`).catch(() => null);
    if (turn !== shown) return;
    const reveal = answer?.ok ? await answer.json() : null;
    if (reveal && !reveal.drawing) shade(reveal);
    else wait(position, turn);
  }, AGAIN);

  /** @param {Reveal} reveal @param {Said} said @param {number} position */
  const open = (reveal, said, position) => {
    shown += 1;
    isShaded = true;
    Xray.find("reveal-yours").textContent = Xray.describe(said);
    Xray.find("reveal-score").textContent = reveal.probability;
    Xray.find("reveal-outcome").textContent = reveal.outcome + (reveal.reason ? `: ${reveal.reason}` : "");
    Xray.find("reveal-standing").textContent = reveal.standing;
    document.body.dataset.state = "revealing";
    Xray.find("reveal").hidden = false;
    Xray.announce(`The service says: ${reveal.outcome}, ${reveal.probability}. Enter keeps your verdict.`);
    shade(reveal);
    if (reveal.drawing) wait(position, shown);
  };

  /** H: the film without the shade, and with it again. */
  const toggle = () => {
    isShaded = !isShaded;
    return Xray.viewer.redraw();
  };

  const close = () => {
    shown += 1;
    heat = null;
    Xray.find("reveal").hidden = true;
    document.body.classList.remove("comparing");
  };

  /** @param {CanvasRenderingContext2D} context @param {{left: number, top: number, scale: number} | null} place
   * @param {Film | null} film */
  const drawHeat = (context, place, film) => {
    if (!heat || !isShaded || !place || !film) return;
    context.imageSmoothingEnabled = true;
    context.drawImage(heat, place.left, place.top, film.width * place.scale, film.height * place.scale);
  };

  return { open, close, toggle, drawHeat };
})();
