# SPDX-License-Identifier: EUPL-1.2
"""What a person at the command line sees: in German and English, found again, refused with the reason, on a
terminal and in a pipe."""
import json
import os
import pty
import re
import subprocess
import unittest

from support import WAIT_SECONDS, NodesTest, binaries, until

HEADER = '{"staffel": "import", "version": 1, "dataset": "people"}\n'
NOTICE = "Demodaten – keine tatsächlichen Beschlüsse"


class PeopleCommandsTest(NodesTest):
    def setUp(self):
        super().setUp()
        self.hub = self.found()

    def found(self, land="NI", *options):
        hub = self.node(land, listen=True).start()
        lands = [part for one in ("NI", "NW", "BY", "HE") for part in ("--land", f"{one}=Land {one}")]
        hub.ask("found", "Test", "--as", land, *lands, *options)
        return hub

    def speak(self, node, language, *arguments, text=None):
        """A run in this language: (exit code, standard output, standard error)."""
        done = subprocess.run([binaries() / "staffel", "--lang", language, "--node", node.data, *arguments],
                              capture_output=True, input=text, text=True, timeout=WAIT_SECONDS, check=False)
        return done.returncode, done.stdout, done.stderr

    def said(self, language, *arguments, text=None):
        code, out, error = self.speak(self.hub, language, *arguments, text=text)
        self.assertEqual(code, 0, error)
        return out

    def refusal(self, language, *arguments, node=None):
        code, _, error = self.speak(node or self.hub, language, *arguments)
        self.assertEqual(code, 1, (arguments, error))
        self.assertTrue(error.startswith("staffel: "), error)
        return error

    def add(self, kind, *fields):
        return self.hub.ask("add", kind, *fields)["record"]["id"]

    def add_event(self, title="Frist", *fields):
        return self.add("event", f"title={title}", "when.start=2025-05-01", *fields)

    # ---- what is found and shown

    def test_search_takes_umlauts_as_people_write_them_and_shows_what_was_written(self):
        self.add("person", "name=Karl-Heinz Beispiel-Müller")
        self.add("resolution", "title=Fachkräfteeinwanderung", "number=2.3", "items+=Die Länder bekräftigen ihr Ziel.")
        for query, title in (("mueller", "Karl-Heinz Beispiel-Müller"), ("Müller", "Karl-Heinz Beispiel-Müller"),
                             ("kraefte", "TOP 2.3 Fachkräfteeinwanderung"), ("TOP 2.3", "TOP 2.3 Fachkräfteeinwanderung")):
            hits = self.hub.ask("search", query)["hits"]
            self.assertEqual([hit["record"]["title"] for hit in hits], [title], query)
        hit, = self.hub.ask("search", "bekraeftigen")["hits"]
        self.assertIn("Die Länder bekräftigen ihr Ziel.", hit["snippet"])

    def test_times_are_said_as_people_read_them_and_programs_get_them_as_stored(self):
        record = self.add("event", "title=Frist", "when.start=2025-01-22T24:00", "when.zone=Europe/Berlin")
        self.assertIn("22.01.2025, 24 Uhr", self.said("de", "show", record))
        self.assertIn("22.01.2025, 24 Uhr", self.said("de", "list", "event"))
        self.assertIn("22 Jan 2025, 24:00", self.said("en", "list", "event"))
        self.assertEqual(self.hub.ask("show", record)["record"]["fields"]["when"]["start"], "2025-01-22T24:00")
        ballot = self.add("ballot", "title=Umlauf", "conditions.closes_ms=2025-06-13T12:00+02:00")
        self.assertIn("13.06.2025, 12:00 Uhr", self.said("de", "show", ballot))
        self.assertEqual(self.hub.ask("show", ballot)["record"]["fields"]["conditions"]["closes_ms"],
                         "2025-06-13T10:00:00Z")

    def test_values_are_said_in_the_language_of_the_run(self):
        record = self.add("resolution", "title=Beschluss", "stage=final", "release.decision=ja")
        german, english = self.said("de", "show", record), self.said("en", "show", record)
        self.assertRegex(german, r"Stand +Endfassung")
        self.assertRegex(english, r"Stage +final")
        self.assertNotIn("Endfassung", english)
        self.assertRegex(self.said("en", "log", record), r"Stage +final")

    def test_long_labels_leave_the_values_in_their_column(self):
        record = self.add("resolution", "title=Beschluss", "release.decision=ja")
        lines = self.said("de", "show", record).splitlines()
        columns = {line.index(value) for line in lines for label, value in
                   (("Titel", "Beschluss"), ("Freigabe zur Veröffentlichung", "ja")) if line.startswith(label)}
        self.assertEqual(len(columns), 1, lines)

    def test_the_demo_notice_stands_over_everything_that_shows_records(self):
        demo = self.found("BY", "--demonstration")
        record = demo.ask("add", "event", "title=Frist", "when.start=2025-05-01")["record"]["id"]
        for command in (("list", "event"), ("show", record), ("search", "Frist"), ("log", record), ("conflicts", "list"),
                        ("status",)):
            self.assertTrue(self.speak(demo, "de", *command)[1].startswith(NOTICE), command)
        self.assertNotIn(NOTICE, self.said("de", "list"))

    def test_the_history_is_in_the_record_s_order_names_what_it_refers_to_and_says_what_moved(self):
        meeting = self.add("meeting", "title=Hauptkonferenz")
        record = self.add("resolution", "title=Beschluss", f"meeting={meeting}",
                          *(f"items+=Ziffer Nummer {i}" for i in range(1, 7)))
        self.hub.ask("set", record, "--from", "-",
                     text=json.dumps({"items": {"move": [{"item": "6", "before": "1"}]}}))
        text = self.said("de", "log", record)
        self.assertRegex(text, rf"Sitzung +{meeting[:8]} Hauptkonferenz")
        numbers = [int(number) for number in re.findall(r"Text +Ziffer Nummer (\d)", text)]
        self.assertEqual(numbers, [6, 1, 2, 3, 4, 5], text)  # the record's order as it is now
        self.assertRegex(text, r"Reihenfolge +verschoben")
        self.assertNotRegex(text, r"Reihenfolge +[0-9A-Za-z]{1,3}$")
        self.assertRegex(text, r"aus Journal [0-9a-f]{12} Nr\. \d")
        self.assertRegex(self.said("en", "log", record), r"of journal [0-9a-f]{12} no\. \d")

    def test_the_history_tells_deletion_from_restoring(self):
        record = self.add_event()
        self.hub.ask("delete", record)
        self.hub.ask("restore", record)
        text = self.said("de", "log", record)
        self.assertRegex(text, r"Datensatz +gelöscht\n")
        self.assertRegex(text, r"Datensatz +wiederhergestellt\n")
        self.assertNotIn("gelöscht  →", text)

    # ---- help and usage

    def test_help_is_german_throughout_and_its_columns_stand(self):
        text = self.said("de", "set", "--help")
        for word in ("Options", "Positionals", "Excludes", "Subcommands", "REQUIRED"):
            self.assertNotIn(word, text)
        self.assertIn("Befehle:", self.said("de", "--help"))
        self.assertIn("nicht mit", self.said("de", "invite", "--help"))
        columns = {line.index(words) for line in text.splitlines() for words in ("Kennung, gekürzt", "Felder als JSON")
                   if words in line}
        self.assertEqual(len(columns), 1, text)
        daemon = subprocess.run([binaries() / "staffeld", "--help"], capture_output=True, text=True, check=True,
                                env={"LANG": "de_DE.UTF-8"}).stdout
        self.assertIn("Konfiguration", daemon)
        self.assertIn("configuration", subprocess.run([binaries() / "staffeld", "--help"], capture_output=True, text=True,
                                                      check=True, env={"LANG": "en_GB.UTF-8"}).stdout)

    def test_kinds_are_described_in_both_languages_and_fit_a_page(self):
        german, english = self.said("de", "kinds", "event"), self.said("en", "kinds", "event")
        self.assertIn("eines von: Termin, Frist, Übergabe", german)
        self.assertIn("one of: Termin, Frist, Übergabe", english)
        self.assertRegex(german, r"title +Titel +Wert +Zeile \(nötig\) +alle")
        for arguments in (("kinds",), ("kinds", "resolution")):
            self.assertLessEqual(max(map(len, self.said("de", *arguments).splitlines())), 100)
        self.assertEqual(len(self.hub.ask("kinds")["kinds"]), 12)
        self.assertIn("sitzung", self.refusal("de", "kinds", "sitzung"))

    def test_wrong_usage_names_what_was_wrong_in_both_languages_and_as_json(self):
        for arguments, german, english in (
                (("nonsense",), "„nonsense“ ist kein Befehl", "'nonsense' is no command"),
                (("conflicts", "nonsense"), "„nonsense“ ist kein Befehl von staffel conflicts", "staffel conflicts"),
                (("nonsense", "--help"), "„nonsense“ ist kein Befehl", "'nonsense' is no command"),
                (("conflicts", "nonsense", "-h"), "„nonsense“ ist kein Befehl von staffel conflicts", "staffel conflicts"),
                ((), "es fehlt der Befehl", "the command is missing"),
                (("show",), "id fehlt", "id is required"),
                (("list", "--nonsense"), "nicht erwartet: --nonsense", "--nonsense"),
                (("list", "--limit", "0"), "liegt nicht zwischen", "not in range"),
                (("set", "0123"), "fehlt", "is required")):
            for language, part in (("de", german), ("en", english)):
                code, out, error = self.speak(self.hub, language, *arguments)
                self.assertEqual((code, out), (2, ""), arguments)
                self.assertTrue(error.startswith("staffel: "), error)
                self.assertIn(part, error)
            code, _, error = self.speak(self.hub, "de", "--json", *arguments)
            self.assertEqual((code, json.loads(error)["code"]), (2, "usage"))
            self.assertIn(english, json.loads(error)["message"])

    def read_no_further(self, *arguments, through=None):
        """What a run says about input without end, whose writer must see that nobody reads on."""
        process = subprocess.Popen([binaries() / "staffel", "--lang", "en", "--node", self.hub.data, *arguments],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.kill)
        with self.assertRaises(BrokenPipeError):
            with open(through or process.stdin.fileno(), "wb", buffering=0, closefd=through is not None) as pipe:
                for _ in range(256):
                    pipe.write(b"x" * (1 << 20))
        error = process.stderr.read().decode()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()
        self.assertEqual(process.wait(WAIT_SECONDS), 1)
        return error

    def test_input_without_end_is_read_to_its_limit_and_no_further(self):
        self.assertIn("hand in only the invitation", self.read_no_further("join", "-"))
        pipe = self.home / "recovery.key"
        os.mkfifo(pipe)
        self.assertIn("too large", self.read_no_further("approve", "abcdef", "--recovery-key", str(pipe), through=pipe))

    def test_an_argument_that_is_no_utf_8_is_named(self):
        done = subprocess.run([binaries() / "staffel", "--lang", "en", "--node", self.hub.data, "add", "event",
                               b"title=\xff\xfe"], capture_output=True, check=False, timeout=WAIT_SECONDS)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"argument 7", done.stderr)
        self.assertIn(b"UTF-8", done.stderr)
        self.assertNotIn(b"libprotobuf", done.stderr)
        code, _, error = self.speak(self.hub, "en", "search", "x" * 10)
        self.assertEqual(code, 0, error)

    def test_fields_from_what_is_no_file_of_fields_are_refused(self):
        empty = self.home / "empty.json"
        empty.write_text(" \n")
        self.assertIn("is a directory", self.refusal("en", "add", "event", "--from", str(self.home)))
        self.assertIn("is empty", self.refusal("en", "add", "event", "--from", "/dev/null"))
        self.assertIn("is empty", self.refusal("en", "add", "event", "--from", str(empty)))
        self.assertIn("ist leer", self.refusal("de", "add", "event", "--from", str(empty)))
        self.assertIn("cannot be read", self.refusal("en", "add", "event", "--from", str(self.home / "nothing")))
        self.assertEqual(self.hub.ask("list")["total"], 0)

    # ---- refusals

    def test_refusals_are_german_under_lang_de_and_english_under_lang_en(self):
        record = self.add_event()
        for arguments, german, english in (
                (("show", "zzzz"), "„zzzz“ ist keine Kennung", "is no id"),
                (("add", "event", "titel=x"), "Feld „titel“: ein Datensatz der Art event hat kein solches Feld", "no such field"),
                (("set", record, "when.start=2025-02-30"), "kein wirkliches Datum", "no real date"),
                (("list", "nonsense"), "eine Art „nonsense“ gibt es nicht", "no record kind"),
                (("approve", "XY"), "wartet keine Änderung", "no change waits"),
                (("conflicts", "take", record, "title", "--from", "NW"), "hat dieser Datensatz keinen Konflikt", "no conflict")):
            self.assertIn(german, self.refusal("de", *arguments))
            self.assertIn(english, self.refusal("en", *arguments))
        # Programs get one language, whatever the person's is.
        code, _, error = self.speak(self.hub, "de", "--json", "show", "zzzz")
        self.assertEqual(code, 1)
        self.assertIn("is no id", json.loads(error)["message"])
        stopped = self.hub
        stopped.stop()
        self.assertIn("antwortet kein staffeld", self.refusal("de", "status"))

    def test_unknown_members_are_refused_naming_the_known_ones(self):
        message = self.refusal("en", "add", "event", "title=x", "when.start=2025-05-01", "responsible=ZZ")
        for part in ("responsible", "'ZZ'", "NI, NW, BY, HE"):
            self.assertIn(part, message)
        record = self.add("resolution", "title=x", "originators=NI")
        self.assertIn("XX", self.refusal("en", "set", record, "originators+=XX"))
        self.assertEqual(self.hub.ask("show", record)["record"]["fields"]["originators"], ["NI"])

    def test_references_that_lead_nowhere_or_to_another_kind_are_refused(self):
        meeting = self.add("meeting", "title=Sitzung")
        self.assertIn("is not here", self.refusal("en", "add", "note", "text=x", "about=" + "0123456789abcdef" * 2))
        for name in (meeting, meeting[:8]):
            message = self.refusal("en", "add", "resolution", "title=x", f"agenda_item={name}")
            self.assertIn("is of kind meeting, not agenda-item", message)
            self.assertIn("agenda_item", message)
        self.hub.ask("add", "note", "text=x", f"about={meeting}")

    def test_whoever_is_named_as_author_must_be_a_person(self):
        person = self.add("person", "name=Ada Beispiel")
        meeting = self.add("meeting", "title=Sitzung")
        for name in (meeting, meeting[:8]):
            self.assertIn("is of kind meeting, not person", self.refusal("en", "add", "note", "text=x", "--author", name))
        note = self.hub.ask("add", "note", "text=x", "--author", person[:8])["record"]["id"]
        self.assertEqual(self.hub.ask("log", note)["items"][0]["author"], "Ada Beispiel")
        self.assertIn(", Ada Beispiel  ", self.said("de", "log", note))

    def test_a_deleted_record_is_restored_before_it_is_changed(self):
        record = self.add_event()
        self.hub.ask("delete", record)
        message = self.refusal("en", "set", record, "title=neu")
        self.assertIn(f"restore it first (staffel restore {record[:8]})", message)
        self.assertEqual(self.hub.ask("conflicts", "list")["total"], 0)
        self.hub.ask("restore", record)
        self.assertEqual(self.hub.ask("set", record, "title=neu")["record"]["title"], "neu")

    def test_a_change_to_what_stands_already_writes_nothing(self):
        record = self.add_event("Frist", "responsible=NI")
        entries = self.hub.ask("status")["counts"]["entries"]
        for fields in (["title=Frist"], ["title=Frist", "when.start=2025-05-01"], ["responsible+=NI"], ["description="]):
            reply = self.hub.ask("set", record, *fields)
            self.assertTrue(reply["unchanged"], fields)
        self.assertEqual(self.hub.ask("status")["counts"]["entries"], entries)
        self.assertIn("stand schon so da", self.said("de", "set", record, "title=Frist"))
        self.assertFalse(self.hub.ask("set", record, "title=Frist", "description=neu")["unchanged"])
        change, = self.hub.ask("log", record)["items"][-1]["changes"]
        self.assertEqual(change["path"], "description")

    def test_agenda_numbers_events_and_names_are_checked(self):
        self.assertIn("no agenda number", self.refusal("en", "add", "resolution", "title=x", "number=abc"))
        self.hub.ask("add", "resolution", "title=x", "number=2.4a")
        self.assertIn("'when'", self.refusal("en", "add", "event", "title=ohne Zeit"))
        node = self.node("HE", listen=True).start()
        for name, title, land in (("VS-NfD Runde", "x", "HE"), ("Runde", "VS – Nur für den Dienstgebrauch", "HE"),
                                  ("Runde", "x", "HE=Geheim: VS-NfD")):
            message = self.refusal("en", "found", name, "--title", title, "--as", "HE", "--land", land, node=node)
            self.assertIn("not approved for classified information", message)
        self.assertEqual(node.ask("status")["state"], "unfounded")

    def test_an_amendment_is_written_by_its_member_alone(self):
        member = self.join(self.hub, "NW")
        resolution = self.add("resolution", "title=Beschluss")
        self.in_step(self.hub, member)
        fields = (f"resolution={resolution}", "title=Ziffer 2 streichen")
        message = self.refusal("en", "add", "amendment", "member=BY", *fields, node=member)
        self.assertIn("BY writes it at its node, not NW", message)
        amendment = member.ask("add", "amendment", "member=NW", *fields)["record"]["id"]
        self.in_step(self.hub, member)
        self.assertIn("NW writes it at its node, not NI", self.refusal("en", "set", amendment, "title=anders"))
        self.assertIn("NW writes it at its node, not NI", self.refusal("en", "delete", amendment))
        # Supporting it, and the chair's own field, are not the amendment's text.
        self.hub.ask("set", amendment, "supporters+=NI", "outcome=angenommen")
        # For a Land without a node the chair's office writes.
        self.hub.ask("add", "amendment", "member=BY", *fields)

    def test_a_field_of_the_chair_is_named_where_another_node_writes_it(self):
        member = self.join(self.hub, "NW")
        record = self.add("resolution", "title=Beschluss")
        self.in_step(self.hub, member)
        message = self.refusal("en", "set", record, "outcome=angenommen", node=member)
        self.assertIn("field 'outcome': only the node of the chair (NI) writes it", message)
        self.assertIn("Feld „outcome“: das schreibt nur der Knoten des Vorsitzes (NI)",
                      self.refusal("de", "set", record, "outcome=angenommen", node=member))

    # ---- conflicts and exchange

    def conflict(self, member):
        """A conflict of titles between NI and NW."""
        record = self.add_event("Vorher")
        self.in_step(self.hub, member)
        self.hub.stop()
        member.ask("set", record, "title=Von NW")
        member.stop()
        self.hub.start()
        self.hub.ask("set", record, "title=Von NI")
        member.start()
        self.in_step(self.hub, member)
        until(lambda: self.hub.ask("conflicts", "list")["conflicts"], "the conflict is there")
        return record

    def test_a_conflict_is_decided_by_writing_another_text_and_the_history_says_from_what(self):
        member = self.join(self.hub, "NW")
        record = self.conflict(member)
        message = self.refusal("en", "set", record, "title=drüber")
        self.assertIn("field 'title': there are 2 competing values", message)
        seen = ("--if-version", self.hub.ask("conflicts", "list")["conflicts"][0]["version"])
        self.assertIn("'title': must not be empty", self.refusal("en", "conflicts", "write", record, "title", "", *seen))
        self.assertEqual(len(self.hub.ask("conflicts", "list")["conflicts"]), 1)
        out = self.said("de", "conflicts", "write", record, "title", "Von beiden", *seen)
        self.assertIn("Entschieden", out)
        self.assertEqual(self.hub.ask("conflicts", "list")["conflicts"], [])
        self.assertEqual(self.hub.ask("show", record)["record"]["title"], "Von beiden")
        change, = self.hub.ask("log", record)["items"][-1]["changes"]
        self.assertEqual(set(change["before"].split(" / ")), {"Von NI", "Von NW"})
        self.assertRegex(self.said("de", "log", record), r"Von N[IW] / Von N[IW]  →  Von beiden")
        self.in_step(self.hub, member)
        self.assertEqual(member.ask("show", record)["record"]["title"], "Von beiden")

    def test_whoever_deletes_a_record_in_conflict_is_told(self):
        member = self.join(self.hub, "NW")
        record = self.conflict(member)
        out = self.said("de", "delete", record)
        self.assertIn("Unentschieden mit gelöscht: 1 Konflikt;", out)
        self.assertIn(f"staffel restore {record[:8]}", out)

    def test_sync_waits_until_both_are_in_step(self):
        member = self.join(self.hub, "NW")
        record = self.add_event()
        self.assertIn("Im Gleichstand", self.speak(member, "de", "sync")[1])
        self.assertEqual(member.ask("show", record)["record"]["title"], "Frist")
        self.hub.stop()
        code, _, error = self.speak(member, "de", "sync", "--wait", "30")
        self.assertEqual(code, 1)
        self.assertIn("keine Verbindung", error)

    def test_long_work_shows_a_bar_on_a_terminal_and_none_in_a_pipe(self):
        lines = HEADER + "".join(
            json.dumps({"kind": "event", "key": f"k{i}", "title": f"Termin {i}", "when": {"start": "2025-05-01"}}) + "\n"
            for i in range(2000))
        file = self.home / "many.jsonl"
        file.write_text(lines, encoding="utf-8")
        command = [binaries() / "staffel", "--lang", "de", "--node", self.hub.data, "import", file]
        ours, theirs = pty.openpty()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs) as process:
            os.close(theirs)
            drawn = b""
            while True:
                try:
                    piece = os.read(ours, 4096)
                except OSError:
                    break  # the terminal ends with its last user
                if not piece:
                    break
                drawn += piece
            process.communicate(timeout=WAIT_SECONDS)
        os.close(ours)
        self.assertEqual(process.returncode, 0)
        self.assertIn("█".encode(), drawn)
        self.assertIn(b"%", drawn)
        self.assertTrue(drawn.endswith(b"\r\x1b[K"), drawn[-40:])
        piped = subprocess.run(command, capture_output=True, check=True, timeout=WAIT_SECONDS)
        self.assertEqual(piped.stderr, b"")


if __name__ == "__main__":
    unittest.main()
