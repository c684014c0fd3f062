from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from tests.dicom_files import dicom
from tests.faulty_readers import read_or_fail, report_network, report_process
from tests.films import FILMS
from tests.hostile_files import encode, film, png
from tests.patience import here
from xray_core.imaging.network_input import fit_pixels
from xray_core.imaging.radiograph import read_radiograph
from xray_core.imaging.records import Preprocessing, Scaling
from xray_core.processes.decoding import Decoded, DecodeRequest, Undecoded, open_decoder
from xray_core.records import ReasonCode

pytestmark = pytest.mark.processes

SMALL = Preprocessing(48, 40, 3, Scaling.UNIT)
ROOT = Path(__file__).parents[3]


def _request(key: int, path: Path) -> tuple[int, DecodeRequest]:
    found = path.lstat()
    return key, DecodeRequest(os.fsencode(path), found.st_size, found.st_mtime_ns)


def _write_films(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"film-{number:03}.png" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(encode(np.roll(film(96, 96), number, axis=1), "PNG"))
    return paths


def test_every_file_is_answered_once_with_what_one_process_would_say(tmp_path: Path) -> None:
    paths = _write_films(tmp_path, 60)
    (tmp_path / "film.dcm").write_bytes(dicom())
    (tmp_path / "film.jpg").write_bytes(encode(film(700, 900), "JPEG"))
    paths += [tmp_path / "film.dcm", tmp_path / "film.jpg"]

    with open_decoder(SMALL, workers=2) as decoder:
        answers = list(decoder.decode(_request(key, path) for key, path in enumerate(paths)))

    assert sorted(key for key, _ in answers) == list(range(62))
    for key, answer in answers:
        assert isinstance(answer, Decoded)
        content = paths[key].read_bytes()
        radiograph = read_radiograph(content, name_ending=paths[key].suffix, draft_size=(40, 48))
        assert answer.sha256 == sha256(content).hexdigest()
        assert np.array_equal(answer.grey, fit_pixels(radiograph.pixels, SMALL))
        assert (answer.grey.shape, answer.grey.dtype) == ((48, 40), np.uint8)
        assert (answer.facts, answer.dhash) == (radiograph.facts, radiograph.dhash)
        assert answer.identifiers == radiograph.identifiers
        assert answer.seconds > 0
        assert "ZZCANARY" not in repr(answer)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        (b"SEGV  ", ReasonCode.DECODER_CRASHED),
        (b"ABORT ", ReasonCode.DECODER_CRASHED),
        (b"KILL  ", ReasonCode.DECODER_CRASHED),
        (b"RAISE ", ReasonCode.DECODER_CRASHED),
        (b"HANG  ", ReasonCode.DECODE_TIMEOUT),
        (b"MEMORY", ReasonCode.RESOURCE_LIMIT),
    ],
)
def test_a_file_that_ruins_its_decoder_costs_itself_alone(
    word: bytes, reason: ReasonCode, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = _write_films(tmp_path, 40)
    guilty = {7, 30}
    for key in guilty:
        paths[key].write_bytes(word + b" ZZCANARY")

    with open_decoder(SMALL, workers=2, timeout_seconds=1.5, read=read_or_fail) as decoder:
        answers = list(decoder.decode(_request(key, path) for key, path in enumerate(paths)))

    refused = {key: answer.refusal.reason for key, answer in answers if isinstance(answer, Undecoded)}
    assert refused == dict.fromkeys(guilty, reason)
    assert sorted(key for key, _ in answers) == list(range(40))
    assert "ZZCANARY" not in caplog.text
    assert not any("ZZCANARY" in answer.refusal.detail for _, answer in answers if isinstance(answer, Undecoded))


def test_a_decoder_that_hangs_in_c_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(b"LOOP  ")

    with open_decoder(SMALL, workers=1, timeout_seconds=0.5, read=read_or_fail) as decoder:
        ((_, answer),) = decoder.decode([_request(0, path)])

    assert isinstance(answer, Undecoded)
    assert answer.refusal.reason is ReasonCode.DECODE_TIMEOUT
    assert _decoders_of(psutil.Process()) == []


def test_killed_idle_decoders_are_replaced_and_no_file_is_blamed(tmp_path: Path) -> None:
    paths = _write_films(tmp_path, 12)

    with open_decoder(SMALL, workers=2) as decoder:
        first = list(decoder.decode(_request(key, path) for key, path in enumerate(paths)))
        for process in _decoders_of(psutil.Process()):
            process.kill()
        second = list(decoder.decode(_request(key, path) for key, path in enumerate(paths)))

    assert {type(answer) for _, answer in first + second} == {Decoded}
    assert len(second) == 12


def test_files_that_a_pool_leaves_behind_as_it_breaks_down_are_decoded_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(encode(Image.fromarray(film()).resize((3000, 3000)), "PNG"))

    with open_decoder(SMALL, workers=1) as decoder:
        answers = decoder.decode(_request(key, path) for key in range(4))
        first = next(answers)
        assert decoder._pool._pool is not None
        decoder._pool._pool.close()  # as when no process will start, with the other three in hand
        rest = list(answers)

    assert sorted(key for key, answer in [first, *rest] if isinstance(answer, Decoded)) == [0, 1, 2, 3]


def test_a_decoder_that_is_killed_at_work_costs_no_file(tmp_path: Path) -> None:
    (path,) = _write_films(tmp_path, 1)
    slow = tmp_path / "slow.png"
    slow.write_bytes(b"KILL1 " + os.fsencode(tmp_path / "killed-once") + b"\n" + path.read_bytes())

    with open_decoder(SMALL, workers=1, read=read_or_fail) as decoder:
        ((_, answer),) = decoder.decode([_request(0, slow)])

    assert isinstance(answer, Decoded)
    assert (tmp_path / "killed-once").is_dir()


def test_a_decoder_that_is_stopped_at_work_is_killed_in_time_and_costs_no_file(tmp_path: Path) -> None:
    """It hears no signal but that one, and the others go on."""
    paths = _write_films(tmp_path, 12)
    paths[0].write_bytes(b"STOP1 " + os.fsencode(tmp_path / "stopped-once") + b"\n" + paths[0].read_bytes())

    with open_decoder(SMALL, workers=2, timeout_seconds=1, read=read_or_fail) as decoder:
        answers = list(decoder.decode(_request(key, path) for key, path in enumerate(paths)))

    assert sorted(key for key, answer in answers if isinstance(answer, Decoded)) == list(range(12))
    assert (tmp_path / "stopped-once").is_dir()


def test_requests_are_taken_as_they_are_needed(tmp_path: Path) -> None:
    (path,) = _write_films(tmp_path, 1)
    taken = 0

    def requests() -> Iterator[tuple[int, DecodeRequest]]:
        nonlocal taken
        for key in range(1000):
            taken += 1
            yield _request(key, path)

    with open_decoder(SMALL, workers=2) as decoder:
        answers = decoder.decode(requests())
        next(answers)
        taken_for_one = taken

    assert taken_for_one <= 2 * 4 * 8


def test_nothing_starts_before_the_first_request() -> None:
    before = {process.pid for process in psutil.Process().children(recursive=True)}

    with open_decoder(SMALL, workers=2) as decoder:
        assert list(decoder.decode([])) == []

    assert {process.pid for process in psutil.Process().children(recursive=True)} <= before


def test_there_are_as_many_processes_as_films_up_to_the_workers(tmp_path: Path) -> None:
    paths = _write_films(tmp_path, 9)

    with open_decoder(SMALL, workers=2) as decoder:
        first = list(decoder.decode([_request(0, paths[0])]))
        for_one = len(_decoders_of(psutil.Process()))
        rest = list(decoder.decode(_request(key, path) for key, path in enumerate(paths)))
        for_nine = len(_decoders_of(psutil.Process()))

    assert (len(first), for_one, len(rest), for_nine) == (1, 1, 9, 2)


def test_an_abandoned_run_leaves_no_process_and_the_decoder_can_be_used_again(tmp_path: Path) -> None:
    paths = _write_films(tmp_path, 50)

    with open_decoder(SMALL, workers=2) as decoder:
        next(decoder.decode(_request(key, path) for key, path in enumerate(paths)))
        again = list(decoder.decode(_request(key, path) for key, path in enumerate(paths)))

    assert len(again) == 50
    assert _decoders_of(psutil.Process()) == []


def test_names_are_looked_up_in_the_folder_and_any_bytes_will_do(tmp_path: Path) -> None:
    names = [b"plain.png", b"\xff\xfe not text.png", b"=cmd|'calc'!A1.png", b"line\nbreak.png", b"x" * 251 + b".png"]
    for name in names:
        (tmp_path / os.fsdecode(name)).write_bytes(png())
    requests = [_request(key, tmp_path / os.fsdecode(name)) for key, name in enumerate(names)]
    relative = [(key, DecodeRequest(names[key], seen.size, seen.mtime_ns)) for key, seen in requests]

    with open_decoder(SMALL, directory=tmp_path, workers=1) as decoder:
        answers = list(decoder.decode([*relative, (9, DecodeRequest(b"../escape.png", 1, 1))]))

    reasons = {key: answer.refusal.reason for key, answer in answers if isinstance(answer, Undecoded)}
    assert reasons == {9: ReasonCode.BAD_NAME}


def test_a_folder_that_is_gone_defers_its_files(tmp_path: Path) -> None:
    with open_decoder(SMALL, directory=tmp_path / "unmounted", workers=1) as decoder:
        ((_, answer),) = decoder.decode([(0, DecodeRequest(b"film.png", 1, 1))])

    assert isinstance(answer, Undecoded)
    assert answer.refusal.reason is ReasonCode.GONE


def test_a_wrong_checksum_file_defers_its_film(tmp_path: Path) -> None:
    paths = _write_films(tmp_path, 2)
    for path, digest in zip(paths, (sha256(paths[0].read_bytes()).hexdigest(), "0" * 64), strict=True):
        Path(f"{path}.sha256").write_text(f"{digest}  {path.name}\n", encoding="ascii")

    with open_decoder(SMALL, workers=1) as decoder:
        answers = dict(decoder.decode(_request(key, path) for key, path in enumerate(paths)))

    assert isinstance(answers[0], Decoded)
    assert isinstance(answers[1], Undecoded)
    assert answers[1].refusal.reason is ReasonCode.TRUNCATED
    assert answers[1].sha256 == sha256(paths[1].read_bytes()).hexdigest()


def test_the_processes_are_light_and_have_neither_secrets_nor_a_pen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XRAY_SECRET", "ZZCANARY")
    target = tmp_path / "target"
    order = tmp_path / "order"
    order.write_bytes(os.fsencode(target))

    with open_decoder(SMALL, workers=1, read=report_process, niceness=3) as decoder:
        ((_, answer),) = decoder.decode([_request(0, order)])

    assert isinstance(answer, Undecoded)
    assert f"nice={os.nice(0) + 3}" in answer.refusal.detail
    assert "XRAY_SECRET" not in answer.refusal.detail
    assert "heavy=[]" in answer.refusal.detail
    assert "cannot write" in answer.refusal.detail


def lets_processes_leave_the_network() -> bool:
    """Asked of the system itself: as root, or with a namespace of users of its own."""
    commands = (["unshare", "--net", "true"], ["unshare", "--user", "--net", "true"])
    if shutil.which("unshare") is None:
        return False
    return any(subprocess.run(command, capture_output=True, check=False).returncode == 0 for command in commands)


@pytest.mark.skipif(not lets_processes_leave_the_network(), reason="this system lets no process leave its network")
def test_a_decoder_reaches_no_network_where_the_system_lets_it_leave(tmp_path: Path) -> None:
    order = tmp_path / "order"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        order.write_text("{} {}".format(*receiver.getsockname()))

        with open_decoder(SMALL, workers=1, read=report_network) as decoder:
            ((_, answer),) = decoder.decode([_request(0, order)])

        assert isinstance(answer, Undecoded)
        assert answer.refusal.detail == "not sent: Network is unreachable"
        with pytest.raises(BlockingIOError):
            receiver.recv(100)


def test_a_process_that_may_not_leave_the_network_goes_on_in_it() -> None:
    code = """
        import os, socket, threading
        from xray_core.processes.decoder import _leave_network
        if os.getuid() == 0:
            os.setgroups([]), os.setgid(65534), os.setuid(65534)
        end = threading.Event()
        threading.Thread(target=end.wait, daemon=True).start()  # no namespace of users is given to two threads
        _leave_network()
        receiver, sender = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        receiver.bind(("127.0.0.1", 0))
        sender.sendto(b"still here", receiver.getsockname())
        os.write(1, receiver.recv(100))
    """

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, check=False, timeout=here(60)
    )

    assert done.stdout == b"still here", done.stderr


def may_drop_a_capability() -> bool:
    """As root with `setpriv`, where root has it to drop."""
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        return False
    return subprocess.run([*WITHOUT_SYS_ADMIN, "true"], capture_output=True, check=False).returncode == 0


WITHOUT_SYS_ADMIN = ("setpriv", "--bounding-set", "-sys_admin")


@pytest.mark.skipif(not may_drop_a_capability(), reason="only root may drop a capability, and only with setpriv")
def test_root_that_may_not_leave_the_network_reads_the_films_that_others_keep_for_themselves(tmp_path: Path) -> None:
    (film,) = _write_films(tmp_path, 1)
    os.chown(film, 65534, 65534)
    film.chmod(0o600)
    code = """
        import os, sys
        from xray_core.processes.decoder import _leave_network
        if os.fork() == 0:  # as a decoder is: of one thread, whatever the libraries started
            _leave_network()
            os.write(1, open(sys.argv[1], "rb").read())
            os._exit(0)
        os.wait()
    """

    done = subprocess.run(
        [*WITHOUT_SYS_ADMIN, sys.executable, "-c", textwrap.dedent(code), str(film)],
        cwd=ROOT,
        capture_output=True,
        check=False,
        timeout=here(60),
    )

    assert done.stdout == film.read_bytes(), done.stderr


def test_a_plain_png_that_needs_more_memory_than_allowed_costs_itself_alone(tmp_path: Path) -> None:
    rows = np.tile(np.arange(6000, dtype=np.uint16).astype(np.uint8), (6000, 1))
    Image.fromarray(rows).save(tmp_path / "large.png")
    (film,) = _write_films(tmp_path, 1)

    with open_decoder(SMALL, workers=1, memory_bytes=24 * 2**20) as decoder:
        requests = [_request(0, tmp_path / "large.png"), _request(1, film)]
        answers = dict(decoder.decode(requests))

    assert isinstance(answers[0], Undecoded)
    assert answers[0].refusal.reason is ReasonCode.RESOURCE_LIMIT
    assert isinstance(answers[1], Decoded)


_PROGRAM = """
    import os, signal, sys
    from pathlib import Path
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is born deaf to it
    with open(sys.argv[2], "a") as told:
        told.write(__name__ + "\\n")
    from tests.faulty_readers import read_or_fail
    from xray_core.processes.decoding import DecodeRequest, open_decoder
    from xray_core.imaging.records import Preprocessing, Scaling
    if __name__ == "__main__":
        path = Path(sys.argv[1])
        found = path.stat()
        request = DecodeRequest(os.fsencode(path), found.st_size, found.st_mtime_ns)
        with open_decoder(Preprocessing(48, 40, 3, Scaling.UNIT), workers=2, read=read_or_fail) as decoder:
            print("open", flush=True)
            print(*(type(answer).__name__ for _, answer in decoder.decode([(0, request), (1, request)])), flush=True)
"""


def _start_program(tmp_path: Path, content: bytes) -> subprocess.Popen[str]:
    (tmp_path / "program.py").write_text(textwrap.dedent(_PROGRAM), encoding="utf-8")
    (tmp_path / "film.png").write_bytes(content)
    command = [sys.executable, "program.py", "film.png", "told"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)


def _decoders_of(process: psutil.Process) -> list[psutil.Process]:
    """The children of the fork server: it stays, idle, until its own parent ends."""
    return [worker for child in process.children() for worker in child.children()]


def _wait_for_decoders(program: subprocess.Popen[str]) -> list[psutil.Process]:
    parent = psutil.Process(program.pid)
    for _ in range(int(here(200))):
        if len(decoders := _decoders_of(parent)) == 2 and sum(d.cpu_times().user for d in decoders) >= 0:
            time.sleep(0.5)  # both have their file by now
            return [*decoders, *parent.children()]
        time.sleep(0.05)
    raise AssertionError("the decoders did not start")


def test_the_program_that_decodes_is_not_imported_again(tmp_path: Path) -> None:
    with _start_program(tmp_path, png()) as program:
        output, _ = program.communicate(timeout=here(60))

    assert output.split() == ["open", "Decoded", "Decoded"]
    assert (tmp_path / "told").read_text(encoding="utf-8").split() == ["__main__"]


def test_a_killed_program_leaves_no_decoder_behind(tmp_path: Path) -> None:
    with _start_program(tmp_path, b"LOOP  ") as program:
        decoders = _wait_for_decoders(program)

        program.kill()

        _, alive = psutil.wait_procs(decoders, timeout=here(10))
    assert alive == []


@pytest.mark.slow
def test_a_stopped_program_cannot_stop_its_decoders_from_running_out_of_time(tmp_path: Path) -> None:
    with _start_program(tmp_path, b"SPIN  ") as program:
        *decoders, _, _ = _wait_for_decoders(program)

        program.send_signal(signal.SIGSTOP)

        _, alive = psutil.wait_procs(decoders, timeout=here(60))
        program.kill()
    assert alive == []


@pytest.mark.parametrize("content", [b"HANG  ", b"LOOP  "])
def test_an_interrupted_program_ends_within_ten_seconds_and_takes_its_decoders_along(
    content: bytes, tmp_path: Path
) -> None:
    with _start_program(tmp_path, content) as program:
        decoders = _wait_for_decoders(program)

        program.send_signal(signal.SIGINT)

        assert program.wait(timeout=here(10)) != 0
        _, alive = psutil.wait_procs(decoders, timeout=here(10))
    assert alive == []


@pytest.mark.slow
@pytest.mark.films
def test_mutated_lossless_frames_cost_themselves_at_most(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    sources = [
        (FILMS / "dicom/RG3_JPLL").read_bytes().replace(b"EXTREMITY ", b"CHEST     "),
        (FILMS / "dicom/RG1_JLSN.dcm").read_bytes(),
    ]
    paths = [tmp_path / f"{number:03}.dcm" for number in range(200)]
    for number, path in enumerate(paths):
        content = bytearray(sources[number % 2])
        for place in random.integers(1500, len(content), 4):
            content[place] = random.integers(0, 256)
        path.write_bytes(content)

    with open_decoder(SMALL, workers=2) as decoder:
        answers = list(decoder.decode(_request(key, path) for key, path in enumerate(paths)))

    assert len(answers) == 200


def test_a_large_jpeg_is_decoded_small(tmp_path: Path) -> None:
    path = tmp_path / "film.jpg"
    path.write_bytes(encode(Image.fromarray(film()).resize((3000, 3000)), "JPEG"))

    with open_decoder(SMALL, workers=1) as decoder:
        ((_, answer),) = decoder.decode([_request(0, path)])

    assert isinstance(answer, Decoded)
    assert (answer.facts.width, answer.facts.height) == (3000, 3000)
    whole = fit_pixels(read_radiograph(path.read_bytes()).pixels, SMALL)
    assert np.abs(answer.grey.astype(int) - whole).mean() < 1
