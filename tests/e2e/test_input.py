# SPDX-License-Identifier: EUPL-1.2
"""Bad input of every kind names the place and leaves nothing half-done; the socket takes nonsense."""
import json
import os
import subprocess
import threading
import time
import unittest

from support import ROOT, NodesTest, binaries

HEADER = '{"staffel": "import", "version": 1, "dataset": "test"}\n'


def event(key, **fields):
    return json.dumps({"kind": "event", "key": key, "title": f"Termin {key}", "when": {"start": "2025-05-01"},
                       **fields}) + "\n"


class ImportTest(NodesTest):
    def setUp(self):
        super().setUp()
        self.hub = self.found()

    def total(self):
        return self.hub.ask("status")["counts"]["records"]

    def refuse(self, text, *parts):
        refusal = self.hub.refused("import", "-", text=text)
        for part in parts:
            self.assertIn(part, refusal["message"])
        self.assertEqual(self.total(), 0)
        return refusal

    def test_bad_files_name_the_place_and_leave_nothing(self):
        good = event("a") + event("b")
        self.refuse("", "line 1")
        self.refuse("Hallo\n", "line 1")
        self.refuse(HEADER + good + '{"kind": "event", "key": "c", "title": "halb', "line 4")
        self.refuse(HEADER + good + event("c", titel="x"), "line 4", "titel", "title")
        self.refuse(HEADER + good + event("c", title=17), "line 4", "title")
        self.refuse(HEADER + good + event("c", when={"start": "2025-02-30"}), "line 4", "2025-02-30")
        self.refuse(HEADER + good + event("c", description="VS – Nur für den Dienstgebrauch"), "line 4")
        self.refuse(HEADER + good + event("c", description="V S - N f D"), "line 4")
        self.refuse(HEADER + good + event("a"), "line 4", "a")
        self.refuse(HEADER + good + '{"kind": "termin", "key": "c"}\n', "line 4", "termin")
        self.refuse(HEADER + good + event("c").replace('"key": "c"', '"key": "c", "key": "d"'), "line 4")
        self.refuse(HEADER + good + event("c", meeting="@fehlt"), "line 4")
        self.refuse('{"staffel": "import", "version": 99, "dataset": "x"}\n' + good, "line 1", "99")

    def test_an_import_is_judged_as_what_a_person_enters(self):
        nowhere = "f" * 32
        refusal = self.refuse(HEADER + event("a") + event("b", about=nowhere), "line 3, column ", "about", nowhere)
        self.assertEqual(refusal["code"], "not-found")
        meeting = self.hub.ask("add", "meeting", "title=Sitzung", "when.start=2025-05-01")["record"]["id"]
        self.hub.ask("import", "-", text=HEADER + event("a", about=meeting))
        line = json.dumps({"kind": "resolution", "key": "r", "title": "x", "agenda_item": meeting}) + "\n"
        message = self.hub.refused("import", "-", text=HEADER + line)["message"]
        self.assertIn("line 2, column ", message)
        self.assertIn("is of kind meeting, not agenda-item", message)
        # An export names what was left out of it, too: its references are what was true there.
        export = HEADER.replace('"test"', '"export", "keys": "ids"')
        self.hub.ask("import", "-", text=export + event("a" * 32, about=nowhere))
        message = self.hub.refused("import", "-", text=export + line.replace('"r"', '"' + "b" * 32 + '"'))["message"]
        self.assertIn("is of kind meeting", message)

    def test_an_import_writes_no_other_land_s_records(self):
        resolution = self.hub.ask("add", "resolution", "title=Beschluss")["record"]["id"]
        amendment = {"kind": "amendment", "resolution": resolution, "member": "BY", "title": "Antrag"}
        early = HEADER + json.dumps({**amendment, "key": "early"}) + "\n"
        # The chair writes for a Land without a node.
        self.assertEqual(self.hub.ask("import", "-", text=early)["import"]["created"], 1)
        member = self.join(self.hub, "BY")
        late = HEADER + event("a") + json.dumps({**amendment, "key": "late"}) + "\n"
        refusal = self.hub.refused("import", "-", text=late)
        self.assertEqual(refusal["code"], "denied")
        self.assertIn("line 3: ", refusal["message"])
        self.assertIn("BY writes it at its node", refusal["message"])
        self.assertEqual(self.hub.ask("list", "event")["total"], 0)
        # What was imported before stands, and the same file goes on doing nothing.
        record, = self.hub.ask("list", "amendment")["records"]
        member.ask("set", record["id"], "title=Von BY")
        self.in_step(self.hub, member)
        again = self.hub.ask("import", "-", text=early)["import"]
        self.assertEqual((again["created"], again["changed"], again["kept"]), (0, 0, 1))
        self.assertIn("BY writes it", self.hub.refused("import", "--overwrite", "-", text=early)["message"])

    def test_a_second_import_changes_nothing_and_says_so(self):
        text = HEADER + event("a") + event("b")
        first = self.hub.ask("import", "-", text=text)["import"]
        self.assertEqual((first["created"], first["unchanged"]), (2, 0))
        entries = self.hub.ask("status")["counts"]["entries"]
        second = self.hub.ask("import", "-", text=text)["import"]
        self.assertEqual((second["created"], second["changed"], second["unchanged"]), (0, 0, 2))
        self.assertEqual(self.hub.ask("status")["counts"]["entries"], entries)
        self.assertIn("Nothing to do", self.hub.run("import", "-", text=text).stdout)
        # Neither does it undo what people have done since.
        record = self.hub.ask("list", "event")["records"][0]
        self.hub.ask("set", record["id"], "title=Von Hand")
        again = self.hub.ask("import", "-", text=text)["import"]
        self.assertEqual((again["unchanged"], again["kept"], again["changed"]), (1, 1, 0))
        self.assertIn("Imported just so before and changed since: 1 record;", self.hub.run("import", "-", text=text).stdout)
        self.assertEqual(self.hub.ask("show", record["id"])["record"]["title"], "Von Hand")
        again = self.hub.ask("import", "-", "--overwrite", text=text)["import"]
        self.assertEqual((again["unchanged"], again["kept"], again["changed"]), (1, 0, 1))
        self.assertEqual(self.hub.ask("show", record["id"])["record"]["fields"], record["fields"])
        # What was deleted stays so, whatever the file says.
        self.hub.ask("delete", record["id"])
        for option in ((), ("--overwrite",)):
            again = self.hub.ask("import", "-", *option, text=text.replace("Zeile", "Neu"))["import"]
            self.assertEqual(again["deleted"], 1)
        self.assertEqual(len(self.hub.ask("list", "event")["records"]), 1)

    def test_a_list_loses_and_repeats_nothing_while_others_write(self):
        lines = "".join(event(f"e{number:04}", title=f"Titel {number:04}") for number in range(3000))
        self.hub.ask("import", "-", text=HEADER + lines)
        every = self.hub.ask("list", "event")["records"]
        moving = {record["id"] for record in every[:60]}
        still = {record["id"] for record in every} - moving
        done = threading.Event()

        def delete():
            for record in moving:
                self.hub.ask("delete", record)
            done.set()

        writer = threading.Thread(target=delete)
        writer.start()
        while not done.is_set():
            seen = [record["id"] for record in self.hub.ask("list", "event")["records"]]
            self.assertEqual(len(seen), len(set(seen)))
            self.assertEqual(still - set(seen), set())
        writer.join()

    def test_export_and_import_into_another_node_give_the_same_records(self):
        self.hub.ask("import", "-", text=HEADER + event("a") + event("b", description="Zeile 1\nZeile 2"))
        file = self.home / "export.jsonl"
        self.hub.ask("export", "-o", str(file))
        other = self.found("BY")
        other.ask("import", str(file))
        ours = {r["id"]: r["fields"] for r in self.hub.ask("list")["records"]}
        theirs = {r["id"]: r["fields"] for r in other.ask("list")["records"]}
        self.assertEqual(ours, theirs)
        again = other.ask("import", str(file))["import"]
        self.assertEqual(again["unchanged"], 2)

    def test_what_was_exported_is_nothing_new_where_it_came_from(self):
        self.hub.ask("import", str(ROOT / "data" / "intmk-demo.jsonl"))
        entries = self.hub.ask("status")["counts"]["entries"]
        file = self.home / "export.jsonl"
        self.hub.ask("export", "--with-own", "-o", str(file))
        again = self.hub.ask("import", str(file))["import"]
        self.assertEqual((again["created"], again["changed"]), (0, 0))
        self.assertEqual(self.hub.ask("status")["counts"]["entries"], entries)
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)

    def test_an_export_keeps_to_its_audiences(self):
        secret = self.hub.ask("add", "event", "--audience", "land:NI", "title=Nur für uns",
                              "when.start=2025-01-01")["record"]["id"]
        self.hub.ask("import", "-", text=HEADER + event("a"))
        done = self.hub.run("export")
        self.assertNotIn("Nur für uns", done.stdout)
        self.assertIn('"audience":"laender"', done.stdout)
        file = self.home / "own.jsonl"
        done = self.hub.ask("export", "--with-own", "-o", str(file))
        self.assertEqual((done["records"], done["left_out"]), (2, 0))
        # In another Land's hands it becomes nobody's: that audience is not there.
        other = self.found("BY")
        refusal = other.refused("import", str(file))
        self.assertIn("land:NI", refusal["message"])
        self.assertIn("line ", refusal["message"])
        self.assertEqual(other.ask("list")["total"], 0)
        self.hub.ask("import", str(file))
        self.assertEqual(self.hub.ask("show", secret)["record"]["audience"], "land:NI")

    def test_what_the_store_refuses_of_an_import_names_its_line_and_a_check_finds_it_too(self):
        member = self.join(self.hub, "NW")
        # The outcome is the chair's to write.
        text = HEADER + event("a") + json.dumps({"kind": "resolution", "key": "r", "title": "Beschluss",
                                                 "outcome": "angenommen"}) + "\n"
        for check in ([], ["--check"]):
            refusal = member.refused("import", *check, "-", text=text)
            self.assertIn("line 3", refusal["message"])
            self.assertEqual(member.ask("list")["total"], 0)
        self.hub.ask("import", "--check", "-", text=text)
        self.assertEqual(self.hub.ask("list")["total"], 0)

    def test_a_line_of_two_gigabytes_is_refused_without_being_read(self):
        begin = time.monotonic()
        process = subprocess.Popen([binaries() / "staffel", "--lang", "en", "--node", self.hub.data, "import", "-"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        written = 0

        def feed():
            nonlocal written
            piece = b"a" * 65536
            try:
                process.stdin.write(HEADER.encode())
                while written < 2 << 30:
                    process.stdin.write(piece)
                    written += len(piece)
                process.stdin.close()
            except OSError:
                pass  # it has stopped listening, as it should
        feeder = threading.Thread(target=feed)
        feeder.start()
        error = process.stderr.read().decode()
        self.assertEqual(process.wait(timeout=60), 1)
        feeder.join()
        try:
            process.stdin.close()
        except OSError:
            pass  # what was left in the pipe has no reader
        process.stdout.close()
        process.stderr.close()
        self.assertIn("line 2", error)
        self.assertLess(written, 16 << 20)
        self.assertLess(time.monotonic() - begin, 60)
        self.assertEqual(self.total(), 0)

    def test_a_sparse_file_of_two_gigabytes_is_refused_too(self):
        file = self.home / "zeros.jsonl"
        with open(file, "wb") as out:
            out.write(HEADER.encode())
            out.truncate(2 << 30)
        self.assertIn("line 2", self.hub.refused("import", str(file))["message"])
        self.assertEqual(self.total(), 0)


class CommandTest(NodesTest):
    def setUp(self):
        super().setUp()
        self.hub = self.found()

    def test_exit_codes_tell_refusals_from_wrong_usage(self):
        self.assertEqual(self.hub.run("list").returncode, 0)
        self.assertEqual(self.hub.run("show", "0123456789abcdef").returncode, 1)
        self.assertEqual(self.hub.run("show").returncode, 2)
        self.assertEqual(self.hub.run("nonsense").returncode, 2)
        self.assertEqual(self.hub.run("list", "--nonsense").returncode, 2)
        self.assertEqual(self.hub.run("--help").returncode, 0)
        self.assertEqual(self.hub.run("conflicts", "take", "--help").returncode, 0)

    def test_bad_values_are_refused_with_the_field(self):
        for fields, parts in ((["titel=x"], ["titel", "title"]), (["title=x", "when.start=2025-02-30"], ["when.start"]),
                              (["title=x", "when.zone=Mars/Olympus", "when.start=2025-05-01T10:00"], ["Mars/Olympus"]),
                              (["title=VS-NfD geheim", "when.start=2025-05-01"], ["VS-NfD"])):
            message = self.hub.refused("add", "event", *fields)["message"]
            for part in parts:
                self.assertIn(part, message)
        self.assertEqual(self.hub.ask("list")["total"], 0)

    def test_a_stale_version_is_refused(self):
        record = self.hub.ask("add", "event", "title=Eins", "when.start=2025-05-01")["record"]
        self.hub.ask("set", record["id"], "title=Zwei", "--if-version", record["version"])
        refusal = self.hub.refused("set", record["id"], "title=Drei", "--if-version", record["version"])
        self.assertEqual(refusal["code"], "conflict")
        self.assertEqual(self.hub.ask("show", record["id"])["record"]["title"], "Zwei")

    def test_delete_and_restore(self):
        record = self.hub.ask("add", "event", "title=Eins", "when.start=2025-05-01")["record"]
        self.assertTrue(self.hub.ask("delete", record["id"])["record"]["deleted"])
        self.assertEqual(self.hub.ask("list", "event")["total"], 0)
        self.assertEqual(self.hub.ask("list", "event", "--deleted")["total"], 1)
        self.assertFalse(self.hub.ask("restore", record["id"])["record"]["deleted"])
        self.assertEqual(self.hub.ask("list", "event")["total"], 1)

    def test_deleted_beside_edited_is_a_conflict_that_a_person_decides(self):
        member = self.join(self.hub, "NW")
        record = self.hub.ask("add", "event", "title=Eins", "when.start=2025-05-01")["record"]["id"]
        self.in_step(self.hub, member)
        self.hub.stop()
        member.ask("set", record, "title=Von NW")
        member.stop()
        self.hub.start()
        self.hub.ask("delete", record)
        member.start()
        self.in_step(self.hub, member)
        for node in (self.hub, member):
            conflicts = node.ask("conflicts", "list")["conflicts"]
            self.assertEqual(len(conflicts), 1)
            self.assertTrue(conflicts[0]["deleted_beside_edited"])
            self.assertFalse(node.ask("show", record)["record"]["deleted"])
        member.ask("conflicts", "take", record, conflicts[0]["path"], "--from", "NW",
                   "--if-version", conflicts[0]["version"])
        self.in_step(self.hub, member)
        self.assertEqual(self.hub.ask("show", record)["record"]["conflicts"], 0)
        self.assertEqual(self.hub.ask("show", record)["record"]["title"], "Von NW")

    def conflicts(self, node, record):
        return node.ask("conflicts", "show", record)["conflicts"]

    def disagree(self, record, *edits):
        """Each edits apart, (node, command and its arguments) at a time, then all meet."""
        nodes = list(dict.fromkeys(node for node, *_ in edits))
        for node in nodes:
            node.stop()
        for node in nodes:
            node.start()
            for one, command, *arguments in edits:
                if one is node:
                    node.ask(command, record, *arguments)
            node.stop()
        for node in nodes:
            node.start()
        self.in_step(*nodes)

    def two_texts_beside_a_deletion(self):
        other = self.join(self.hub, "NW")
        record = self.hub.ask("add", "resolution", "title=Eins", "items+=a", "items+=b")["record"]["id"]
        self.in_step(self.hub, other)
        self.disagree(record, (self.hub, "set", "items.2.text=Von NI"), (self.hub, "set", "title=Anders"),
                      (other, "set", "items.2.text=Von NW"), (other, "delete"))
        kinds = [(conflict["path"], conflict["deleted_beside_edited"]) for conflict in self.conflicts(self.hub, record)]
        self.assertEqual(sorted(kinds), [("items.2.text", False), ("items.2.text", True), ("title", True)])
        return record, other

    def head(self, record, path, beside, deletes):
        conflict, = (one for one in self.conflicts(self.hub, record)
                     if one["path"] == path and one["deleted_beside_edited"] == beside)
        head, = (one for one in conflict["heads"] if one["deletes"] == deletes and one["member"] == "NW")
        return head["entry"][:12], conflict["version"]

    def test_two_texts_beside_a_deletion_are_decided_text_by_text_and_then_the_deletion(self):
        record, other = self.two_texts_beside_a_deletion()
        entry, version = self.head(record, "items.2.text", False, False)
        # NW wrote a text and deleted: its name alone is not enough, and the refusal says what is.
        refusal = self.hub.refused("conflicts", "take", record, "items.2.text", "--from", "NW", "--if-version", version)
        self.assertIn(entry, refusal["message"])
        shown = self.hub.run("conflicts", "show", record).stdout
        self.assertIn("deletes the whole record; undecided in it besides: 2 conflicts", shown)
        command, = {line.split("staffel ", 1)[1] for line in shown.splitlines() if f"--from {entry} " in line
                    and "items.2.text" in line}
        done = self.hub.run(*command.split())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("deleted", done.stdout)
        self.assertEqual({one["path"] for one in self.conflicts(self.hub, record)}, {"items.2.text", "title"})
        kept, version = self.hub.ask("show", record)["record"]["fields"]["items"][1]["text"], None
        self.assertEqual(kept, "Von NW")
        conflict = next(one for one in self.conflicts(self.hub, record) if one["path"] == "items.2.text")
        kept, = (head for head in conflict["heads"] if not head["deletes"])
        self.hub.ask("conflicts", "take", record, "items.2.text", "--from", kept["entry"], "--if-version",
                     conflict["version"])
        self.in_step(self.hub, other)
        for node in (self.hub, other):
            self.assertEqual(self.conflicts(node, record), [])
            self.assertFalse(node.ask("show", record)["record"]["deleted"])

    def test_writing_beside_a_deletion_decides_between_the_texts(self):
        record, other = self.two_texts_beside_a_deletion()
        _, version = self.head(record, "items.2.text", False, False)
        self.hub.ask("conflicts", "write", record, "items.2.text", "Von beiden", "--if-version", version)
        self.assertEqual([one["deleted_beside_edited"] for one in self.conflicts(self.hub, record)], [True, True])

    def test_taking_a_deletion_says_that_it_takes_the_whole_record(self):
        record, other = self.two_texts_beside_a_deletion()
        entry, version = self.head(record, "title", True, True)
        done = self.hub.run("conflicts", "take", record, "title", "--from", entry, "--if-version", version)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Deleted with it, undecided: 2 conflicts", done.stdout)
        self.assertIn("With that the whole record is deleted.", done.stdout)
        self.in_step(self.hub, other)
        for node in (self.hub, other):
            self.assertTrue(node.ask("show", record)["record"]["deleted"])
        self.hub.ask("restore", record)
        self.assertEqual([one["path"] for one in self.conflicts(self.hub, record)], ["items.2.text"])

    def test_a_deletion_and_its_being_taken_back_at_once_are_decided_either_way(self):
        other = self.join(self.hub, "NW")
        for deleted in (True, False):
            record = self.hub.ask("add", "event", "title=Eins", "when.start=2025-05-01")["record"]["id"]
            self.hub.ask("delete", record)
            self.in_step(self.hub, other)
            self.disagree(record, (self.hub, "restore"), (other, "restore"), (other, "delete"))
            conflict, = self.conflicts(self.hub, record)
            head = next(one for one in conflict["heads"] if one["deletes"] == deleted)
            self.hub.ask("conflicts", "take", record, conflict["path"], "--from", head["entry"], "--if-version",
                         conflict["version"])
            self.in_step(self.hub, other)
            self.assertEqual(self.conflicts(other, record), [])
            self.assertEqual(other.ask("show", record)["record"]["deleted"], deleted)

    def test_no_version_that_came_after_the_look_is_decided(self):
        other = self.join(self.hub, "NW")
        third = self.join(self.hub, "BY")
        record = self.hub.ask("add", "event", "title=Eins", "when.start=2025-05-01")["record"]["id"]
        self.in_step(self.hub, other, third)
        third.stop()
        self.disagree(record, (self.hub, "set", "title=Von NI"), (other, "set", "title=Von NW"))
        seen, = self.conflicts(self.hub, record)
        # A third version comes between the look and the decision.
        self.hub.stop()
        other.stop()
        third.start()
        third.ask("set", record, "title=Von BY")
        self.hub.start()
        other.start()
        self.in_step(self.hub, other, third)
        for decision in (("take", record, "title", "--from", "NW"), ("write", record, "title", "Von allen")):
            refusal = self.hub.refused("conflicts", *decision, "--if-version", seen["version"])
            self.assertEqual(refusal["code"], "conflict")
            self.assertIn("changed since you looked", refusal["message"])
            # Nor without saying what was seen.
            self.assertIn("--if-version", self.hub.refused("conflicts", *decision)["message"])
        now, = self.conflicts(self.hub, record)
        self.assertEqual(len(now["heads"]), 3)
        self.assertIn(f"--if-version {now['version']}", self.hub.run("conflicts", "show", record).stdout)
        # An edit of another field is not in the way.
        self.hub.ask("set", record, "description=Hannover")
        self.hub.ask("conflicts", "take", record, "title", "--from", "NW", "--if-version", now["version"])
        self.assertEqual(self.hub.ask("show", record)["record"]["title"], "Von NW")

    def test_ids_may_be_shortened_and_ambiguous_ones_are_listed(self):
        record = self.hub.ask("add", "event", "title=Eins", "when.start=2025-05-01")["record"]
        self.assertEqual(self.hub.ask("show", record["id"][:8])["record"]["id"], record["id"])
        self.assertEqual(self.hub.ask("show", record["id"][:8].upper())["record"]["id"], record["id"])
        self.assertEqual(self.hub.refused("show", "zz")["code"], "invalid")
        # Among a thousand ids two begin with the same four digits, all but certainly.
        self.hub.ask("import", "-", text=HEADER + "".join(event(f"k{number}") for number in range(1000)))
        ids = sorted(record["id"] for record in self.hub.ask("list", "event")["records"])
        twins = next((a, b) for a, b in zip(ids, ids[1:]) if a[:4] == b[:4])
        refusal = self.hub.refused("show", twins[0][:4])
        self.assertEqual(refusal["code"], "invalid")
        self.assertTrue(set(twins) <= {candidate["id"] for candidate in refusal["candidates"]})

    def test_search_finds_parts_of_words_without_accents(self):
        self.hub.ask("add", "person", "name=Ceyda Şahin-Beispiel")
        for query in ("sahin", "Şahin", "beispiel", "CEYDA sahin"):
            hits = self.hub.ask("search", query)["hits"]
            self.assertEqual([hit["record"]["title"] for hit in hits], ["Ceyda Şahin-Beispiel"], query)
        self.assertEqual(self.hub.ask("search", "Musterfrau")["hits"], [])


class SocketTest(NodesTest):
    def test_the_socket_takes_nonsense_and_lives(self):
        hub = self.found()
        post = b"POST /admin/v1/%s HTTP/1.1\r\nHost: x\r\n"
        for payload in (b"", b"\r\n\r\n", os.urandom(3000), b"GET /admin/v1/Status HTTP/1.1\r\nHost: x\r\n\r\n",
                        post % b"Status" + b"Content-Length: -1\r\n\r\n",
                        post % b"Status" + b"Content-Length: 999999999999\r\n\r\n",
                        post % b"Status" + b"Content-Length: 5\r\n\r\nab",
                        post % b"Set" + b"Content-Length: 6\r\n\r\n\xff\xff\xff\xff\xff\xff",
                        post % b"../../etc/passwd" + b"Content-Length: 0\r\n\r\n",
                        post % b"Nothing" + b"Content-Length: 0\r\n\r\n",
                        b"POST /" + b"a" * 100_000):
            answer = hub.socket(payload)
            self.assertNotIn(b"HTTP/1.1 5", answer[:12])
            self.assertEqual(hub.run("status").returncode, 0)
        for method in ("Status", "List", "Show", "Add", "Set", "Delete", "Restore", "Search", "Conflicts", "Decide", "Log",
                       "Found", "Invite", "Join", "Approve", "ImportLines", "ImportApply", "JobState", "Export"):
            for body in (b"\xff", os.urandom(50), b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x04\xff\xfe\xfd\xfc"):
                status, _ = hub.admin(method, body)
                self.assertNotEqual(status, 500, (method, body))
                self.assertNotEqual(status, 0, (method, body))
        hub.ask("add", "event", "title=Lebt", "when.start=2025-05-01")


if __name__ == "__main__":
    unittest.main()
