"""A real S3 server (moto's) in a process of its own, on loopback: `python -m tests.bucket_server [KEYS]`.

With a number it holds a bucket `many` with so many small objects below `in/`. It prints its port when it is ready.
"""

from __future__ import annotations

import logging
import os
import sys
import threading

from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer


def main() -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    if len(sys.argv) > 1:
        store = s3_backends["123456789012"]["aws"]
        store.create_bucket("many", "us-east-1")
        for number in range(int(sys.argv[1])):
            store.put_object("many", f"in/2026/film-{number:06}.png", b"%d" % number)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    sys.stdout.write(f"{server.get_host_and_port()[1]}\n")
    sys.stdout.flush()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    threading.Event().wait()


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
