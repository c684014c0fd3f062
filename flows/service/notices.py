"""What people are told where they asked for it (`XRAY_NOTIFY`): counts, versions, verdicts; never a name or a path.

Each thing is told once: when a run fails after one that did not, when something needs a person, when a training ends.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from flows.operations.schedule import read_schedule
from flows.operations.server_api import ServerApi
from flows.operations.status import read_status
from flows.service.arrival_runs import RunStanding, read_standing
from flows.service.service import POOL
from flows.settings import Settings
from xray_core.exchange.atomic_file import write_whole
from xray_core.records import RESEARCH_USE

_FILE = "notices.json"
_TITLE = "X-ray scoring"


@dataclass(frozen=True, slots=True)
class Situation:
    """How things are: number of alarms, version and verdict of the newest training, deployments whose last run failed.

    Of what was told last the same is kept in the home.
    """

    alarms: int = 0
    training: tuple[str, str] | None = None
    failing: tuple[str, ...] = ()


def tell_news(settings: Settings, api: ServerApi, send: Callable[[str], bool]) -> bool:
    """Look, and send what has changed since the last look; whether everything that was to be sent was.

    What could not be sent is sent by a later look. Raises what the ledger, the server or the file raises.
    """
    now, before = _look(settings, api), _read(settings)
    news = find_news(before, now)
    if news and not send("\n".join((*news, RESEARCH_USE))):
        return False
    if now != before:
        write_whole(_path(settings), json.dumps(asdict(now)).encode())
    return True


def find_news(before: Situation | None, now: Situation) -> list[str]:
    """Sentences for what has changed; pure. With nothing told before, an old verdict is no news, an alarm is."""
    known = before or Situation(training=now.training)
    failing = [name for name in now.failing if name not in known.failing]
    news = [f"{name}: its last run failed; the run's page says why" for name in failing]
    if now.alarms > known.alarms:
        news.append(f"{now.alarms} {'thing needs' if now.alarms == 1 else 'things need'} a person: see `xray status`")
    elif known.alarms and not now.alarms:
        news.append("nothing needs a person any more")
    if now.training is not None and now.training != known.training:
        version, verdict = now.training
        news.append(f"training of {version} ended: {verdict}; see `xray models show {version}`")
    return news


def send_by_apprise(addresses: Sequence[str], words: str) -> bool:
    """Send to every address; whether all of them took it. Nothing that Apprise says of an address is kept."""
    import apprise

    receiver = apprise.Apprise()
    taken = [receiver.add(address) for address in addresses]
    return all(taken) and bool(receiver.notify(title=_TITLE, body=words))


def _look(settings: Settings, api: ServerApi) -> Situation:
    status, schedule = read_status(settings), read_schedule(settings)
    names = schedule.deployments if schedule else ()
    last = status.last_training
    return Situation(
        alarms=len(status.alarms),
        training=(last.candidate_version, last.verdict) if last and last.candidate_version and last.verdict else None,
        failing=tuple(name for name in names if read_standing(api, name, POOL) is RunStanding.FAILED),
    )


def _read(settings: Settings) -> Situation | None:
    try:
        told = json.loads(_path(settings).read_bytes())
    except FileNotFoundError:
        return None
    return Situation(told["alarms"], tuple(told["training"]) if told["training"] else None, tuple(told["failing"]))


def _path(settings: Settings) -> Path:
    return settings.home / "run" / _FILE
