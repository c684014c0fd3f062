"""How the service is doing: counts, champion, last scan, labels until retraining, and what needs a person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from db.engine import snapshot
from db.records import ModelRecord, ScanRecord, TrainingRun, TrainingState
from db.registry import models, training_runs
from db.scoring import file_history, labels, scans
from db.scoring.patient_tally import PatientGaps, count_unknown
from flows.home.ledger import open_ledger
from flows.home.mounts import find_folder_faults
from flows.home.patients import count_doubted
from flows.operations.scan_problem import say_problem
from flows.operations.schedule import Schedule, read_schedule
from flows.registry.field import say_field
from flows.registry.policy import find_mistakes
from flows.registry.standing import read_standing, say_blind_spot
from flows.settings import Settings
from xray_core.records import RESEARCH_USE

# Two machines' clocks may differ by so much; beyond it a time in the future is a wrong clock's.
_CLOCK_SLACK = timedelta(minutes=2)

_SCORING = "score-incoming"
# The schedule of score-incoming in prefect.yaml; three missed ones are an alarm.
SCAN_INTERVAL = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Status:
    """One look at the ledger. `alarms` are sentences; any of them makes `xray status` exit with 1."""

    files: dict[str, int]
    reasons: dict[str, int]
    champion: ModelRecord | None
    standing: str
    last_scan: ScanRecord | None
    last_good_scan: datetime | None
    labels_imported: int
    trainings_finished: int
    last_training: TrainingRun | None
    first_champion: str | None
    blind_spot: str | None
    paused: tuple[str, ...]
    patients: PatientGaps
    doubted: int
    field: str | None
    alarms: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For people."""
        told = ["; ".join(filter(None, (self.standing, self.blind_spot)))]
        told.append("files: " + (", ".join(f"{n} {state}" for state, n in self.files.items() if n) or "none yet"))
        told += [f"  {reason:28} {n}" for reason, n in sorted(self.reasons.items())]
        if self.last_scan is not None:
            ended = f"problem: {say_problem(self.last_scan.problem)}" if self.last_scan.problem else "good"
            told.append(f"last scan: {self.last_scan.finished_at:%Y-%m-%d %H:%M:%S} UTC, {ended}")
        told.append(f"labels: {self.labels_imported} imported from reviewers")
        told.append(
            f"patients: {self.patients.xrays} X-rays of unknown patients, "
            f"{self.patients.labelled} of them labelled: they never judge"
        )
        if self.patients.against_header:
            told.append(
                f"  of {self.patients.against_header} X-rays a CSV and what came with the film name two patients"
            )
        if self.doubted:
            told.append(f"  {self.doubted} labelled X-rays carry ids that cannot be one person's: unknown too")
        if self.field is not None:
            told.append(f"field: {self.field}")
        if self.last_training is not None:
            told.append(_tell_training(self.last_training, self.first_champion))
        if self.paused:
            told.append(f"paused by a person: {', '.join(self.paused)} (Prefect's pages switch them on again)")
        told += [f"ALARM: {alarm}" for alarm in self.alarms]
        return [*told, RESEARCH_USE]


def read_status(settings: Settings, *, now: datetime | None = None) -> Status:
    """Read everything in one snapshot."""
    with open_ledger(settings) as engine, snapshot(engine) as session:
        return _read(settings, session, now or datetime.now(UTC))


def _read(settings: Settings, session: Session, now: datetime) -> Status:
    trainings = training_runs.list_trainings(session)
    schedule = read_schedule(settings)
    states, reasons = file_history.count_states(session)
    standing, last, good = (
        read_standing(session, settings),
        scans.last_scan(session),
        scans.last_good_scan(session),
    )
    return Status(
        files={state.value: n for state, n in states.items()},
        reasons={reason.value: n for reason, n in reasons.items()},
        champion=standing.champion,
        standing=standing.sentence,
        last_scan=last,
        last_good_scan=good.finished_at if good else None,
        labels_imported=labels.count_imported(session),
        trainings_finished=sum(run.state is TrainingState.FINISHED for run in trainings),
        last_training=trainings[0] if trainings else None,
        first_champion=models.first_champion(session),
        blind_spot=say_blind_spot(settings, standing.champion),
        patients=count_unknown(session),
        doubted=count_doubted(session),
        field=say_field(settings, session, standing.champion),
        paused=schedule.paused if schedule else (),
        alarms=(
            *find_alarms(standing.champion, last, good, schedule, now=now),
            *find_folder_faults(settings),
            *(" ".join(str(mistake).split()) for mistake in find_mistakes(settings)),
        ),
    )


def find_alarms(
    champion: ModelRecord | None,
    last: ScanRecord | None,
    good: ScanRecord | None,
    schedule: Schedule | None,
    *,
    now: datetime,
) -> list[str]:
    """What needs a person; pure. A service that has never scanned is not late, it is new."""
    alarms: list[str] = []
    if champion is None:
        alarms.append("there is no champion: `xray train DATASET_DIR` or `xray models import FILE` makes one")
    ahead = [scan.finished_at for scan in (last, good) if scan and scan.finished_at > now + _CLOCK_SLACK]
    if ahead:
        alarms.append(
            f"a scan is dated {max(ahead):%Y-%m-%d %H:%M:%S} UTC, in the future: the clock is or was wrong, and until "
            "a scan with the right time nobody would notice that the service stands still; set it, then `xray scan`"
        )
    if last is not None and (last.problem is not None or schedule is not None):
        alarms += _find_lateness(last, good, schedule, now)
    return alarms


def _find_lateness(
    last: ScanRecord, good: ScanRecord | None, schedule: Schedule | None, now: datetime
) -> Iterator[str]:
    """Scans by hand are late only when the last one failed: nobody but their person knows when the next is due."""
    if good is not None and now - good.finished_at <= 3 * SCAN_INTERVAL:
        return
    since = f"at {good.finished_at:%Y-%m-%d %H:%M:%S} UTC" if good else "never"
    if last.problem:
        why = f"the last one: {say_problem(last.problem)}"
    elif schedule and _SCORING in schedule.paused:
        why = f"{_SCORING} is paused by a person"
    else:
        why = "is `xray up` running?"
    late = ", more than three intervals ago" if schedule else ""
    yield f"the last good scan was {since}{late}; {why}"


def _tell_training(run: TrainingRun, first_champion: str | None) -> str:
    if run.verdict is None:
        return f"last training: {run.state}" + (f" ({run.reason})" if run.reason else "")
    verdict = run.verdict.say(is_first=run.candidate_version == first_champion)
    return f"last training: {run.candidate_version}, {verdict}: {run.reason}"
