# SPDX-License-Identifier: EUPL-1.2
"""The conference itself is changed, by real nodes: who has a vote, who is in it, what it is called, which
kinds are personal and which versions write them."""
import unittest

from support import NodesTest, until

MARK = "MARKEDANACH"


class ConferenceTest(NodesTest):
    def sign(self, reply, signer, *known):
        """Has what was put forward approved by one more, and waits until these know."""
        entry = reply["proposals"][0]["entry"]
        until(lambda: signer.run("approve", entry[:16]).returncode == 0, f"{signer.land} signs")
        for node in known:
            until(lambda: node.ask("charter", "show")["entry"] == entry, f"it is in force at {node.land}")

    def test_who_has_a_vote_decides_from_then_on(self):
        hub = self.found()
        nw = self.join(hub, "NW")
        by = self.join(hub, "BY")
        self.assertEqual(hub.ask("charter", "show")["eligible"], ["NI", "NW", "BY"])
        self.assertIn("staffel handover", nw.refused("charter", "member", "NI", "--vote", "no")["message"])
        self.assertEqual(hub.refused("charter", "member", "BY", "--vote", "yes")["code"], "exists")
        self.assertEqual(hub.run("charter", "member", "BY").returncode, 2)
        self.assertEqual(hub.run("charter", "member", "BY", "--vote", "vielleicht").returncode, 2)
        self.assertIn("weder ja noch nein", hub.run("charter", "member", "BY", "--vote", "x", lang="de").stderr)
        taken = hub.ask("charter", "member", "BY", "--vote", "no", "--name", "Freistaat Bayern")
        self.assertEqual(taken["in_force"], 0)
        self.assertIn("BY is called „Freistaat Bayern“", taken["proposals"][0]["details"])
        self.sign(taken, nw, hub, nw)
        shown = until(lambda: (lambda now: now["eligible"] == ["NI", "NW"] and now)(by.ask("charter", "show")),
                      "BY has no vote")
        self.assertEqual(shown["quorum"], 2)
        self.assertIn("Freistaat Bayern", by.run("charter", "show").stdout)
        # Its approval brings nothing into force any more; the one of a Land with a vote does.
        renamed = hub.ask("charter", "conference", "--name", "TestMK", "--title", "Fachministerkonferenz für Tests")
        entry = renamed["proposals"][0]["entry"]
        until(lambda: any(one["entry"] == entry for one in by.ask("waiting")["proposals"]), "BY hears of it")
        by.run("approve", entry[:16])
        self.in_step(hub, by)
        self.assertEqual(hub.ask("charter", "show")["name"], "Test")
        self.sign(renamed, nw, hub, nw)
        self.assertIn("TestMK – Fachministerkonferenz für Tests", hub.run("charter", "show").stdout)
        # A vote that it gets again counts again. What the Länder have it has kept.
        self.sign(hub.ask("charter", "member", "BY", "--vote", "yes"), nw, hub, nw)
        self.assertEqual(hub.ask("charter", "show")["eligible"], ["NI", "NW", "BY"])
        record = by.ask("add", "note", "title=weiter dabei", "text=x", "--audience", "laender")["record"]["id"]
        until(lambda: hub.run("show", record).returncode == 0, "BY writes on")

    def test_who_is_taken_out_is_told_and_what_it_wrote_stays(self):
        hub = self.found()
        nw = self.join(hub, "NW")
        by = self.join(hub, "BY", listen=True)
        he = self.join(hub, "HE")
        group = by.ask("audience", "create", "AG", "--members", "BY,HE", "--relay", "BY")["proposal"]["entry"]
        until(lambda: he.run("approve", group[:16]).returncode == 0, "HE signs")
        until(lambda: hub.ask("charter", "show")["entry"] == group, "the group is founded")
        until(lambda: by.ask("charter", "show")["entry"] == group, "BY knows")
        written = he.ask("add", "resolution", "title=aus Hessen", "items+=Eins", "originators+=HE")["record"]["id"]
        inside = he.ask("add", "note", "title=in der AG", "text=x", "--audience", "AG")["record"]["id"]
        until(lambda: by.run("show", inside).returncode == 0, "BY has it from HE")
        self.in_step(hub, nw)
        until(lambda: hub.run("show", written).returncode == 0, "the hub has it from HE")

        # The chair stays; whoever does not read all that HE reads leaves it to one who does.
        self.assertIn("staffel handover", nw.refused("charter", "remove", "NI", "--yes")["message"])
        refused = hub.refused("charter", "remove", "HE", "--yes")
        self.assertIn("AG (BY)", refused["message"])
        self.assertIn("--anyway", refused["message"])
        asked = by.run("charter", "remove", "HE")
        self.assertEqual(asked.returncode, 1)
        self.assertIn("closed for ever", asked.stderr)
        self.assertEqual(by.ask("waiting").get("proposals", []), [])
        removal = by.ask("charter", "remove", "HE", "--yes")
        details = " ".join(removal["proposals"][0]["details"])
        self.assertIn("audience laender: no longer read by HE", details)
        self.assertIn("audience land:HE: read by HE", details)
        entry = removal["proposals"][0]["entry"]
        until(lambda: nw.run("approve", entry[:16]).returncode == 0, "NW signs")
        self.sign(removal, hub, hub, nw, by)
        for node in (hub, nw, by):
            now = until(lambda: (lambda one: one["quorum"] == 2 and one)(node.ask("charter", "show")), "it is known")
            self.assertEqual(now["eligible"], ["NI", "NW", "BY"])
            self.assertNotIn("HE", [member["id"] for member in now["members"]])
            until(lambda: node.run("show", written).returncode == 0, "what HE wrote stays")
        self.assertEqual(by.ask("show", inside)["record"]["fields"]["title"], "in der AG")

        until(lambda: "taken out of the conference" in he.ask("status")["exchange"]["last_error"], "HE is told")
        self.assertIn("aus der Konferenz herausgenommen", he.run("sync", lang="de").stderr)
        # Nothing comes and nothing goes any more.
        later = hub.ask("add", "note", f"title={MARK}", "text=x", "--audience", "laender")["record"]["id"]
        lost = he.run("--json", "add", "note", "title=zu spät", "text=x", "--audience", "laender")
        self.in_step(hub, nw, by)
        he.run("sync")
        self.assertNotEqual(he.run("show", later).returncode, 0)
        he.stop()
        for path in he.directory.rglob("*"):
            if path.is_file():
                self.assertNotIn(MARK.encode(), path.read_bytes(), path)
        self.assertEqual(hub.ask("search", "spät")["hits"], [], lost.stdout)
        for node in (hub, nw, by):
            self.assert_sound(node)

    def test_a_kind_is_written_from_a_version_on_and_can_be_made_personal(self):
        hub = self.found()
        nw = self.join(hub, "NW")
        note = hub.ask("add", "note", "title=Von vorher", "text=x", "--audience", "laender")["record"]["id"]
        self.assertEqual(hub.refused("charter", "kind", "quatsch", "--min-version", "2")["code"], "not-found")
        self.assertEqual(hub.run("charter", "kind", "note").returncode, 2)
        later = hub.ask("charter", "kind", "note", "--min-version", "2")
        self.assertIn("version 2 of the rules", " ".join(later["proposals"][0]["details"]))
        self.sign(later, nw, hub, nw)
        for node in (hub, nw):
            refused = node.refused("add", "note", "title=Neu", "text=x")
            self.assertEqual(refused["code"], "unsupported")
            self.assertIn("upgrade", refused["message"])
        self.assertEqual(hub.refused("set", note, "title=Anders")["code"], "unsupported")
        self.assertTrue(hub.ask("show", note)["record"]["read_only"])
        shown = nw.run("charter", "show", lang="de").stdout
        self.assertIn("note 2: dieser Knoten hat 1 und liest nur", shown)
        self.assertIn("1 der Regeln, an diesem Knoten", shown)
        event = nw.ask("add", "event", "title=Termin", "when.start=2025-05-01")["record"]["id"]
        self.sign(hub.ask("charter", "kind", "note", "--min-version", "0"), nw, hub, nw)
        hub.ask("set", note, "title=Anders")
        self.assertNotIn("event", hub.ask("charter", "show")["personal_kinds"])
        self.sign(hub.ask("charter", "kind", "event", "--personal", "yes"), nw, hub, nw)
        self.assertIn("event", hub.ask("charter", "show")["personal_kinds"])
        self.assertIn("event", hub.run("charter", "show", lang="de").stdout)
        nw.ask("erase", event, "--yes")
        self.assertTrue(nw.ask("show", event)["record"]["erased"])


if __name__ == "__main__":
    unittest.main()
