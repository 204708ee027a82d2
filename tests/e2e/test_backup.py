# SPDX-License-Identifier: EUPL-1.2
"""Backups made while work goes on, restored ones that heal themselves, clones, and a node in doubt that serves
nobody."""
import os
import shutil
import sqlite3
import stat
import threading
import unittest

from support import NodesTest, free_port, parse_answer, read_all, client_context, post, until
import socket


def people(port, path="/"):
    """A GET at the people's listener: (status, body)."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
        with client_context().wrap_socket(plain) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n".encode())
            return parse_answer(read_all(connection))


def titles(node):
    return sorted(record["title"] for record in node.ask("list", "event")["records"])


def add(node, title):
    return node.ask("add", "event", f"title={title}", "when.start=2025-05-01")["record"]["id"]


class BackupTest(NodesTest):
    def member(self, hub, land="NW"):
        port = free_port()
        node = self.join(hub, land, extra=f'[people]\naddress = "127.0.0.1"\nport = {port}\n')
        node.people_port = port
        return node

    def restore(self, node, file):
        done = node.run("restore", file, "--config", node.config)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_a_backup_is_whole_private_and_made_while_work_goes_on(self):
        hub = self.found()
        over = threading.Event()
        written = []

        def write():
            while not over.is_set():
                written.append(add(hub, f"Termin {len(written)}"))
        writer = threading.Thread(target=write)
        writer.start()
        try:
            until(lambda: len(written) > 5, "work goes on")
            file = self.home / "backup.db"
            result = hub.ask("backup", file)["backup"]
        finally:
            over.set()
            writer.join()
        self.assertEqual(stat.S_IMODE(os.stat(file).st_mode), 0o600)
        self.assertEqual(result["bytes"], file.stat().st_size)
        self.assertEqual([other.name for other in self.home.glob("backup.db*")], ["backup.db"])
        with sqlite3.connect(file) as database:
            self.assertEqual(database.execute("PRAGMA quick_check").fetchone()[0], "ok")
            self.assertEqual(database.execute("SELECT COUNT(*) FROM record").fetchone()[0], result["records"])
            self.assertEqual(database.execute("SELECT COUNT(*) FROM meta WHERE key = 'nonce'").fetchone()[0], 0)
        self.assertNotIn(b"PRIVATE KEY", file.read_bytes())
        self.assertEqual(hub.refused("backup", file)["code"], "exists")
        hub.ask("backup", file, "--force", "--with-keys")
        self.assertIn(b"PRIVATE KEY", file.read_bytes())
        self.assertEqual(hub.refused("backup", self.home / "nowhere" / "b.db")["code"], "storage")
        self.assertEqual(hub.refused("backup", hub.data / "b.db")["code"], "invalid")

    def test_last_months_backup_loses_nothing_that_others_hold(self):
        hub = self.found()
        node = self.member(hub)
        add(node, "vor der Sicherung")
        file = self.home / "backup.db"
        node.ask("backup", file)
        add(node, "nach der Sicherung")
        self.in_step(hub, node)
        hub.stop()
        add(node, "nie angekommen")  # acknowledged at the ministry only, and lost with its disk
        self.assertIn("exists", node.refused("backup", file)["code"])
        running = node.run("restore", file, "--config", node.config)
        self.assertEqual(running.returncode, 1)
        self.assertIn("another staffeld", running.stderr)
        # staffeld speaks the language that staffel was asked for.
        self.assertIn("ein anderer staffeld", node.run("restore", file, "--config", node.config, lang="de").stderr)
        self.assertIn("--config", node.refused("restore", file)["message"])
        node.stop()
        self.assertIn("restored:", self.restore(node, file))
        self.assertTrue(list(node.data.glob("staffel.db.before-restore-*")))

        # Nobody is served before an exchange; work goes on.
        node.start()
        doubt = node.ask("status")["doubt"]
        self.assertTrue(doubt["in_doubt"])
        for path in ("/", "/api/v1/hello"):
            status, body = people(node.people_port, path)
            self.assertEqual(status, 503, body)
            self.assertIn(b"in doubt about its own past", body)
        add(node, "in neuem Journal")
        self.assertEqual(titles(node), ["in neuem Journal", "vor der Sicherung"])

        hub.start()
        until(lambda: not node.ask("status")["doubt"]["in_doubt"], "the exchange ends the doubt")
        self.assertEqual(people(node.people_port)[0], 200)
        self.in_step(hub, node)
        expected = ["in neuem Journal", "nach der Sicherung", "vor der Sicherung"]
        self.assertEqual(titles(node), expected)
        self.assertEqual(titles(hub), expected)
        incidents = node.ask("status")["incidents"]
        self.assertFalse([text for text in incidents if "two entries after" in text], "no fork")
        for one in (hub, node):
            self.assert_sound(one)

    def test_a_database_put_aside_is_gone_before_an_erasure_is_said_to_be_carried_out(self):
        hub = self.found()
        node = self.join(hub, "NW")
        file = self.home / "backup.db"
        node.ask("backup", file)
        person = hub.ask("add", "person", "name=MARKEPERSON Beispiel")["record"]["id"]
        self.in_step(hub, node)
        node.stop()
        self.restore(node, file)
        kept = list(node.data.glob("staffel.db.before-restore-*"))
        self.assertTrue(any(b"MARKEPERSON" in one.read_bytes() for one in kept))
        node.start()
        self.in_step(hub, node)
        hub.ask("erase", person, "--yes")

        def carried_out():
            replicas = hub.ask("erasures", "list", person)["erasures"][0]["replicas"]
            return all(replica["carried_out"] for replica in replicas)
        until(carried_out, "both have said that it is erased")
        self.assertEqual(list(node.data.glob("staffel.db.before-restore-*")), [])

    def test_a_hub_put_back_turns_peers_away_until_the_administrators_word(self):
        hub = self.found()
        node = self.member(hub)
        copy = self.home / "copy.db"
        add(hub, "eins")
        hub.stop()
        shutil.copy(hub.data / "staffel.db", copy)
        hub.start()
        add(hub, "zwei")
        self.in_step(hub, node)
        hub.stop()
        # By hand, as administrators do: over the file, without any command.
        shutil.copy(copy, hub.data / "staffel.db")
        hub.start()
        self.assertTrue(hub.ask("status")["doubt"]["in_doubt"])
        until(lambda: "in doubt about its own past" in node.ask("status")["exchange"]["last_error"],
              "the member is told why")
        # Nobody has an address: the hub says what helps.
        until(lambda: "staffel trust" in hub.ask("status")["exchange"]["last_error"], "the way out is shown")
        refused = hub.run("trust", text="nein\n")
        self.assertEqual(refused.returncode, 1)
        self.assertTrue(hub.ask("status")["doubt"]["in_doubt"])
        after = hub.ask("trust", "--yes")["doubt"]
        self.assertFalse(after["in_doubt"])
        self.assertTrue(after["cosigning_waits"])
        self.in_step(hub, node)
        self.assertEqual(titles(hub), ["eins", "zwei"])
        until(lambda: not hub.ask("status")["doubt"]["cosigning_waits"], "the member's exchange counts")
        self.assertEqual(hub.ask("status")["doubt"]["no_acts_until_term"], 1)
        self.assertEqual(node.refused("trust", "--yes")["code"], "invalid")

    def test_a_hub_put_back_asks_a_member_that_it_reaches_and_acts_no_more_in_its_term(self):
        hub = self.found()
        node = self.join(hub, "NW", listen=True)
        file = self.home / "hub.db"
        add(hub, "eins")
        hub.ask("backup", file)
        add(hub, "zwei")
        self.in_step(hub, node)
        hub.stop()
        self.restore(hub, file)
        hub.start()
        until(lambda: not hub.ask("status")["doubt"]["in_doubt"], "the hub has asked the member")
        self.in_step(hub, node)
        self.assertEqual(titles(hub), ["eins", "zwei"])
        doubt = hub.ask("status")["doubt"]
        self.assertFalse(doubt["cosigning_waits"])
        self.assertEqual(doubt["no_acts_until_term"], 1)
        self.assertIn("rest until the next term ('staffel handover propose NI')",
                      " ".join(hub.run("status").stdout.split()))
        # The next term may be its own.
        hub.ask("handover", "propose", "NI")
        until(lambda: node.ask("handover", "status")["state"]["announced_member"] == "NI", "announced")
        node.ask("handover", "accept")
        hub.ask("handover", "complete", "--now")
        until(lambda: hub.ask("status")["term"] == 2, "the chair's next term has begun")
        self.assertNotIn("rest until", " ".join(hub.run("status").stdout.split()))
        add(hub, "drei")

        def waits():
            return [one["not_received"] for one in hub.ask("status")["audiences"] if one["name"] == "laender"]
        until(lambda: waits() == [0], "it receipts again")

    def test_only_this_nodes_own_sound_backup_is_restored(self):
        hub = self.found()
        node = self.member(hub)
        add(node, "eins")
        own, other = self.home / "own.db", self.home / "other.db"
        node.ask("backup", own, "--with-keys")
        hub.ask("backup", other)
        node.stop()
        before = (node.data / "staffel.db").read_bytes()

        def refused(file, words):
            done = node.run("restore", file, "--config", node.config)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn(words, done.stderr)
            self.assertEqual((node.data / "staffel.db").read_bytes(), before)
            self.assertFalse(list(node.data.glob("restore.part*")))
        refused(other, "another node")
        refused(self.home / "nowhere.db", "there is no file")
        for cut in (0, 100, 8192, own.stat().st_size // 2):
            torn = self.home / "torn.db"
            torn.write_bytes(own.read_bytes()[:cut])
            refused(torn, "nothing was restored")
        noise = bytearray(own.read_bytes())
        for at in range(8192 * 3, len(noise), 7):
            noise[at] ^= 0x5a
        (self.home / "noise.db").write_bytes(noise)
        refused(self.home / "noise.db", "nothing was restored")
        node.start()
        self.assertFalse(node.ask("status")["doubt"]["in_doubt"])
        # On another machine: an empty directory, and one file with all in it.
        node.stop()
        shutil.rmtree(node.data)
        self.assertIn("keys were taken", self.restore(node, own))
        node.start()
        # The hub has just heard the process before it, which this database does not know.
        until(lambda: not node.ask("status")["doubt"]["in_doubt"], "the hub takes it", 30)
        self.in_step(hub, node)
        self.assertEqual(titles(node), ["eins"])
        self.assertNotIn(b"PRIVATE KEY", (node.data / "staffel.db").read_bytes())

    def test_a_backup_killed_in_the_middle_leaves_no_half_of_one(self):
        hub = self.found()
        for number in range(30):
            add(hub, f"Termin {number} " + "x" * 1500)
        file = self.home / "backup.db"
        hub.ask("backup", file)
        for delay in (0.0, 0.005, 0.01, 0.02, 0.04, 0.08):
            request = threading.Thread(target=lambda: hub.run("backup", file, "--force"))
            request.start()
            threading.Event().wait(delay)
            hub.kill()
            request.join()
            with sqlite3.connect(file) as database:
                self.assertEqual(database.execute("PRAGMA quick_check").fetchone()[0], "ok")
            hub.start()
        self.assertFalse(hub.ask("status")["doubt"]["in_doubt"])


if __name__ == "__main__":
    unittest.main()
