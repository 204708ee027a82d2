# SPDX-License-Identifier: EUPL-1.2
"""Files attached at one ministry and fetched at another, over TLS, with kills in the middle."""
import hashlib
import os
import socket
import subprocess
import unittest

from support import NodesTest, binaries, certificate_of_key, client_context, parse_answer, read_all, until



def get(port, path, certificate, headers=""):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
        with client_context(certificate).wrap_socket(plain) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: hub\r\n{headers}Connection: close\r\n\r\n".encode())
            return parse_answer(read_all(connection))


class AttachmentTest(NodesTest):
    def setUp(self):
        super().setUp()
        self.hub = self.found()

    def write(self, name, size):
        path = self.home / name
        path.write_bytes(os.urandom(size))
        return path

    def document(self, node, title="Bericht", **options):
        extra = [part for name, value in options.items() for part in (f"--{name}", value)]
        return node.ask("add", "document", f"title={title}", *extra)["record"]["id"]

    def here(self, node, record):
        """The record's one attachment, once the record has come."""
        if node.run("show", record).returncode != 0:
            return None
        found = node.ask("attachments", record)["attachments"]
        return found[0] if found else None

    def fetch(self, node, record, *more):
        out = self.home / f"from-{node.land}"
        out.unlink(missing_ok=True)
        node.ask("fetch", record, "-o", str(out), "--wait", "60", *more)
        return out.read_bytes()

    def test_a_file_goes_from_a_node_nobody_can_call_to_all_others(self):
        nw, by = self.join(self.hub, "NW"), self.join(self.hub, "BY")
        file = self.write("Niederschrift.pdf", 3_500_000)
        resolution = nw.ask("add", "resolution", "title=Beschluss", "number=2.3")["record"]["id"]
        reply = nw.ask("attach", resolution, str(file), "--title", "Niederschrift der 20. IntMK")
        document = reply["record"]["id"]
        self.assertEqual(reply["attached_to"]["id"], resolution)
        self.assertEqual(reply["attachment"]["media_type"], "application/pdf")
        self.assertEqual(reply["attachment"]["sha256"], hashlib.sha256(file.read_bytes()).hexdigest())
        for node in (self.hub, by):
            until(lambda: (self.here(node, resolution) or {}).get("complete"), f"{node.land} has it")
            self.assertEqual(self.fetch(node, document), file.read_bytes())
            self.assertEqual(self.fetch(node, resolution), file.read_bytes())
            self.assertEqual(self.fetch(node, reply["attachment"]["sha256"]), file.read_bytes())
            self.assertEqual(self.fetch(node, reply["attachment"]["blob"]), file.read_bytes())
        self.assertEqual(by.ask("status")["attachments"]["here"], 1)
        self.assertEqual(by.ask("status")["attachments"]["wanted"], 0)
        self.assertIn("Niederschrift.pdf", by.run("attachments", resolution).stdout)
        self.assert_sound(by)

    def test_a_receiver_killed_in_the_middle_goes_on_where_it_was(self):
        nw = self.join(self.hub, "NW")
        file = self.write("bericht.pdf", 20_000_000)
        document = self.document(self.hub)
        self.hub.ask("attach", document, str(file))
        kills = 0
        while True:
            part = until(lambda: self.here(nw, document), "the record has come")
            if part["complete"]:
                break
            if part["here_bytes"] > kills * 6_000_000:
                kills += 1
                before = part["here_bytes"]
                nw.kill()
                nw.start()
                self.assertGreaterEqual(self.here(nw, document)["here_bytes"], before)
        self.assertGreaterEqual(kills, 1)
        self.assertEqual(self.fetch(nw, document), file.read_bytes())

    def test_what_is_not_ones_own_looks_like_what_nobody_has(self):
        nw = self.join(self.hub, "NW")
        secret = self.document(self.hub, "Intern", audience="land:NI")
        blob = self.hub.ask("attach", secret, str(self.write("intern.txt", 1000)))["attachment"]["blob"]
        certificate = certificate_of_key(self.home, "NW", nw.data / "tls.key")
        for path in ("", "/list"):
            refused = get(self.hub.port, f"/sync/v1/blob/{blob}{path}", certificate, "Range: bytes=0-9\r\n")
            unknown = get(self.hub.port, f"/sync/v1/blob/{'ab' * 32}{path}", certificate, "Range: bytes=0-9\r\n")
            self.assertEqual(refused[0], 404)
            self.assertEqual(refused, unknown)
        public = self.document(self.hub, "Für alle")
        blob = self.hub.ask("attach", public, str(self.write("alle.bin", 1000)))["attachment"]["blob"]
        status, body = get(self.hub.port, f"/sync/v1/blob/{blob}", certificate, "Range: bytes=10-19\r\n")
        self.assertEqual((status, body), (206, (self.home / "alle.bin").read_bytes()[10:20]))

    def test_refusals_say_why(self):
        document = self.document(self.hub)
        empty = self.home / "leer.pdf"
        empty.write_bytes(b"")
        self.assertEqual(self.hub.refused("attach", document, str(empty))["code"], "invalid")
        large = self.home / "gross.bin"
        with open(large, "wb") as out:
            out.truncate(100 * 1024 * 1024 + 1)
        self.assertEqual(self.hub.refused("attach", document, str(large))["code"], "too-large")
        marked = self.home / "vermerk.txt"
        marked.write_text("x" * 1_048_570 + " VS-NUR FÜR DEN DIENSTGEBRAUCH", encoding="utf-8")
        self.assertEqual(self.hub.refused("attach", document, str(marked))["code"], "denied")
        named = self.home / "VS-NfD Lage.pdf"
        named.write_bytes(b"x")
        self.assertEqual(self.hub.refused("attach", document, str(named))["code"], "denied")
        person = self.hub.ask("add", "person", "name=Kim")["record"]["id"]
        self.assertIn("takes no files", self.hub.refused("attach", person, str(named.rename(self.home / "a.pdf")))["message"])
        self.assertEqual(self.hub.refused("attach", document, str(self.home))["code"], "invalid")
        self.assertEqual(self.hub.refused("attach", document, str(self.home / "fehlt"))["code"], "storage")
        self.assertEqual(self.hub.refused("fetch", document)["code"], "not-found")
        self.assertEqual(self.hub.refused("fetch", "ab" * 32)["code"], "not-found")
        self.assertEqual(self.hub.ask("status")["attachments"], {"here": 0, "wanted": 0, "bytes": 0, "last_error": ""})

    def test_a_file_of_that_name_is_never_overwritten_unasked(self):
        document = self.document(self.hub)
        file = self.write("plan.pdf", 10)
        self.hub.ask("attach", document, str(file))
        done = subprocess.run([binaries() / "staffel", "--node", self.hub.data, "fetch", document], cwd=self.home,
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        done = subprocess.run([binaries() / "staffel", "--node", self.hub.data, "fetch", document, "-o", "-"],
                              capture_output=True, check=True)
        self.assertEqual(done.stdout, file.read_bytes())

    def test_a_full_disk_refuses_the_file_and_the_node_works_on(self):
        document = self.document(self.hub)
        self.hub.stop()
        self.hub.start(limit_file_bytes=3_000_000)
        refusal = self.hub.refused("attach", document, str(self.write("viel.bin", 8_000_000)))
        self.assertEqual(refusal["code"], "storage")
        self.hub.stop()
        self.hub.start()
        file = self.write("wenig.bin", 100_000)
        self.hub.ask("attach", document, str(file))
        self.assertEqual(self.fetch(self.hub, document), file.read_bytes())
        self.assert_sound(self.hub)


if __name__ == "__main__":
    unittest.main()
