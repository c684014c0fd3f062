// @ts-check
"use strict";

/**
 * What all scripts of the page share. Classic scripts: from a folder (file://) a browser loads no modules.
 *
 * @typedef {{name: string, width: number, height: number, low: number, high: number, top: number,
 *   values: Uint16Array, curve: Uint8Array | null, table: Uint32Array, canvas: HTMLCanvasElement}} Film
 * @typedef {{code: string, words: string}} Missing
 * @typedef {{low: number, high: number, inverted: boolean}} Window
 * @typedef {{list: string, request_id: string, position: number, label: string, sure: boolean, exclude_reason: string | null,
 *   flagged_note: string | null, shown_at: string, seconds: number, prior_used: boolean}} Verdict
 * @typedef {{label: string, sure: boolean, exclude_reason: string | null}} Said
 * @typedef {{width: number, height: number, heat: string}} Heat
 * @typedef {{probability: string, outcome: string, reason: string | null, standing: string,
 *   heat: Heat | null, drawing: boolean}} Reveal
 * @typedef {{list: string, purpose: string, count: number, offline: boolean, file: string, priors: number[],
 *   read: Record<string, Said>, opinions: Record<string, Said[]>}} ReadingList
 */

/** @type {any} */
var Xray = {};

/** The element of this id.
 * @param {string} id */
Xray.find = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** Say something to those who listen instead of look.
 * @param {string} words */
Xray.announce = (words) => { Xray.find("spoken").textContent = words; };

/** What a page of ours says in one word for each verdict. */
Xray.words = { covid: "covid", normal: "normal", other: "other abnormality", unsure: "unsure", exclude: "excluded" };

/** A verdict in words.
 * @param {Said} said */
Xray.describe = (said) => {
  const why = said.exclude_reason ? `, ${said.exclude_reason.replaceAll("_", " ")}` : "";
  return Xray.words[said.label] + why + (said.sure ? "" : ", not sure");
};
