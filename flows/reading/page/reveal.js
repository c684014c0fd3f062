// @ts-check
"use strict";

/** What the service said of a film, after the reader's own verdict and never before. */
Xray.reveal = (() => {
  /** @type {HTMLCanvasElement | null} */
  let heat = null;

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

  /** @param {Reveal} reveal @param {Said} said */
  const open = (reveal, said) => {
    heat = reveal.heat ? paintHeat(reveal.heat) : null;
    Xray.find("reveal-yours").textContent = Xray.describe(said);
    Xray.find("reveal-score").textContent = reveal.probability;
    Xray.find("reveal-outcome").textContent = reveal.outcome + (reveal.reason ? `: ${reveal.reason}` : "");
    Xray.find("reveal-standing").textContent = reveal.standing;
    Xray.find("reveal-heat").textContent = reveal.heat
      ? "The yellow shade shows where the network looked. It is no proof: such maps often miss what matters."
      : "There is no heat map of this film, or it is not drawn yet.";
    document.body.dataset.state = "revealing";
    Xray.find("reveal").hidden = false;
    Xray.announce(`The service says: ${reveal.outcome}, ${reveal.probability}. Enter keeps your verdict.`);
    Xray.viewer.redraw();
  };

  const close = () => {
    heat = null;
    Xray.find("reveal").hidden = true;
    document.body.classList.remove("comparing");
  };

  /** @param {CanvasRenderingContext2D} context @param {{left: number, top: number, scale: number} | null} place
   * @param {Film | null} film */
  const drawHeat = (context, place, film) => {
    if (!heat || !place || !film) return;
    context.imageSmoothingEnabled = true;
    context.drawImage(heat, place.left, place.top, film.width * place.scale, film.height * place.scale);
  };

  return { open, close, drawHeat };
})();
