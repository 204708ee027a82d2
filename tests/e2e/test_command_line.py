# SPDX-License-Identifier: EUPL-1.2
"""The command line as a tool among others: where its output goes, what Ctrl-C does, what is said of a command that
is wrong, and what a change did that nobody asked for in so many words."""
import http.server
import json
import os
import pathlib
import signal
import socketserver
import stat
import subprocess
import threading
import unittest

from support import WAIT_SECONDS, NodesTest, binaries, until

HEADER = '{"staffel": "import", "version": 1, "dataset": "command-line"}\n'


def event_line(key):
    return json.dumps({"kind": "event", "key": key, "title": key, "when": {"start": "2025-05-01"}}) + "\n"


def staffel(*arguments, language="en", **options):
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([binaries() / "staffel", "--lang", language, *arguments], stderr=subprocess.PIPE, check=False,
                          timeout=WAIT_SECONDS, **options)


class OutputTest(NodesTest):
    def setUp(self):
        super().setUp()
        self.hub = self.found()
        self.record = self.hub.ask("add", "event", "title=Frist", "when.start=2025-05-01")["record"]["id"]

    def commands(self):
        node = ("--node", str(self.hub.data))
        for command in (("show", self.record), ("list",), ("status",), ("log", self.record), ("kinds",),
                        ("search", "Frist"), ("export",)):
            yield (*node, *command)
            yield (*node, "--json", *command)
        yield from (("--help",), ("show", "--help"), ("--version",))

    def test_what_does_not_fit_on_a_full_disk_is_a_failure_that_is_said(self):
        for command in self.commands():
            with open("/dev/full", "wb") as full:
                done = staffel(*command, stdout=full)
            said = done.stderr.decode()
            self.assertEqual(done.returncode, 1, (command, said))
            if "--json" in command and "export" not in command:
                self.assertEqual(json.loads(said)["code"], "storage")
            self.assertIn("standard output: No space left on device", said, command)
        with open("/dev/full", "wb") as full:
            german = staffel("--node", str(self.hub.data), "list", language="de", stdout=full).stderr.decode()
        self.assertTrue(german.startswith("staffel: Standardausgabe: "), german)

    def test_a_reader_that_goes_away_is_nothing_to_talk_about(self):
        for command in self.commands():
            for handling, code in ((signal.SIG_DFL, -signal.SIGPIPE), (signal.SIG_IGN, 1)):
                read, write = os.pipe()
                os.close(read)
                done = staffel(*command, stdout=write, preexec_fn=lambda to=handling: signal.signal(signal.SIGPIPE, to))
                os.close(write)
                self.assertEqual(done.returncode, code, (command, done.stderr))
                if "export" not in command:
                    self.assertEqual(done.stderr, b"", command)

    def test_an_export_replaces_a_file_and_what_a_link_leads_to(self):
        file, link, far = self.home / "file", self.home / "link", self.home / "far"
        (self.home / "elsewhere").mkdir()
        far.symlink_to("elsewhere/target")
        file.write_text("old")
        link.symlink_to("file")
        self.hub.ask("export", "-o", str(link))
        self.assertTrue(link.is_symlink())
        self.assertIn("Frist", file.read_text())
        # Also where there is nothing yet.
        self.hub.ask("export", "-o", str(far))
        self.assertTrue(far.is_symlink())
        self.assertIn("Frist", (self.home / "elsewhere" / "target").read_text())
        self.assertEqual(sorted(self.home.rglob("*.part")), [])

    def test_devices_and_pipes_stay_what_they_are_and_take_what_is_written(self):
        document = self.hub.ask("add", "document", "title=Bericht")["record"]["id"]
        attached = self.home / "bericht.txt"
        attached.write_bytes(b"Bericht\n" * 1000)
        self.hub.ask("attach", document, str(attached))
        pipe, full = self.home / "pipe", self.home / "full"
        os.mkfifo(pipe)
        full.symlink_to("/dev/full")
        for command, wanted in ((("export",), b"Frist"), (("fetch", document), b"Bericht\n" * 1000)):
            got = []
            reader = threading.Thread(target=lambda to=got: to.append(pipe.read_bytes()), daemon=True)
            reader.start()
            self.hub.ask(*command, "-o", str(pipe))
            reader.join(WAIT_SECONDS)
            self.assertTrue(stat.S_ISFIFO(pipe.lstat().st_mode), command)
            self.assertIn(wanted, got[0])
            refused = self.hub.refused(*command, "-o", str(full))
            self.assertIn("No space left on device", refused["message"])
            self.assertTrue(full.is_symlink())

    def test_directories_and_sockets_are_refused_and_what_was_there_stays_after_a_failure(self):
        self.assertIn("Is a directory", self.hub.refused("export", "-o", str(self.home))["message"])
        self.assertIn("is a socket", self.hub.refused("export", "-o", str(self.hub.data / "staffel.sock"))["message"])
        self.assertEqual(self.hub.run("status").returncode, 0)
        circle = self.home / "circle"
        circle.symlink_to("circle")
        self.assertIn("symbolic links", self.hub.refused("export", "-o", str(circle))["message"])
        file = self.home / "kept"
        file.write_text("old")
        self.hub.refused("export", "--audience", "nonsense", "-o", str(file))
        self.assertEqual(file.read_text(), "old")
        self.assertEqual(sorted(self.home.glob("*.part")), [])

    def test_a_name_from_another_ministry_is_not_written_through_a_link(self):
        document = self.hub.ask("add", "document", "title=Bericht")["record"]["id"]
        attached = self.home / "bericht.txt"
        attached.write_bytes(b"Bericht")
        self.hub.ask("attach", document, str(attached))
        work = self.home / "work"
        work.mkdir()
        (work / "bericht.txt").symlink_to("nowhere")
        done = staffel("--node", str(self.hub.data), "fetch", document, cwd=work)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"is there already", done.stderr)
        self.assertFalse((work / "nowhere").exists())

    def test_an_export_says_on_standard_error_what_stays_at_home(self):
        self.assertNotIn("--with-own", self.hub.run("export").stderr)
        self.hub.ask("add", "note", "text=Nur wir")
        done = self.hub.run("export")
        self.assertNotIn("Nur wir", done.stdout)
        self.assertIn("Not in it: 1 record that only this Land sees (--with-own).", done.stderr)
        self.assertEqual(json.loads(self.hub.run("--json", "export").stderr), {"records": 1, "left_out": 1})
        self.assertNotIn("--with-own", self.hub.run("export", "--with-own").stderr)


class WrongUsageTest(NodesTest):
    def test_what_is_wrong_in_the_command_line_itself_ends_with_2(self):
        environment = {name: value for name, value in os.environ.items() if name != "STAFFEL_NODE"}
        node = self.node("NI").start()
        for command, part in ((("status",), "which node?"),
                              (("--node", str(node.data), "add", "event", "title"), "'title' is no assignment"),
                              (("--node", str(node.data), "set", "ab12", "=x"), "'=x' is no assignment"),
                              (("--node", str(node.data), "found", "X", "--as", "NI", "--land", "NI", "--rule", "r"),
                               "a rule is NAME=VALUE")):
            done = staffel(*command, env=environment)
            self.assertEqual(done.returncode, 2, (command, done.stderr))
            self.assertIn(part, done.stderr.decode())
            done = staffel("--json", *command, env=environment)
            self.assertEqual((done.returncode, json.loads(done.stderr)["code"]), (2, "usage"))
            self.assertIn(part, json.loads(done.stderr)["message"])
        self.assertEqual(node.ask("status")["state"], "unfounded")

    def test_questions_leave_standard_output_to_the_answer(self):
        hub = self.found()
        hub.ask("audience", "create", "Runde", "--members", "NI")
        done = hub.run("--json", "audience", "close", "Runde", text="nein\n")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("not confirmed", json.loads(done.stderr)["message"])
        done = hub.run("audience", "close", "Runde", text="nein\n")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("Runde", done.stderr)
        # A node that is not in doubt has nothing to be asked about.
        self.assertNotEqual(hub.run("trust", text="").returncode, 0)
        person = hub.ask("add", "person", "name=Ada")["record"]["id"]
        done = hub.run("--json", "erase", person, text="yes\n")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("--yes", json.loads(done.stderr)["message"])
        self.assertFalse(hub.ask("show", person)["record"]["erased"])


class JoinTest(NodesTest):
    def test_an_invitation_is_found_in_what_the_hub_printed_around_it(self):
        hub = self.found()
        for language, land in (("de", "NW"), ("en", "BY")):
            printed = staffel("--node", str(hub.data), "invite", land, language=language).stdout.decode()
            self.assertGreater(len(printed.split()), 10)
            node = self.node(land).start()
            node.ask("join", "-", text=printed)
            self.await_member(node)

    def test_several_invitations_or_none_are_refused_here(self):
        hub = self.found()
        tokens = [hub.ask("invite", "HE")["token"] for _ in range(2)]
        node = self.node("HE").start()
        self.assertIn("several invitations", node.refused("join", "-", text="\n".join(tokens))["message"])
        self.assertIn("staffel-1.", node.refused("join", "-", text="no invitation at all\n")["message"])
        self.assertEqual(node.ask("status")["state"], "unfounded")
        node.ask("join", "-", text=f"{tokens[0]}\n{tokens[0]}\n")


class ChangeTest(NodesTest):
    def setUp(self):
        super().setUp()
        self.hub = self.found()

    def resolution(self):
        return self.hub.ask("add", "resolution", "title=Beschluss", "items+=Eins", "items+=Zwei",
                            "items+=Drei")["record"]["id"]

    def test_an_element_that_goes_with_its_text_is_said_to_go(self):
        record = self.resolution()
        done = self.hub.run("set", record, "items.2.text=")
        self.assertIn("Item 2 removed; those behind it move up.\n", done.stdout)
        reply = self.hub.ask("set", record, "items.2.text=")
        self.assertEqual(reply["removed"], [{"path": "items.2", "label_de": "Ziffer 2", "label_en": "Item 2",
                                             "renumbers": False}])
        german = staffel("--node", str(self.hub.data), "set", self.resolution(), "items-=1", language="de")
        self.assertIn("Ziffer 1 entfernt; die folgenden rücken auf.\n", german.stdout.decode())
        self.assertEqual(self.hub.ask("set", record, "items.1.text=Neu", "title=Anders")["removed"], [])

    def test_a_conflict_that_is_decided_by_writing_nothing_removes_the_element_and_says_so(self):
        member = self.join(self.hub, "NW")
        record = self.resolution()
        until(lambda: member.run("show", record).returncode == 0, "the member has it")
        self.hub.stop()
        member.ask("set", record, "items.2.text=Von NW")
        member.stop()
        self.hub.start()
        self.hub.ask("set", record, "items.2.text=Von NI")
        member.start()
        until(lambda: self.hub.ask("conflicts", "list")["conflicts"], "the conflict is at the hub")
        seen = self.hub.ask("conflicts", "list")["conflicts"][0]["version"]
        done = self.hub.run("conflicts", "write", record, "items.2.text", "", "--if-version", seen)
        self.assertIn("Item 2 removed; those behind it move up.\n", done.stdout, done.stderr)

    def test_an_element_of_several_parts_is_taken_away_as_it_was_added(self):
        person = self.hub.ask("add", "person", "name=Ada", 'emails+={"address":"q@bar.de","type":"privat"}',
                              "emails+=r@bar.de")["record"]["id"]
        self.hub.ask("set", person, 'emails-={"address":"q@bar.de"}')
        self.assertEqual(self.hub.ask("show", person)["record"]["fields"]["emails"], ["r@bar.de"])
        message = self.hub.refused("set", person, "emails.0.address=x@bar.de")["message"]
        self.assertIn("emails+=… to add one and emails-=… to remove it", message)

    def test_one_is_one(self):
        record = self.hub.ask("add", "event", "title=Frist", "when.start=2025-05-01")["record"]["id"]
        self.assertRegex(self.hub.run("status").stdout, r"Holdings +1 record, \d+ entries \(\d+ of ours\)")
        checked = self.hub.run("import", "--check", "-", text=HEADER + event_line("a"))
        self.assertIn("1 record checked, nothing imported: 1 new, 0 different here, 0 unchanged.", checked.stdout)
        self.assertIn("1 record: 1 added", self.hub.run("import", "-", text=HEADER + event_line("a")).stdout)
        self.assertIn("2 records", self.hub.run("status").stdout)
        file = self.home / "export"
        self.assertIn("2 records written", self.hub.run("export", "-o", str(file)).stdout)
        self.assertIn("kind event has no such field", self.hub.refused("set", record, "titel=x")["message"])


def message(number, *parts):
    body = b"".join(parts)
    return bytes([number << 3 | 2, len(body)]) + body


class SlowNode:
    """In the place of a node: takes an import and then says what it is told to, so that each moment of it can be
    met. Replies are Jobs."""

    RUNNING = message(1, b"j")
    STOPPED = RUNNING + b"\x28\x01" + message(6, message(1, b"unavailable"), message(2, b"stopped; nothing was imported"))

    def __init__(self, path, replies):
        node = self
        self.calls = []
        self.met = threading.Condition()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                method = self.path.rsplit("/", 1)[1]
                with node.met:
                    node.calls.append(method)
                    node.met.notify_all()
                body = replies.get(method, SlowNode.RUNNING)
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def address_string(self):
                return "a client"

            def log_message(self, *_):
                pass

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

        self.server = Server(str(path), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def await_call(self, method, count=1):
        with self.met:
            if not self.met.wait_for(lambda: self.calls.count(method) >= count, WAIT_SECONDS):
                raise AssertionError(f"in vain waited for {method}: {self.calls}")


class InterruptTest(NodesTest):
    def importing(self, node, file="-"):
        process = subprocess.Popen([binaries() / "staffel", "--lang", "en", "--node", str(node), "import", file],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for stream in (process.stdin, process.stdout, process.stderr):
            self.addCleanup(stream.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def slow(self, **replies):
        path = self.home / "slow.sock"
        node = SlowNode(path, replies)
        self.addCleanup(node.server.server_close)
        self.addCleanup(node.server.shutdown)
        return path, node

    def test_before_it_is_applied_an_import_is_cancelled(self):
        path, node = self.slow()
        process = self.importing(path)
        process.stdin.write(HEADER + event_line("a"))
        process.stdin.flush()
        node.await_call("ImportLines")
        process.send_signal(signal.SIGINT)
        # However the signal and the end of the input meet: it came before.
        out, error = process.communicate(timeout=WAIT_SECONDS)
        self.assertEqual((process.returncode, out), (1, ""))
        self.assertIn("interrupted; nothing was imported", error)
        self.assertEqual([call for call in node.calls if call != "ImportLines"], ["ImportBegin", "JobCancel"])

    def test_nothing_of_it_is_at_a_real_node_and_the_next_import_works(self):
        hub = self.found()
        process = self.importing(hub.data)
        process.stdin.write(HEADER + event_line("a"))
        process.stdin.flush()
        until(lambda: pathlib.Path(f"/proc/{process.pid}/wchan").exists(), "it runs")
        until(lambda: "SigCgt" in self.status_of(process) and int(self.status_of(process)["SigCgt"], 16) & 2,
              "it has begun")
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=WAIT_SECONDS)
        self.assertEqual((process.returncode, out), (1, ""), error)
        self.assertIn("nothing was imported", error)
        self.assertEqual(hub.ask("list")["total"], 0)
        self.assertEqual(hub.ask("import", "-", text=HEADER + event_line("a"))["import"]["created"], 1)

    @staticmethod
    def status_of(process):
        lines = pathlib.Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def test_while_the_node_checks_an_import_is_cancelled_there(self):
        path, node = self.slow(JobCancel=SlowNode.STOPPED)
        process = self.importing(path)
        process.stdin.write(HEADER + event_line("a"))
        process.stdin.close()
        node.await_call("JobState")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(WAIT_SECONDS), 1)
        self.assertIn("nothing was imported", process.stderr.read())
        self.assertEqual(node.calls.count("JobCancel"), 1)

    def test_what_is_being_written_goes_on_and_is_said_to(self):
        path, node = self.slow()
        process = self.importing(path)
        process.stdin.write(HEADER + event_line("a"))
        process.stdin.close()
        node.await_call("JobState")
        process.send_signal(signal.SIGINT)
        node.await_call("JobCancel")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(WAIT_SECONDS), 1)
        error = process.stderr.read()
        self.assertIn("Ctrl-C once more", error)
        self.assertIn("import --check with the same file says whether it is done", error)


if __name__ == "__main__":
    unittest.main()
