// @ts-check
"use strict";

/** Reading: one film, one key, the next film. */
Xray.review = (() => {
  const IGNORED = 500;  // ms in which a film is only looked at
  const PAUSE_AFTER = 45;  // minutes
  /** @type {{position: number, shownAt: Date, painted: number, priorUsed: boolean, note: string | null,
   *   state: "loading" | "reading" | "saving" | "revealing" | "done"}} */
  const now = { position: 0, shownAt: new Date(), painted: 0, priorUsed: false, note: null, state: "loading" };
  const started = performance.now();

  const firstUnread = () => {
    for (let position = 1; position <= Xray.list.count; position += 1) {
      if (!Xray.list.read[position]) return position;
    }
    return Xray.list.count + 1;
  };

  const seconds = () => (performance.now() - now.painted) / 1000;

  const say = () => {
    const isShown = now.state !== "done" && now.state !== "loading";
    Xray.find("progress").textContent = now.state === "done" ? "" :
      `${now.position} / ${Xray.list.count}${isShown ? ` · ${Math.floor(seconds())} s` : ""}`;
    const minutes = Math.floor((performance.now() - started) / 60000);
    Xray.find("session").textContent = minutes ? `${minutes} min` : "";
    Xray.find("pause").hidden = minutes < PAUSE_AFTER;
  };

  /** Go to a film and paint it.
   * @param {number} position */
  const go = async (position) => {
    Xray.reveal.close();
    if (position > Xray.list.count) {
      finish();
      return;
    }
    Object.assign(now, { position, priorUsed: false, note: null, state: "loading" });
    document.body.dataset.state = "reading";
    Xray.find("unreadable").hidden = true;
    Xray.find("flagged").hidden = true;
    const slow = setTimeout(() => { Xray.find("loading").hidden = false; }, 200);
    const film = await Xray.films.get(String(position));
    clearTimeout(slow);
    Xray.find("loading").hidden = true;
    if (now.position !== position) return;
    await paint(film);
    Object.assign(now, { state: "reading", shownAt: new Date(), painted: performance.now() });
    Xray.films.keepAround(position);  // after the picture: decoding the next ones must not hold it up
    document.body.dataset.film = String(position);
    showOpinions(Xray.list.opinions[position]);
    const said = Xray.list.read[position];
    Xray.find("said").textContent = said ? `your verdict: ${Xray.describe(said)} · Enter keeps it` : "";
    Xray.find("screen").setAttribute("aria-label", `Film ${position} of ${Xray.list.count}`);
    Xray.announce(`Film ${position} of ${Xray.list.count}.${said ? ` Your verdict: ${Xray.describe(said)}.` : ""}`);
    say();
  };

  /** What readers said of a disputed film: without names, in no order that tells who.
   * @param {Said[] | undefined} opinions */
  const showOpinions = (opinions) => {
    Xray.find("opinions").hidden = !opinions;
    Xray.find("opinions-list").replaceChildren(...(opinions ?? []).map((said) => {
      const line = document.createElement("li");
      line.textContent = Xray.describe(said);
      return line;
    }));
  };

  /** @param {Film | Missing} film */
  const paint = async (film) => {
    if (!("code" in film)) return Xray.viewer.show([film]);
    await Xray.viewer.show([null]);
    Xray.find("unreadable-why").textContent = `${film.words} (${film.code})`;
    Xray.find("unreadable").hidden = false;
    Xray.announce("This film cannot be shown.");
  };

  const finish = () => {
    now.state = "done";
    showOpinions(undefined);
    now.position = Xray.list.count + 1;
    document.body.dataset.state = "done";
    document.body.dataset.film = "done";
    Xray.viewer.show([null]);
    Xray.find("said").textContent = "";
    const minutes = Math.max(1, Math.round((performance.now() - started) / 60000));
    const isSettled = Xray.list.purpose === "adjudication";
    Xray.find("done-words").textContent = Xray.list.count === 0 ? "There is no film to read at present." :
      (isSettled ? `All ${Xray.list.count} disputed films are settled.` : `All ${Xray.list.count} films of this list are read.`)
      + ` This session took ${minutes} min.`;
    Xray.find("done-title").textContent = Xray.list.count ? "Done" : "Nothing to read";
    Xray.find("done-back").hidden = Xray.list.count === 0;
    Xray.find("done").hidden = false;
    Xray.announce(Xray.find("done-words").textContent);
    if (Xray.list.offline && Xray.list.count) Xray.find("save").focus();
    say();
  };

  const isReady = () => now.state === "revealing" || (now.state === "reading" && seconds() * 1000 >= IGNORED);

  /** A verdict on the film that is shown: saved, and on to the next one.
   * @param {string} label @param {boolean} sure @param {string | null} why */
  const judge = async (label, sure, why = null) => {
    if (!isReady()) return;
    const position = now.position;
    const isChange = position in Xray.list.read;
    const pressed = window.event?.timeStamp ?? performance.now();
    now.state = "saving";
    document.body.dataset.saving = "yes";
    /** @type {Verdict} */
    const verdict = {
      list: Xray.list.list, request_id: Xray.verdicts.newRequestId(), position, label, sure, exclude_reason: why, flagged_note: now.note,
      shown_at: now.shownAt.toISOString(), seconds: Math.round(seconds() * 1000) / 1000, prior_used: now.priorUsed,
    };
    /** @type {Reveal | null} */
    let reveal;
    try {
      reveal = await Xray.verdicts.save(verdict);
    } catch (error) {
      now.state = "reading";
      Xray.notice(/** @type {Error} */ (error).message);
      return;
    } finally {
      delete document.body.dataset.saving;
    }
    Xray.list.read[position] = { label, sure, exclude_reason: why };
    Xray.announce(`Film ${position}: ${Xray.describe(Xray.list.read[position])}, saved.`);
    if (reveal && !isChange) {
      now.state = "revealing";
      Xray.reveal.open(reveal, Xray.list.read[position], position);
    } else {
      await go(firstUnread());
      if (now.state !== "done") performance.measure("key to next film", { start: pressed, end: now.painted });
    }
  };

  /** Enter: what was said stays. */
  const keep = () => {
    if (now.state === "revealing" || (now.state === "reading" && Xray.list.read[now.position])) go(nextAfter());
  };

  const nextAfter = () => {
    const next = now.position + 1;
    return now.state === "revealing" || next > firstUnread() ? firstUnread() : next;
  };

  /** Z: one film back, as often as one likes. */
  const back = () => {
    if (now.state === "saving" || now.position <= 1) return;
    Xray.find("done").hidden = true;
    go(now.position - 1);
  };

  const togglePrior = async () => {
    if (now.state !== "reading" && now.state !== "revealing") return;
    if (!Xray.list.priors.includes(now.position)) {
      Xray.notice("No earlier film of this patient is known.");
      setTimeout(() => Xray.notice(null), 2500);
      return;
    }
    const isOpen = document.body.classList.toggle("comparing");
    const { position } = now;
    const prior = isOpen ? await Xray.films.get(`${position}p`) : null;
    if (now.position !== position || document.body.classList.contains("comparing") !== isOpen) return;
    if (prior && "code" in prior) Xray.notice(`The earlier film cannot be shown: ${prior.words} (${prior.code}).`);
    else Xray.viewer.compare(prior);
    if (isOpen) now.priorUsed = true;
  };

  /** @param {string} note */
  const flag = (note) => {
    now.note = note || null;
    Xray.find("flagged").hidden = !note;
    Xray.find("flagged").textContent = note ? `flagged: ${note}` : "";
  };

  const start = () => {
    for (const verdict of Xray.list.offline ? Xray.verdicts.kept() : []) Xray.list.read[verdict.position] = verdict;
    Xray.viewer.start(Xray.find("screen"));
    Xray.pointer.start(Xray.find("screen"));
    Xray.panels.start();
    Xray.keys.start();
    Xray.find("save").addEventListener("click", Xray.verdicts.saveFile);
    setInterval(say, 500);
    go(firstUnread());
  };

  return { start, judge, keep, back, togglePrior, flag, now };
})();

/** The list's script has come: the page begins.
 * @param {ReadingList} list */
Xray.open = (list) => {
  Xray.list = list;
  document.body.classList.toggle("offline", list.offline);
  Xray.review.start();
};
