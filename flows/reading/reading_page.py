"""The page on which films are read: its text, its list, its films, and where its verdicts go."""

from __future__ import annotations

from typing import Any

from markdown_it import MarkdownIt
from markupsafe import Markup
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from flows.reading.desk import Desk, read_reveal, write_film, write_list_script
from flows.reading.heat import HeatMaps
from flows.reading.lists import GUIDE
from flows.reading.pages import render
from flows.review.given_verdicts import GivenVerdict, save_given
from flows.settings import Settings
from xray_core.reading.film_reader import FilmReader
from xray_core.reading.records import ListItem

READING_SCRIPTS = (
    "namespace.js",
    "films.js",
    "viewer.js",
    "pointer.js",
    "verdicts.js",
    "panels.js",
    "reveal.js",
    "review.js",
    "film_keys.js",
    "keys.js",
)

# A folder has no origin of its own: its files are named by their scheme. It asks no server for anything.
FOLDER_POLICY = (
    "default-src 'none'; script-src file:; style-src file:; img-src data:; connect-src 'none'; "
    "base-uri 'none'; form-action 'none'"
)


_SCRIPT = "text/javascript; charset=utf-8"
_LARGEST_BODY = 64 * 1024


def make_reading_routes(settings: Settings, desk: Desk, films: FilmReader, maps: HeatMaps) -> list[Route]:
    """The pages of one reader's list."""

    def page(_: Request) -> Response:
        return HTMLResponse(render_reading_page(settings))

    def reading_list(_: Request) -> Response:
        return Response(write_list_script(desk), media_type=_SCRIPT)

    def film(request: Request) -> Response:
        script = write_film(desk, films, request.path_params["name"])
        return PlainTextResponse("no such film\n", 404) if script is None else Response(script, media_type=_SCRIPT)

    async def verdict(request: Request) -> Response:
        body = await read_body(request)
        if body is None:
            return PlainTextResponse("more than a verdict\n", 413)
        try:
            given = GivenVerdict.model_validate_json(body)
        except ValidationError as error:
            return PlainTextResponse(f"no verdict: {error.error_count()} fields are not as they must be\n", 422)
        if given.list_id != desk.list_id:
            return PlainTextResponse("This page is of another list than the server's: load it again (F5).\n", 409)
        item = next((item for item in desk.items if item.position == given.position), None)
        if item is None:
            return PlainTextResponse("no film of this list has that number\n", 404)
        return JSONResponse(await run_in_threadpool(_save, desk, item, given, maps))

    def reveal(request: Request) -> Response:
        found = (one for one in desk.items if one.position == request.path_params["position"])
        shown = next((read_reveal(desk, item, maps) for item in found if item.reveal), None)
        return PlainTextResponse("nothing is shown of that film\n", 404) if shown is None else JSONResponse(shown)

    return [
        Route("/", page),
        Route("/list.js", reading_list),
        Route("/films/{name}.js", film),
        Route("/verdicts", verdict, methods=["POST"]),
        Route("/reveals/{position:int}", reveal),
    ]


async def read_body(request: Request) -> bytes | None:
    """A request's body, None where it is longer than any verdict."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST_BODY:
            return None
    return body


def _save(desk: Desk, item: ListItem, given: GivenVerdict, maps: HeatMaps) -> dict[str, Any]:
    save_given(desk.engine, item, given)
    return {"saved": given.request_id, "reveal": read_reveal(desk, item, maps) if item.reveal else None}


def render_reading_page(settings: Settings, *, policy: str | None = None) -> str:
    """The page on which films are read, with the group's own guide in it."""
    return render("page.html.j2", scripts=READING_SCRIPTS, policy=policy, guide=render_guide(settings))


def render_guide(settings: Settings) -> Markup | None:
    """The home's `review-guide.md` as HTML without HTML, links or pictures of its own; None where there is none."""
    guide = settings.home / GUIDE
    if not guide.is_file():
        return None
    text = guide.read_text(encoding="utf-8", errors="replace")
    parser = MarkdownIt("commonmark", {"html": False})
    parser.disable(["link", "autolink", "image", "html_block", "html_inline"])
    return Markup(parser.render(text))  # noqa: S704 the parser escapes what is not Markdown
