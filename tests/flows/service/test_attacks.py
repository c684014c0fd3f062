"""Who may command the running service: its own user, and neither another local user nor another site's page.

The films of that service carry names wherever a file can: what it writes of its work holds none of them.
"""

from __future__ import annotations

import http.server
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flows.home.api_login import BY_HAND, LOGIN_FILE, read_api_login
from flows.operations.doctor import examine
from flows.service.child import Address
from flows.settings import Settings
from tests.browser import open_browser
from tests.flows.scoring.test_scan import count_results
from tests.flows.service.test_service import ask, completed_runs, free_port, running, wait_until
from tests.flows.test_privacy import CANARY, NAMED, assert_private, plant, run

pytestmark = pytest.mark.prefect

NOBODY = 65534
# Standard library only, for another user's Python: which status each step got, and what the last one said.
ATTACK = """
import json, sys, urllib.error, urllib.request

api, command, headers = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])

def call(path, body=None):
    sent = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(api + path, sent, {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()

answers = [call("/csrf-token?client=attack")]
if answers[0][0] == 200:
    headers |= {"Prefect-Csrf-Client": "attack", "Prefect-Csrf-Token": json.loads(answers[0][1])["token"]}
answers.append(call("/deployments/filter", {}))
deployment = json.loads(answers[1][1])[0]["id"] if answers[1][0] == 200 else "0" * 8 + "-0000-0000-0000-" + "0" * 12
for variables in ({"command": command}, {"env": {"PATH": command}}, {"working_dir": command}):
    answers.append(call(f"/deployments/{deployment}/create_flow_run", {"job_variables": variables}))
print(json.dumps(answers))
"""
# The same from a page: any answer that it can read, or anything that it could start, is a success of the attack.
PAGE = """<!doctype html><title>elsewhere</title><script>
async function attack(api) {
  const seen = [];
  for (const [path, options] of [
    ["/health", {}],
    ["/csrf-token?client=attack", {}],
    ["/deployments/filter", {method: "POST", body: "{}", headers: {"Content-Type": "application/json"}}],
    ["/deployments/filter", {method: "POST", body: "{}", headers: {"Content-Type": "text/plain"}}],
  ]) {
    try { const answer = await fetch(api + path, options); seen.push([answer.status, await answer.text()]); }
    catch (error) { seen.push([0, ""]); }
  }
  return seen;
}
</script>"""


@dataclass(frozen=True, slots=True)
class Service:
    """A running service, where it is, and how many of the films that wait there can be scored."""

    settings: Settings
    address: Address
    planted: int


@pytest.fixture(scope="module")
def service(shared_settings: Settings) -> Iterator[Service]:
    settings = shared_settings.but({"file_names_in_exports": False})
    shutil.rmtree(settings.home / "prefect")  # a first start, as a newcomer's: Prefect makes its database
    address, planted = Address("127.0.0.1", free_port()), plant(settings.incoming_dir)
    with running(settings, address):
        yield Service(settings, address, planted)


def attack(address: Address, command: str, *, headers: dict[str, str] | None = None, **user: Any) -> list[Any]:
    """What the attack's steps were answered."""
    done = subprocess.run(
        ["/usr/bin/env", "-i", _any_python(), "-c", ATTACK, address.api, command, json.dumps(headers or {})],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
        **user,
    )
    answers: list[Any] = json.loads(done.stdout)
    return answers


def _any_python() -> str:
    """One that another user may start too: ours may stand in a folder that is closed to others."""
    for python in ("/usr/bin/python3", "/usr/local/bin/python3"):
        if Path(python).exists():
            return python
    return sys.executable


def runs_of(service: Service) -> list[dict[str, Any]]:
    """The flow runs that have come to an end."""
    body = {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
    return ask(service.settings, service.address, "/flow_runs/filter", body)


def test_the_login_is_random_and_its_owners_alone(service: Service) -> None:
    path = service.settings.home / LOGIN_FILE

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    user, _, password = path.read_text().strip().partition(":")
    assert user
    assert len(password) >= 32


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can play another user")
def test_another_local_user_is_refused_and_runs_nothing(service: Service, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    owned = tmp_path / "owned"

    answers = attack(service.address, f"sh -c 'touch {owned}'", user=NOBODY, group=NOBODY, extra_groups=[])

    assert {status for status, _ in answers} <= {401, 403}
    assert not any("score-incoming" in body for _, body in answers)
    assert not owned.exists()


def test_even_with_the_login_a_run_takes_no_command_no_environment_and_no_folder(
    service: Service, tmp_path: Path
) -> None:
    import base64

    login = base64.b64encode(read_api_login(service.settings).encode()).decode()

    answers = attack(service.address, f"touch {tmp_path / 'owned'}", headers={"Authorization": f"Basic {login}"})

    assert [status for status, _ in answers] == [200, 200, 422, 422, 422]
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Host": "evil.example:4200"}, {"Host": "127.0.0.1.evil.example"}]
)
def test_a_name_that_is_not_this_machines_is_refused(service: Service, headers: dict[str, str]) -> None:
    answers = attack(service.address, "true", headers=headers)

    assert {status for status, _ in answers} == {403}


def test_a_page_of_another_origin_reads_nothing_and_starts_nothing(service: Service, tmp_path: Path) -> None:
    with other_site() as elsewhere, open_browser(tmp_path / "profile") as browser:
        # Even in the browser of the service's user, logged in.
        browser.open(f"{service.address.url}/enter#{read_api_login(service.settings)}")
        browser.open(elsewhere)
        wait_until(lambda: browser.evaluate("typeof attack") == "function", seconds=20)
        seen = browser.evaluate(f"attack({service.address.api!r})")

    assert seen == [[0, ""]] * 4


@contextmanager
def other_site() -> Iterator[str]:
    """A page of another origin; its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name is the standard library's
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(PAGE.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # likewise
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


PAGES = {
    "/": "Flow Runs",
    "/runs": "Flow runs",
    "/flows": "score-incoming",
    "/deployments": "score-incoming",
    "/work-pools": "xray-pool",
    "/blocks": "Blocks",
    "/variables": "Variables",
    "/automations": "retrain-when-enough-labels-gathered",
    "/events": "Event Feed",
    "/concurrency-limits": "Concurrency",
    "/artifacts": "Artifacts",
    "/settings": "Version",
}


def test_its_user_opens_one_address_and_no_page_asks_anything_of_another_host(service: Service, tmp_path: Path) -> None:
    url = service.address.url
    (deployment, *_) = ask(service.settings, service.address, "/deployments/filter", {})
    wait_until(lambda: runs_of(service), seconds=90)
    (run, *_) = runs_of(service)
    pages = PAGES | {
        f"/deployments/deployment/{deployment['id']}": deployment["name"],
        f"/runs/flow-run/{run['id']}": run["name"],
    }
    with open_browser(tmp_path / "profile") as browser:
        browser.open(url)
        browser.wait_for("Login")
        at_the_door = browser.text()
        browser.open(f"{url}/enter#{read_api_login(service.settings)}")
        for path, words in pages.items():
            if path != "/":
                browser.open(f"{url}{path}")
            browser.wait_for(words)
            assert "Switch to V2" not in browser.text()
            assert "Upgrade" not in browser.text()
        kept = browser.evaluate("location.href + document.title")
        browser.open(f"{url}/v2")
        second_page = browser.text()

        assert browser.foreign_requests(url) == []
    assert "Cloud" not in at_the_door
    assert "#" not in kept
    assert second_page == "not served here"


def test_a_page_that_tried_to_call_elsewhere_could_not(service: Service, tmp_path: Path) -> None:
    with other_site() as elsewhere, open_browser(tmp_path / "profile") as browser:
        browser.open(service.address.url)
        browser.wait_for("Login")
        said = browser.evaluate(f"fetch({elsewhere!r}, {{mode: 'no-cors'}}).then(() => 'sent', () => 'stopped')")

    assert said == "stopped"


def test_the_doctor_finds_nothing_amiss_with_the_running_page(service: Service) -> None:
    checks = {check.what: check.fix for check in examine(service.settings)}

    assert checks[f"the page at {service.address.url} asks nothing of other hosts"] is None
    assert not any("orders from every user" in what or "/v2" in what for what in checks)


def test_neither_prefects_database_nor_any_log_of_a_served_run_holds_a_name(
    service: Service, sqlite_home: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, labels = service.settings, service.settings.labels_dir
    monkeypatch.setenv("XRAY_HOME", str(settings.home))
    monkeypatch.setenv("XRAY_FILE_NAMES_IN_EXPORTS", "false")
    wait_until(lambda: count_results(settings) >= service.planted, seconds=75)
    for number, said in enumerate((f"{NAMED}-whole.png,covid", f"{NAMED}-never-seen.png,{CANARY}")):
        aside = labels / f"{NAMED}-{number}.csv.part"
        aside.write_text(f"file,label\n{said}\n")
        aside.rename(aside.with_suffix(""))
    wait_until(lambda: len(list(labels.glob("*/*.csv"))) == 2, seconds=90)
    wait_until(lambda: completed_runs(settings, service.address, "score-incoming"), seconds=75)
    run("export")

    assert list(settings.exports_dir.glob("*.csv"))
    assert (settings.home / "prefect" / "prefect.db").stat().st_size > 100_000
    assert list((settings.home / "run").glob("*.log"))
    assert_private(settings)


def test_a_login_set_by_hand_is_kept(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in BY_HAND:
        monkeypatch.setenv(name, "alice:own-words")

    assert read_api_login(settings) == "alice:own-words"
    assert not (settings.home / LOGIN_FILE).exists()


def test_two_logins_that_differ_are_a_sentence(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, name in enumerate(BY_HAND):
        monkeypatch.setenv(name, f"alice:{number}")

    command = [sys.executable, "-m", "flows", "up", "--port", str(free_port())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert all(name in done.stderr for name in BY_HAND)
    assert "alice" not in done.stderr
