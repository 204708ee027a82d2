# SPDX-License-Identifier: EUPL-1.2
"""Audiences between real processes: a guest's node sees what was released and not a byte besides; a group
with a confidential name; releases again, and taken back."""
import unittest

from support import LAENDER, NodesTest, until

MARK = "MARKEINNEN"


class AudiencesTest(NodesTest):
    def found_with_guest(self):
        hub = self.node("NI", listen=True).start()
        members = [part for land in ("NI", "NW") for part in ("--land", f"{land}={LAENDER[land]}")]
        hub.ask("found", "Test", "--as", "NI", *members, "--guest", "BUND=Bund")
        return hub

    def all_bytes(self, node):
        """Every file of a node: database, log of the database, log of the daemon."""
        node.stop()
        found = b"".join(path.read_bytes() for path in sorted(node.directory.rglob("*")) if path.is_file())
        node.start()
        return found

    def names(self, node):
        return {audience["name"] for audience in node.ask("status")["audiences"]}

    def test_a_guest_that_nobody_thought_of_at_the_founding_is_admitted_and_joins(self):
        hub = self.found("NI")
        nw = self.join(hub, "NW")
        hub.ask("add", "note", f"title={MARK} vor der Zeit", "text=nie")
        self.assertEqual(hub.refused("charter", "admit", "NW=Nochmal")["code"], "exists")
        self.assertEqual(hub.refused("charter", "admit", "zu lang für eine Kennung=x")["code"], "invalid")
        self.assertEqual(hub.refused("invite", "SSW")["code"], "not-found")
        waiting = hub.ask("charter", "admit", "SSW=Beobachter der Minderheiten")
        self.assertEqual(waiting["in_force"], 0)  # the chair alone takes nobody into an audience
        def approved():
            proposals = nw.ask("waiting")["proposals"]
            return proposals and nw.ask("approve", proposals[0]["entry"])["in_force"] == 1
        until(approved, "NW approves")
        until(lambda: any(
            member["id"] == "SSW" for member in hub.ask("charter", "show")["members"]), "SSW is a member")
        guest = self.join(hub, "SSW")
        self.assertEqual(self.names(guest), {"land:SSW", "guests", "public"})
        released = hub.ask("add", "resolution", "title=Für Gäste", "items+=Eins", "originators+=NI")["record"]["id"]
        hub.ask("release", released, "--to", "guests")
        until(lambda: guest.run("show", released).returncode == 0, "the guest sees the release")
        self.assertNotIn(MARK.encode(), self.all_bytes(guest))

    def test_a_guest_sees_what_was_released_and_nothing_else(self):
        hub = self.found_with_guest()
        nw = self.join(hub, "NW")
        guest = self.join(hub, "BUND")
        self.assertEqual(self.names(guest), {"land:BUND", "guests", "public"})
        self.assertEqual(self.names(nw), {"land:NW", "laender", "guests", "public"})

        draft = hub.ask("add", "resolution", "title=Sprachförderung", f"reasons={MARK} Begründung", "items+=Eins",
                        f"list={MARK} Liste", "originators+=NI")["record"]["id"]
        hub.ask("set", draft, "title=Verlässliche Sprachförderung")
        hub.ask("add", "note", f"title={MARK} Kamingespräch", "text=nie")
        for number in range(10):
            nw.ask("add", "resolution", f"title={MARK} Entwurf {number}")
        self.in_step(hub, nw)
        self.assertEqual(guest.refused("show", draft)["code"], "not-found")

        trial = hub.ask("release", draft, "--to", "guests", "--dry-run")
        self.assertEqual(trial["released"][0]["record"]["audience"], "laender")
        self.assertIn("reasons", {left["field"] for left in trial["released"][0]["left_out"]})
        released = hub.ask("release", draft, "--to", "guests")
        self.assertEqual(released["released"][0]["record"]["audience"], "guests")
        until(lambda: guest.run("show", draft).returncode == 0, "the guest sees the release")
        seen = guest.ask("show", draft)
        self.assertEqual(seen["record"]["fields"]["title"], "Verlässliche Sprachförderung")
        self.assertNotIn("reasons", seen["record"]["fields"])
        self.assertEqual([one["state"] for one in seen["releases"]], ["received"])
        self.assertEqual(len(guest.ask("log", draft)["items"]), 1)
        self.assertEqual(guest.ask("status")["counts"]["records"], 1)
        self.assertEqual(guest.refused("set", draft, "title=Fremd")["code"], "denied")

        # Inside it goes on, and shows; outside nothing is seen of that, until it is released again.
        nw.ask("set", draft, "title=Neuer Titel")
        self.in_step(hub, nw)
        inside = hub.ask("show", draft)
        self.assertEqual(inside["record"]["audience"], "laender")
        self.assertEqual(inside["record"]["also_in"], ["guests"])
        self.assertEqual((inside["releases"][0]["state"], inside["releases"][0]["fields"]), ("differs", ["title"]))
        self.assertTrue(inside["releases"][0]["proven"])
        self.assertIn("differs from the current one", hub.run("show", draft).stdout)
        self.assertEqual(guest.ask("show", draft)["record"]["fields"]["title"], "Verlässliche Sprachförderung")
        nw.ask("release", draft, "--to", "guests")
        until(lambda: guest.ask("show", draft)["record"]["fields"]["title"] == "Neuer Titel", "released again")

        # In every list, by audience.
        self.assertEqual(len(hub.ask("list", "resolution", "--audience", "guests")["records"]), 1)
        self.assertEqual(len(hub.ask("list", "resolution", "--audience", "laender")["records"]), 11)
        self.assertEqual(len(hub.ask("search", MARK, "--audience", "guests")["hits"]), 0)
        self.assertEqual({hit["record"]["audience"] for hit in hub.ask("search", MARK)["hits"]},
                         {"laender", "land:NI"})

        hub.ask("withdraw", draft, "--from", "guests")
        until(lambda: guest.ask("list")["total"] == 0, "the release is taken back")
        states = {one["state"] for one in hub.ask("show", draft)["releases"]}
        self.assertEqual(states, {"withdrawn"})

        found = self.all_bytes(guest)
        self.assertIn("Neuer Titel".encode(), found)
        self.assertNotIn(MARK.encode(), found)
        self.assertNotIn(MARK.lower().encode(), found)
        for node in (hub, nw, guest):
            self.assert_sound(node)

    def test_what_may_not_be_named_is_refused_with_the_reason(self):
        hub = self.found_with_guest()
        inner = hub.ask("add", "meeting", "title=Runde", "--audience", "land:NI")["record"]["id"]
        refused = hub.refused("add", "resolution", "title=X", f"meeting={inner}")
        self.assertEqual(refused["code"], "denied")
        self.assertIn("land:NI", refused["message"])
        meeting = hub.ask("add", "meeting", "title=Hauptkonferenz")["record"]["id"]
        draft = hub.ask("add", "resolution", "title=X", f"meeting={meeting}")["record"]["id"]
        refused = hub.refused("release", draft, "--to", "guests")
        self.assertEqual(refused["code"], "denied")
        self.assertIn(meeting[:8], refused["message"])
        hub.ask("release", meeting, "--to", "guests")
        hub.ask("release", draft, "--to", "guests")
        self.assertEqual(hub.refused("release", draft, "--to", "public")["code"], "denied")
        hub.ask("set", draft, "release.decision=true")
        self.assertEqual(hub.refused("release", draft, "--to", "public")["code"], "denied")
        hub.ask("release", meeting, "--to", "public")
        hub.ask("release", draft, "--to", "public", "--from", "laender")
        self.assertEqual(hub.refused("withdraw", meeting, "--from", "nowhere")["code"], "not-found")

    def test_records_that_name_each_other_are_released_in_one_act(self):
        hub = self.found_with_guest()
        guest = self.join(hub, "BUND")
        meeting = hub.ask("add", "meeting", "title=Hauptkonferenz")["record"]["id"]
        draft = hub.ask("add", "resolution", "title=X", f"meeting={meeting}", "reasons=Y")["record"]["id"]
        item = hub.ask("add", "agenda-item", "number=2.3", "title=X", f"resolution={draft}",
                       f"meeting={meeting}")["record"]["id"]
        hub.ask("set", draft, f"agenda_item={item}")
        # What is missing is named, once, and nothing is released.
        refused = hub.refused("release", draft, item, "--to", "guests")
        self.assertIn(meeting[:8], refused["message"])
        self.assertNotIn(item[:8], refused["message"])
        self.assertEqual(hub.ask("list", "--audience", "guests")["total"], 0)
        self.assertIn(meeting[:8], hub.refused("release", draft, "--to", "guests")["message"])

        trial = hub.run("release", draft, item, meeting, item[:8], "--to", "guests", "--dry-run")
        self.assertEqual(trial.stdout.count("Would go out to guests"), 3)
        self.assertEqual(hub.ask("list", "--audience", "guests")["total"], 0)
        released = hub.ask("release", draft, item, meeting, "--to", "guests", "--with", "reasons")["released"]
        self.assertEqual([one["record"]["id"] for one in released], [draft, item, meeting])
        self.assertTrue(all(one["entry"] for one in released))
        until(lambda: guest.ask("list")["total"] == 3, "the guest sees all three")
        self.assertEqual(guest.ask("show", draft)["record"]["fields"]["agenda_item"], item)
        self.assertEqual(guest.ask("show", item)["record"]["fields"]["resolution"], draft)
        again = hub.run("release", draft, item, meeting, "--to", "guests", "--with", "reasons")
        self.assertEqual(again.stdout.count("Released so already"), 3)

        # What was not released cannot be taken back, and the guest takes nothing back.
        other = hub.ask("add", "resolution", "title=Z")["record"]["id"]
        self.assertIn("not been released", hub.refused("withdraw", other, "--from", "guests")["message"])
        self.assertEqual(guest.refused("withdraw", draft, "--from", "guests")["code"], "denied")
        hub.ask("withdraw", meeting, "--from", "guests")
        until(lambda: guest.ask("list")["total"] == 2, "the meeting is gone")
        self.assertIn("taken back", guest.run("show", meeting).stdout)
        for node in (hub, guest):
            self.assert_sound(node)

    def test_a_guest_that_asks_learns_not_even_that_it_exists(self):
        hub = self.found_with_guest()
        guest = self.join(hub, "BUND")
        inner = hub.ask("add", "resolution", f"title={MARK}")["record"]["id"]
        shown = hub.ask("add", "event", "title=Offen", "when.start=2025-05-01")["record"]["id"]
        hub.ask("release", shown, "--to", "guests")
        until(lambda: guest.run("show", shown).returncode == 0, "the guest sees the release")
        nowhere = "0123456789abcdef0123456789abcdef"
        for command in (("show",), ("log",), ("attachments",), ("delete",), ("conflicts", "list"),
                        ("erase", "--yes"), ("set", "title=Fremd"), ("release", "--to", "public"),
                        ("withdraw", "--from", "guests"), ("erasures", "list")):
            answers = []
            for record in (inner, nowhere):
                words = command[:2] if command[0] in ("conflicts", "erasures") else command[:1]
                done = guest.run("--json", *words, record, *command[len(words):])
                answers.append((done.returncode, done.stdout, done.stderr.replace(record, "ID")))
            self.assertEqual(answers[0], answers[1], command)
        self.assertEqual(guest.ask("search", MARK)["hits"], [])
        self.assertNotIn(MARK, guest.run("export").stdout)
        self.assertNotIn(inner, guest.run("export").stdout)

    def test_a_group_with_a_confidential_name(self):
        hub = self.found_with_guest()
        nw = self.join(hub, "NW")
        guest = self.join(hub, "BUND")
        made = hub.ask("audience", "create", "Linie Nord", "--members", "NI,NW", "--confidential",
                       "--purpose", "Abstimmung")
        self.assertFalse(made["in_force"])
        until(lambda: nw.ask("status")["waiting_for_us"] == 1, "NW is asked")
        nw.ask("approve", made["proposal"]["entry"])
        until(lambda: "Linie Nord" in self.names(nw), "NW knows its name")
        self.assertIn("Linie Nord", self.names(hub))
        record = nw.ask("add", "note", "title=Abgestimmt", "text=x", "--audience", "Linie Nord")["record"]["id"]
        until(lambda: hub.run("show", record).returncode == 0, "the other one sees it")
        self.assertEqual(hub.ask("show", record)["record"]["audience"], "Linie Nord")
        self.assertEqual(guest.refused("audience", "show", "Linie Nord")["code"], "not-found")
        others = [one for one in guest.ask("audience", "list", "--all")["audiences"] if one["confidential"]]
        self.assertEqual([(one["name"], one["readers"]) for one in others], [("", ["NI", "NW"])])
        self.assertNotIn(b"Linie Nord", self.all_bytes(guest))
        shown = hub.ask("audience", "show", "Linie Nord")["audiences"][0]
        self.assertEqual(shown["passed_on_by"], "NI")
        self.assertEqual(nw.refused("audience", "create", "Fremd", "--members", "NI,BUND")["code"], "denied")

    def test_closing_is_asked_for_with_what_would_be_gone_and_never_done_to_what_a_conference_needs(self):
        hub = self.found("NI")
        nw = self.join(hub, "NW")
        for name in ("laender", "guests", "public", "land:NI", "land:NW"):
            self.assertEqual(hub.refused("audience", "close", name, "--yes")["code"], "denied")
        self.assertEqual(nw.refused("audience", "add", "land:NI", "NW")["code"], "denied")
        self.assertEqual(hub.ask("waiting").get("proposals", []), [])
        group = hub.ask("audience", "create", "AG Test", "--members", "NI")["audience"]
        hub.ask("add", "note", "title=Eins", "text=zwei", "--audience", "AG Test")
        asked = hub.run("audience", "close", "AG Test")
        self.assertEqual(asked.returncode, 1)
        self.assertIn("1 record in it", asked.stderr)
        self.assertIn("--yes", asked.stderr)
        hub.ask("audience", "close", group, "--yes")
        self.assertEqual(len(hub.ask("waiting")["proposals"]), 1)

    def test_a_group_without_the_chair_meets_through_its_relay(self):
        hub = self.found()
        nw = self.join(hub, "NW", listen=True)
        by = self.join(hub, "BY")
        made = nw.ask("audience", "create", "A-Linie", "--members", "NW,BY", "--relay", "NW", "--confidential")
        until(lambda: by.ask("status")["waiting_for_us"] >= 1, "BY is asked")
        by.ask("approve", made["proposal"]["entry"])
        until(lambda: "A-Linie" in self.names(by), "BY has its name from the relay")
        record = by.ask("add", "note", f"title={MARK}", "text=x", "--audience", "A-Linie")["record"]["id"]
        until(lambda: nw.run("show", record).returncode == 0, "NW has it from BY")
        nw.ask("set", record, f"text={MARK} geändert")
        until(lambda: by.ask("show", record)["record"]["fields"]["text"].endswith("geändert"), "and back")
        self.assertEqual(hub.refused("show", record)["code"], "not-found")
        self.assertNotIn(MARK.encode(), self.all_bytes(hub))
        self.assertNotIn(b"A-Linie", self.all_bytes(hub))
        # The relay is changed by all who read; until then nobody takes it out.
        self.assertIn("staffel audience relay", by.refused("audience", "remove", "A-Linie", "NW")["message"])
        moved = by.ask("audience", "relay", "A-Linie", "BY")["proposal"]
        self.assertIn("passed on by BY in place of NW", " ".join(moved["details"]))
        until(lambda: nw.ask("status")["waiting_for_us"] >= 1, "NW is asked")
        self.assertEqual(nw.ask("approve", moved["entry"])["in_force"], 1)
        self.assertEqual(nw.ask("audience", "show", "A-Linie")["audiences"][0]["relay"], "BY")

    def test_who_is_taken_out_of_a_group_without_the_chair_hands_over_to_its_relay(self):
        hub = self.found()
        nw = self.join(hub, "NW", listen=True)
        by = self.join(hub, "BY")
        made = nw.ask("audience", "create", "A-Linie", "--members", "NW,BY", "--relay", "NW")
        until(lambda: by.ask("status")["waiting_for_us"] >= 1, "BY is asked")
        by.ask("approve", made["proposal"]["entry"])
        until(lambda: "A-Linie" in self.names(by), "BY is in it")
        nw.stop()
        record = by.ask("add", "note", f"title={MARK}", "text=x", "--audience", "A-Linie")["record"]["id"]
        by.stop()
        nw.start()
        taken = nw.ask("audience", "remove", "A-Linie", "BY")["proposal"]["entry"]
        until(lambda: hub.ask("status")["waiting_for_us"] >= 1, "the hub is asked")
        hub.ask("approve", taken)
        by.start()
        until(lambda: "without effect" in nw.run("status").stdout, "NW has it from BY, beyond the cut")
        def confirmed():
            copies = nw.ask("audience", "show", "A-Linie")["audiences"][0]["deleted_copies"]
            return copies and copies[0]["member"] == "BY" and copies[0]["time"] and copies[0]["verified"]
        until(confirmed, "and BY's word that its copy is deleted")
        self.assertNotIn("A-Linie", self.names(by))
        self.assertNotIn(MARK.encode(), self.all_bytes(by))

    def test_whoever_approves_sees_what_it_is_and_what_was_overtaken_comes_again(self):
        hub = self.found("NI")
        nw = self.join(hub, "NW")
        by = self.join(hub, "BY")
        self.assertIn("XX is no member", nw.refused("audience", "create", "X", "--members", "NW,XX")["message"])
        record = nw.ask("add", "resolution", "title=Frau Beispiel", "items+=Eins", "originators+=NW")["record"]["id"]
        self.in_step(hub, nw, by)
        nw.ask("erase", record, "--yes", "--propose")
        secret = nw.ask("audience", "create", "Geheim", "--members", "NW,BY", "--confidential", "--purpose", "Haus")
        self.assertIn("to be called „Geheim“", " ".join(secret["proposal"]["details"]))
        until(lambda: len(by.ask("waiting")["proposals"]) == 2, "BY is asked")
        shown = by.run("waiting", lang="de").stdout
        self.assertIn(f"löscht resolution {record[:8]} im Kreis laender, für immer: „Frau Beispiel“", shown)
        self.assertIn("lesen: BY, NW", shown)
        self.assertIn("weiter gibt ", shown)
        self.assertNotIn("Geheim", shown)  # told inside only, once there is an inside
        self.assertIn("Frau Beispiel", by.run("charter", "log", lang="de").stdout)
        self.assertEqual(nw.refused("audience", "create", "Geheim", "--members", "NW,BY",
                                    "--confidential")["code"], "exists")
        # The chair sets a deadline alone: nothing of the others is lost by that.
        before = {change["entry"] for change in by.ask("waiting")["proposals"]}
        hub.ask("rules", "set", "deadline.amendment", "14 days", "--from", "2025-01-01")
        def again():
            now = {change["entry"] for change in by.ask("waiting")["proposals"]}
            return now if len(now) == 2 and not now & before else None
        now = until(again, "both wait again")
        # Dropped at BY, it is approved there by nobody's mistake; taken up, it is.
        erasure = next(change["entry"] for change in by.ask("waiting")["proposals"]
                       if "erases" in " ".join(change["changes"]))
        by.ask("waiting", "--drop", erasure[:12])
        self.assertEqual({change["entry"] for change in by.ask("waiting")["proposals"]}, now - {erasure})
        self.assertEqual(by.refused("approve", erasure)["code"], "denied")
        by.ask("waiting", "--keep", erasure[:12])
        self.assertEqual(by.ask("approve", erasure)["in_force"], 1)
        until(lambda: hub.ask("show", record)["record"].get("erased"), "it is erased")


if __name__ == "__main__":
    unittest.main()
