"""A CKAN that browsers can open: ``python -m tests.e2e.live_site INI``, in a process of its own.

It listens on a free port of this machine, prints its address as its only line of output, and ends when its
standard input does: however the test run ends, the site goes with it. What it logs is its error output.
"""

from __future__ import annotations

import os
import socket
import sys
import threading

from ckan.cli import load_config
from ckan.config.middleware import make_app
from werkzeug.serving import make_server

#: Plugins that show files.
VIEWS = "image_view text_view pdf_view resource_proxy"


def main(ini: str) -> None:
    # CKAN logs to standard output, which nobody reads on after the address.
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # Open before CKAN starts: CKAN has to know its own address, and nobody else can take the port.
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    config = load_config(ini)
    config["ckan.site_url"] = url
    config["ckan.plugins"] = f"{config['ckan.plugins']} {VIEWS}"
    # On 2.11 it lets the environment of a request say who is logged in.
    config["testing"] = False
    server = make_server("127.0.0.1", port, make_app(config), threaded=True, fd=listener.fileno())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(url, file=output, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
