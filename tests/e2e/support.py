# SPDX-License-Identifier: EUPL-1.2
"""Real staffeld processes for the end-to-end tests: started, asked, killed. Every node and every
temporary directory ends with its test."""
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

# What programs say to these tests they say in English; the tests of German ask for it.
os.environ["LC_ALL"] = "en_US.UTF-8"

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WAIT_SECONDS = 60
LAENDER = {"NI": "Niedersachsen", "NW": "Nordrhein-Westfalen", "BY": "Bayern", "HE": "Hessen"}


def binaries():
    """Where staffeld and staffel stand: STAFFEL_BIN, or bin/ of the build folder STAFFEL_BUILD."""
    if "STAFFEL_BIN" in os.environ:
        return pathlib.Path(os.environ["STAFFEL_BIN"]).resolve()
    return pathlib.Path(os.environ.get("STAFFEL_BUILD", ROOT / "build" / "release")).resolve() / "bin"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def until(condition, what, seconds=WAIT_SECONDS):
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"in vain waited for: {what}")
        time.sleep(0.05)


class Node:
    """One ministry's node. `limit_file_bytes` stands for a full disk: no file can grow beyond it."""

    def __init__(self, land, home, listen=False, extra=""):
        self.land = land
        self.directory = home / land
        self.directory.mkdir(mode=0o700)
        self.data = self.directory / "data"
        self.port = free_port() if listen else 0
        self.process = None
        self.environment = None  # of the daemon, beside our own: a test may give it another clock
        self.log = self.directory / "log"
        config = 'data = "data"\n'
        if listen:
            config += f'[replicas]\naddress = "127.0.0.1"\nport = {self.port}\n'
        config += '[exchange]\nretry_max_seconds = 1\n' + extra
        self.config = self.directory / "staffel.toml"
        self.config.write_text(config, encoding="utf-8")

    def spawn(self, limit_file_bytes=None):
        def limit():
            if limit_file_bytes is not None:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit_file_bytes, limit_file_bytes))
        with open(self.log, "ab") as log:
            return subprocess.Popen([binaries() / "staffeld", "--config", self.config], stdout=log, stderr=log,
                                    stdin=subprocess.DEVNULL, preexec_fn=limit,
                                    env={**os.environ, **(self.environment or {})})

    def start(self, limit_file_bytes=None):
        self.process = self.spawn(limit_file_bytes)

        def answers():
            if self.process.poll() is not None:
                raise AssertionError(f"staffeld of {self.land} ended:\n{self.log_text()[-3000:]}")
            return self.run("status").returncode == 0
        until(answers, f"staffeld of {self.land} answers")
        return self

    def log_text(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=20)

    def run(self, *arguments, text=None, stdin=None, lang="en"):
        return subprocess.run([binaries() / "staffel", "--lang", lang, "--node", self.data, *arguments],
                              capture_output=True, text=True, input=text, stdin=stdin, timeout=WAIT_SECONDS * 2,
                              check=False)

    def ask(self, *arguments, text=None):
        done = self.run("--json", *arguments, text=text)
        if done.returncode != 0:
            raise AssertionError(f"{self.land}: staffel {arguments}: {done.stderr}")
        return json.loads(done.stdout)

    def refused(self, *arguments, text=None):
        """The refusal of a command that must be refused."""
        done = self.run("--json", *arguments, text=text)
        if done.returncode != 1:
            raise AssertionError(f"{self.land}: staffel {arguments} ended with {done.returncode}: {done.stdout}")
        return json.loads(done.stderr)

    def digest(self):
        return {audience["name"]: audience["digest"] for audience in self.ask("status")["audiences"]}.get("laender")

    def admin(self, method, body, timeout=30):
        """A raw call of the administration: (status, body)."""
        head = (f"POST /admin/v1/{method} HTTP/1.1\r\nHost: node\r\nContent-Type: application/x-protobuf\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n").encode()
        return parse_answer(self.socket(head + body, timeout))

    def socket(self, payload, timeout=30):
        """What the administration's socket answers to these bytes."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(str(self.data / "staffel.sock"))
            try:
                connection.sendall(payload)
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it may have had enough already
            return read_all(connection)


def read_all(connection):
    received = b""
    while True:
        try:
            piece = connection.recv(65536)
        except (ConnectionResetError, ssl.SSLError):
            return received
        if not piece:
            return received
        received += piece


def parse_answer(received):
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]) if head.startswith(b"HTTP/") else 0, body


def make_certificate(folder, name):
    """A stranger's P-256 key with a certificate of its own: (certificate file, key file)."""
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                    "10", "-subj", f"/CN={name}", "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


def certificate_of_key(folder, name, key):
    certificate = folder / f"{name}.crt"
    subprocess.run(["openssl", "req", "-x509", "-new", "-key", key, "-days", "10", "-subj", f"/CN={name}", "-out",
                    certificate], check=True, capture_output=True)
    return certificate, key


def client_context(certificate=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        context.load_cert_chain(*certificate)
    return context


def post(port, path, body, certificate=None, content_type="application/vnd.staffel.exchange"):
    """A POST over TLS: (status, body)."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
        with client_context(certificate).wrap_socket(plain) as connection:
            try:
                connection.sendall(f"POST {path} HTTP/1.1\r\nHost: hub\r\nContent-Type: {content_type}\r\n"
                                   f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
            except OSError:
                pass  # refused before the whole body was sent: the answer is there all the same
            return parse_answer(read_all(connection))


class NodesTest(unittest.TestCase):
    """A temporary directory, nodes in it, and conferences of them."""

    def setUp(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="staffel-e2e-"))
        self.nodes = []
        self.addCleanup(self.clean)

    def clean(self):
        for node in self.nodes:
            if node.process is not None and node.process.poll() is None:
                node.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    def node(self, land, listen=False, extra=""):
        node = Node(land, self.home, listen, extra)
        self.nodes.append(node)
        return node

    def found(self, land="NI"):
        """A hub that has founded a conference."""
        hub = self.node(land, listen=True).start()
        lands = [part for id_, name in LAENDER.items() for part in ("--land", f"{id_}={name}")]
        hub.ask("found", "Test", "--as", land, *lands)
        return hub

    def join(self, hub, land, **options):
        node = self.node(land, **options).start()
        node.ask("join", "-", text=hub.ask("invite", land)["token"] + "\n")
        self.await_member(node)
        return node

    def await_member(self, node):
        def member():
            if node.ask("status")["state"] == "member":
                return True
            for other in self.nodes:
                if other is node or other.process is None or other.process.poll() is not None:
                    continue
                if other.ask("status")["state"] == "member":
                    for proposal in other.ask("waiting")["proposals"]:
                        if proposal["ours_helps"]:
                            other.run("approve", proposal["entry"])
            return False
        until(member, f"{node.land} is a member")

    def in_step(self, *nodes):
        until(lambda: len({node.digest() for node in nodes}) == 1, "all are in step")

    def assert_sound(self, node):
        self.assertEqual(node.ask("verify")["verify"]["problems"], [])
