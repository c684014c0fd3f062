"""The page for everybody else: films, what was said of them and why. It only shows."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Engine
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from db.engine import snapshot
from db.records import DecidedFile
from db.scoring import decided
from flows.home.films import make_locator
from flows.reading.pages import render
from flows.registry.at_prevalence import AtPrevalence, read_at_prevalence
from flows.registry.standing import read_caution
from flows.registry.withheld import Withheld, read_withheld
from flows.settings import Settings
from xray_core.reading.film_reader import FilmOrder, FilmReader
from xray_core.reading.film_script import write_missing_script
from xray_core.records import Outcome, Refusal, say_why_referred

RESULT_SCRIPTS = ("namespace.js", "films.js", "viewer.js", "pointer.js", "film_keys.js", "result.js")

_NOT_SCORED = "not scored"
_OUTCOMES = (*(outcome.value for outcome in Outcome), _NOT_SCORED)
_SYMBOLS = {Outcome.POSITIVE: "▲", Outcome.NEGATIVE: "○", Outcome.REFER: "?", None: "✕"}
_PAGE = 60

Hidden = Callable[[], Set[int]]


@dataclass(frozen=True, slots=True)
class Card:
    """One file as the page shows it; without a name, which may be a person's."""

    xray_id: int | None
    symbol: str
    outcome: str
    score: str | None
    at_prevalence: str | None
    why: str | None
    day: str
    reference: str


def make_result_routes(settings: Settings, engine: Engine, films: FilmReader, find_hidden: Hidden) -> list[Route]:
    """The results' pages; a film that somebody has yet to read blind is in none of them."""
    locate = make_locator(settings)

    def page(request: Request) -> Response:
        return HTMLResponse(_render_page(settings, engine, request, find_hidden()))

    def film(request: Request) -> Response:
        xray_id = request.path_params["xray_id"]
        with snapshot(engine) as session:
            row = None if xray_id in find_hidden() else decided.find_decided(session, xray_id)
            at_prevalence, withheld = read_at_prevalence(session, settings), read_withheld(session, settings)
        if row is None:
            return _nothing()
        return HTMLResponse(
            render(
                "result.html.j2",
                card=make_card(row, at_prevalence, withheld),
                caution=read_caution(settings),
                scripts=RESULT_SCRIPTS,
            )
        )

    def order(request: Request) -> FilmOrder | None:
        xray_id = request.path_params["xray_id"]
        with snapshot(engine) as session:
            file = None if xray_id in find_hidden() else decided.find_film(session, xray_id)
        return FilmOrder(str(xray_id), locate(file.path), file.sha256) if file else None

    def script(request: Request) -> Response:
        wanted = order(request)
        if wanted is None:
            return _nothing()
        answer = films.read(wanted)
        content = write_missing_script(wanted.name, answer) if isinstance(answer, Refusal) else answer
        return Response(content, media_type="text/javascript; charset=utf-8")

    def thumbnail(request: Request) -> Response:
        wanted = order(request)
        answer = films.shrink(wanted) if wanted else None
        return Response(answer, media_type="image/png") if isinstance(answer, bytes) else _nothing()

    return [
        Route("/results", page),
        Route("/results/{xray_id:int}", film),
        Route("/results/films/{xray_id:int}.js", script),
        Route("/results/thumbnails/{xray_id:int}.png", thumbnail),
    ]


def make_card(row: DecidedFile, at_prevalence: AtPrevalence, withheld: Withheld) -> Card:
    """A decision in the words of the page."""
    outcome, reason = withheld.show(row.model_version, row.outcome, row.refer_reason)
    return Card(
        xray_id=row.xray_id,
        symbol=_SYMBOLS[outcome],
        outcome=outcome.value if outcome else _NOT_SCORED,
        score=None if row.probability is None else f"{row.probability:.2f}",
        at_prevalence=at_prevalence.say(row.model_version, row.probability),
        why=say_why_referred(outcome, reason) or (row.reason_code.value if row.reason_code else None),
        day=f"{row.decided_at:%Y-%m-%d}" if row.decided_at else "",
        reference=(row.sha256 or "")[:12],
    )


def _render_page(settings: Settings, engine: Engine, request: Request, hidden: Set[int]) -> str:
    offset = _PAGE * _read_number(request.query_params.get("page"))
    with snapshot(engine) as session:
        withheld = read_withheld(session, settings)
        reasons = decided.list_reasons(session, withheld=withheld.versions)
        days = decided.list_days(session)
        options = {"outcome": _OUTCOMES, "reason": reasons, "day": days}
        given = {name: request.query_params.get(name, "") for name in options}
        chosen = {name: value if value in options[name] else "" for name, value in given.items()}
        rows, total = decided.list_decided(
            session,
            words=(chosen["outcome"] or None, chosen["reason"] or None),
            day=date.fromisoformat(chosen["day"]) if chosen["day"] else None,
            hidden=hidden,
            withheld=withheld.versions,
            page=(offset, _PAGE),
        )
        at_prevalence = read_at_prevalence(session, settings)
    return render(
        "results.html.j2",
        cards=[make_card(row, at_prevalence, withheld) for row in rows],
        chosen=chosen,
        total=total,
        filters=(("outcome", "outcome", _OUTCOMES), ("reason", "why", reasons), ("day", "day", days)),
        caution=read_caution(settings),
        hidden=f"{len(hidden)} films" if hidden else None,
        earlier=_link(chosen, offset - _PAGE) if offset else None,
        later=_link(chosen, offset + _PAGE) if offset + _PAGE < total else None,
    )


def _link(chosen: dict[str, Any], offset: int) -> str:
    return f"/results?{urlencode({**chosen, 'page': offset // _PAGE})}"


def _read_number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 8 else 0


def _nothing() -> Response:
    return PlainTextResponse("There is no such film here, or a reader has yet to read it blind.\n", status_code=404)
