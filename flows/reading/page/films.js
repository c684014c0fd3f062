// @ts-check
"use strict";

/** Films: loaded as scripts, decoded, painted once ahead of their turn, and let go behind it. */
Xray.films = (() => {
  const AHEAD = 2;
  const TRIES = 1000;  // a server that is away comes back
  /** @type {Map<string, {promise: Promise<Film | Missing>, settle: (film: Film | Missing) => void}>} */
  const known = new Map();

  /** The bytes of a text in base64.
   * @param {string} text */
  const toBytes = (text) => {
    const raw = atob(text);
    const bytes = new Uint8Array(raw.length);
    for (let place = 0; place < raw.length; place += 1) bytes[place] = raw.charCodeAt(place);
    return bytes;
  };

  /** Inflate (RFC 1951) a text in base64.
   * @param {string} text */
  const inflate = async (text) => {
    const stream = new Blob([toBytes(text)]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };

  /** Undo the differences of rows: two planes of bytes, low ones first, modulo 65,536.
   * @param {Uint8Array} planes @param {number} width @param {number} height */
  const addUp = (planes, width, height) => {
    const size = width * height;
    const values = new Uint16Array(size);
    for (let place = 0; place < size; place += 1) {
      const above = place < width ? 0 : values[place - width];
      values[place] = above + planes[place] + 256 * planes[size + place];
    }
    return values;
  };

  /** A film's script has come. The arguments are those of `write_film_script`.
   * @param {string} name @param {number} width @param {number} height @param {number} low @param {number} high
   * @param {number} top @param {string} text @param {string} bend */
  Xray.film = async (name, width, height, low, high, top, text, bend) => {
    const values = addUp(await inflate(text), width, height);
    const curve = bend ? await inflate(bend) : null;
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    const film = { name, width, height, low, high, top, values, curve, table: new Uint32Array(65536), canvas };
    Xray.viewer.render(film, { low, high, inverted: false });
    known.get(name)?.settle(film);
  };

  /** A film that cannot be shown, and why.
   * @param {string} name @param {string} code @param {string} words */
  Xray.missing = (name, code, words) => known.get(name)?.settle({ code, words });

  /** @param {string} name @param {number} tries */
  const load = (name, tries) => {
    const script = document.createElement("script");
    script.src = `films/${name}.js`;
    script.onload = () => script.remove();
    script.onerror = () => {
      script.remove();
      if (Xray.list.offline || tries <= 0) Xray.missing(name, "GONE", "its file is not in the folder");
      else setTimeout(() => load(name, tries - 1), 1000);
    };
    document.head.append(script);
  };

  /** A film by its name, loaded once: "12", or "12p" for a prior film.
   * @param {string} name @returns {Promise<Film | Missing>} */
  const get = (name) => {
    const before = known.get(name);
    if (before) return before.promise;
    /** @type {(film: Film | Missing) => void} */
    let settle = () => {};
    const promise = new Promise((resolve) => { settle = resolve; });
    known.set(name, { promise, settle });
    load(name, TRIES);
    return promise;
  };

  /** Keep the film before, this one and two ahead; let go of all others.
   * @param {number} position */
  const keepAround = (position) => {
    for (const name of known.keys()) {
      const number = Number.parseInt(name, 10);
      if (number < position - 1 || number > position + AHEAD) known.delete(name);
    }
    const last = Math.min(position + AHEAD, Xray.list.count);
    for (let next = position; next <= last; next += 1) get(String(next));
    if (Xray.list.priors.includes(position)) get(`${position}p`);
  };

  return { get, keepAround };
})();
