// @ts-check
"use strict";

/** Verdicts on their way: to the server until it has said that they are saved, or into this browser and a CSV. */
Xray.verdicts = (() => {
  const PAUSES = [250, 500, 1000, 2000];  // ms between tries; the last one for ever
  const COLUMNS = ["list", "position", "label", "sure", "exclude_reason", "flagged_note", "shown_at", "seconds",
    "prior_used", "request_id"];

  /** A new name for one verdict: sent twice it is saved once. */
  const newRequestId = () => {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  };

  /** @param {number} milliseconds */
  const pause = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

  /** One try. @param {string} path @param {object} body @returns {Promise<Response | null>} */
  const post = async (path, body) => {
    try {
      return await fetch(path, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
        keepalive: true,
      });
    } catch {
      return null;
    }
  };

  /** Send until the server answers. Resolves with what it says; rejects where it refuses.
   * @param {string} path @param {object} body @param {string} what is not saved yet, in words */
  const send = async (path, body, what) => {
    for (let tries = 0; ; tries += 1) {
      const answer = await post(path, body);
      if (answer?.ok) {
        Xray.notice(null);
        return answer.json();
      }
      if (answer && answer.status < 500) throw new Error((await answer.text()) || `refused (${answer.status})`);
      Xray.notice(`Not saved yet: the server does not answer. ${what} is kept on this page and sent again `
        + "as soon as the server is back; start it with the same command.");
      await pause(PAUSES[Math.min(tries, PAUSES.length - 1)]);
    }
  };

  const shelf = () => `xray-review-${Xray.list.list}`;

  /** The verdicts that this browser keeps of an offline list, in their order. @returns {Verdict[]} */
  const kept = () => JSON.parse(localStorage.getItem(shelf()) ?? "[]");

  /** Save one verdict; resolves with what there is to reveal, or null.
   * @param {Verdict} verdict @returns {Promise<Reveal | null>} */
  const save = async (verdict) => {
    if (!Xray.list.offline) {
      return (await send("verdicts", verdict, `Your verdict of film ${verdict.position}`)).reveal;
    }
    localStorage.setItem(shelf(), JSON.stringify([...kept(), verdict]));
    return null;
  };

  /** @param {unknown} value */
  const toCell = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };

  /** Everything that was said of an offline list as a CSV for `xray labels import`. */
  const toCsv = () => {
    const lines = kept().map((row) => COLUMNS.map((name) => toCell(/** @type {any} */ (row)[name])).join(","));
    return [COLUMNS.join(","), ...lines].map((line) => `${line}\r\n`).join("");
  };

  const saveFile = () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([toCsv()], { type: "text/csv" }));
    link.download = Xray.list.file;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };

  return { newRequestId, save, send, kept, toCsv, saveFile };
})();
