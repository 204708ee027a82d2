# SPDX-License-Identifier: EUPL-1.2
"""The chair passes on: announced, agreed to, signed; nodes that were offline follow and lose nothing; racing
handovers stop authority and never editing; a lost chair is replaced by a quorum; keys are rotated."""
import shutil
import unittest

from support import LAENDER, NodesTest, until

LAENDER.setdefault("MV", "Mecklenburg-Vorpommern")


def chair(node):
    return node.ask("status")["chair"]


def charter(node):
    return node.ask("charter", "show")


class HandoverTest(NodesTest):
    def conference(self):
        """NI with the chair, NW and BY that can be reached, MV that cannot."""
        self.hub = self.found()
        self.nw = self.join(self.hub, "NW", listen=True)
        self.by = self.join(self.hub, "BY", listen=True)
        self.mv = self.join(self.hub, "MV")
        self.in_step(self.hub, self.nw, self.by, self.mv)

    def test_the_next_hub_is_named_by_its_key_as_it_is_shown_anywhere(self):
        hub = self.found()
        nw = self.join(hub, "NW", listen=True)
        self.in_step(hub, nw)
        status = nw.ask("status")["key_fingerprint"]
        listed = next(key["key"] for key in hub.ask("keys", "list")["keys"] if key["member"] == "NW")
        for shown in (status, status[:32], listed, listed[:20], listed[:8]):
            hub.ask("handover", "propose", "NW", "--key", shown)
            self.assertEqual(hub.ask("handover", "status")["state"]["announced_key"], listed)
            hub.ask("handover", "cancel")
        self.assertEqual(hub.refused("handover", "propose", "NW", "--key", "00" * 10)["code"], "not-found")
        self.assertEqual(hub.refused("handover", "propose", "NW", "--key", listed[:4])["code"], "invalid")

    def hand_over(self):
        """From NI to NW with BY as the third, at once."""
        self.hub.ask("handover", "propose", "NW")
        for node in (self.nw, self.by):
            until(lambda: node.ask("handover", "status")["state"]["announced_member"] == "NW", "announced")
            self.assertEqual(node.ask("handover", "accept")["done"], "accepted")
        self.assertEqual(chair(self.hub), "NI")
        self.hub.ask("handover", "complete", "--now")
        for node in (self.hub, self.nw, self.by):
            until(lambda: chair(node) == "NW", f"{node.land} knows the new chair")

    def add(self, node, title):
        return node.ask("add", "event", f"title={title}", "when.start=2025-05-01")["record"]["id"]

    def shows(self, node, record):
        return node.run("show", record).returncode == 0

    def test_from_NI_to_NW_with_MV_offline(self):
        self.conference()
        early = self.add(self.mv, "von MV")
        until(lambda: self.shows(self.by, early), "it arrives")
        # What MV writes while it reaches nobody waits on its disk.
        others = (self.hub, self.nw, self.by)
        for node in others:
            node.stop()
        stranded = self.add(self.mv, "unterwegs")
        self.mv.stop()
        for node in others:
            node.start()

        self.hand_over()
        self.assertFalse(self.hub.ask("handover", "status")["state"]["is_chairs_node"])
        # Old and new hub print the same; a third one, too, and finds it right.
        printed = self.hub.run("handover", "protocol").stdout
        self.assertIn("term 1 NI", printed)
        for node in (self.nw, self.by):
            until(lambda: node.run("handover", "protocol").stdout == printed, f"{node.land} prints the same")
            self.assertEqual(node.run("verify", "--handover", "2").returncode, 0)
        paper = self.home / "protocol.txt"
        paper.write_text(printed, encoding="utf-8")
        self.assertEqual(self.by.run("verify", "--handover", paper).returncode, 0)
        paper.write_text(printed.replace("\nentries ", "\nentries 9"), encoding="utf-8")
        done = self.by.run("verify", "--handover", paper)
        self.assertEqual(done.returncode, 1)
        self.assertIn("entries", done.stderr)
        # Nor does it pass empty, cut off, with a line more, or as a directory.
        sections = printed.split("\n\n")
        for false in ("", printed[:len(printed) // 2], "\n\n".join(sections[:-1]) + "\n",
                      printed + "\nNachtrag: auch die Entwürfe\n"):
            paper.write_text(false, encoding="utf-8")
            self.assertEqual(self.by.run("verify", "--handover", paper).returncode, 1, false)
        self.assertEqual(self.by.run("verify", "--handover", self.home).returncode, 1)
        # The old hub is gone for good. MV knows only NI's address and those of the others then.
        self.hub.kill()
        self.mv.start()
        until(lambda: chair(self.mv) == "NW", "MV is led on by another node")
        until(lambda: self.shows(self.nw, stranded), "what MV had waiting arrives at the new hub")
        until(lambda: self.mv.ask("status")["exchange"]["phase"] == "in-step", "MV is in step with NW")
        self.in_step(self.nw, self.by, self.mv)
        self.assertEqual(self.mv.ask("verify", "--handover")["holds"], True)
        for node in (self.nw, self.by, self.mv):
            self.assert_sound(node)

    def test_the_old_hub_leads_on_who_knows_only_its_address(self):
        self.conference()
        self.mv.stop()
        self.hand_over()
        self.nw.stop()
        self.by.stop()
        self.mv.start()
        until(lambda: chair(self.mv) == "NW", "MV hears of the handover from the old hub")
        stranded = self.add(self.mv, "unterwegs")
        self.nw.start()
        until(lambda: self.shows(self.nw, stranded), "MV goes on with the new hub")

    def test_refusals_tell_what_to_do(self):
        self.conference()
        self.assertIn("NI", self.nw.refused("handover", "propose", "NW")["message"])
        self.assertIn("announced", self.nw.refused("handover", "accept")["message"])
        self.assertIn("keys address", self.hub.refused("handover", "propose", "MV")["message"])
        self.assertIn("first term", self.by.refused("verify", "--handover", "1")["message"])
        wrong = self.hub.run("handover", "propose", "NW", "--at", "morgen")
        self.assertEqual(wrong.returncode, 2)
        self.assertIn("date", wrong.stderr)
        self.assertIn("past", self.hub.refused("handover", "propose", "NW", "--at", "2020-07-01")["message"])
        # Announced twice it is announced once; completed before anybody has agreed it waits, and no other one
        # can be announced meanwhile.
        self.hub.ask("handover", "propose", "BY")
        self.hub.ask("handover", "propose", "NW", "--at", "2090-07-01")
        entry = self.hub.ask("charter", "show")["entry"]
        self.hub.ask("handover", "propose", "NW", "--at", "2090-07-01")
        self.assertEqual(self.hub.ask("charter", "show")["entry"], entry)
        self.assertIn("NI", self.by.refused("handover", "complete")["message"])
        self.hub.ask("handover", "complete")
        self.assertEqual(chair(self.hub), "NI")
        status = self.hub.run("handover", "status", lang="de").stdout
        for words in ("NI hat die Übergabe an NW unterschrieben", "gibt den Vorsitz von NI an NW weiter"):
            self.assertIn(words, status)
        refused = self.hub.refused("handover", "propose", "BY")["message"]
        self.assertIn("cancel", refused)
        self.assertIn("handover", self.hub.ask("status")["chair_pauses"])
        self.hub.ask("handover", "cancel")
        self.assertEqual(self.hub.ask("status")["chair_pauses"], "")

    def test_a_lost_chair_is_replaced_by_a_quorum(self):
        self.conference()
        record = self.add(self.hub, "vor dem Brand")
        until(lambda: self.shows(self.by, record), "it arrives")
        self.in_step(self.hub, self.nw, self.by, self.mv)
        self.hub.kill()
        shutil.rmtree(self.hub.directory)
        self.nodes.remove(self.hub)
        entry = self.by.ask("handover", "recover", "NW")["entry"]
        for node in (self.nw, self.mv):
            until(lambda: any(one["entry"] == entry for one in node.ask("waiting")["proposals"]),
                  f"{node.land} hears of it", 120)
        self.assertEqual(chair(self.by), "NI")
        # NI has signed nothing of it.
        said = self.by.run("handover", "status", lang="de").stdout
        self.assertRegex(said, r"es wartet +Amtszeit 2: NW nach NI, ab ")
        self.assertRegex(said, r"unterschrieben +BY\n")
        for node in (self.nw, self.mv):
            until(lambda: node.run("handover", "complete").returncode == 0, f"{node.land} checks and signs")
        for node in (self.by, self.nw, self.mv):
            until(lambda: chair(node) == "NW", f"{node.land} has a chair again", 120)
        until(lambda: self.mv.ask("status")["exchange"]["phase"] == "in-step", "MV is in step", 120)
        later = self.add(self.mv, "nach dem Brand")
        until(lambda: self.shows(self.nw, later), "work goes on")
        self.assertEqual(self.mv.run("verify", "--handover", "2").returncode, 0)

    def test_a_hub_that_was_replaced_while_it_was_away_follows_when_it_comes_back(self):
        self.conference()
        # A group of NI and NW, with a receipt of the chair.
        made = self.nw.ask("audience", "create", "AGR", "--members", "NI,NW", "--relay", "NW")["proposal"]["entry"]
        self.sign(self.hub, made)
        until(lambda: charter(self.by)["entry"] == made, "BY knows of the group, which it does not read")
        inside = self.nw.ask("add", "note", "title=in der AGR", "text=x", "--audience", "AGR")["record"]["id"]
        until(lambda: self.received(self.nw, inside), "the chair receipts it")
        self.hub.kill()
        recovery = self.by.ask("handover", "recover", "BY")
        self.assertEqual(recovery["not_cut"], ["AGR"])
        entry = recovery["entry"]
        for node in (self.nw, self.mv):
            until(lambda: any(one["entry"] == entry for one in node.ask("waiting")["proposals"]),
                  f"{node.land} hears of it", 120)
            until(lambda: node.run("handover", "complete").returncode == 0, f"{node.land} checks and signs")
        until(lambda: chair(self.nw) == "BY", "BY is chair")
        # The receipt counts again once NW, which reads the group, has it cut.
        self.assertFalse(self.received(self.nw, inside))
        self.assertIn("handover cut", self.nw.run("status").stdout)
        cut = self.nw.ask("handover", "cut")["entry"]
        for node in (self.by, self.mv):
            self.sign(node, cut)
        until(lambda: self.received(self.nw, inside), "NI's receipt counts again", 120)
        self.assertNotIn("handover cut", self.nw.run("status").stdout)
        for node in (self.by, self.nw, self.mv):
            until(lambda: chair(node) == "BY" and node.ask("status")["charter_settled"], f"{node.land}: BY is chair", 120)
        self.hub.start()
        until(lambda: chair(self.hub) == "BY", "NI learns that it was replaced")
        record = self.add(self.hub, "von NI nach der Rückkehr")
        until(lambda: self.shows(self.by, record), "what NI writes arrives")
        self.assertIn("In step with the hub", self.hub.run("sync").stdout)
        self.assertIn("In step with: ", self.by.run("sync").stdout)

    def test_two_handovers_at_once(self):
        """MV signs two, before either has enough; two others bring each into force, out of reach of each other."""
        self.conference()
        he = self.join(self.hub, "HE")
        nodes = (self.hub, self.nw, self.by, self.mv, he)
        self.in_step(*nodes)
        self.hub.ask("handover", "propose", "NW")
        for node in nodes:
            until(lambda: node.ask("handover", "status")["state"]["announced_member"] == "NW", "announced")
        for node in (self.nw, self.by, he):
            node.stop()
        to_nw = self.hub.ask("handover", "complete", "--now")["entry"]
        self.sign(self.mv, to_nw)
        until(lambda: "MV" in self.signers(self.hub, to_nw), "NI has MV's signature")
        self.hub.stop()
        self.by.start()
        to_by = self.by.ask("handover", "recover", "BY")["entry"]
        self.sign(self.mv, to_by)
        until(lambda: "MV" in self.signers(self.by, to_by), "BY has MV's signature")
        self.mv.stop()
        self.by.stop()
        self.hub.start()
        self.nw.start()
        self.sign(self.nw, to_nw)
        for node in (self.hub, self.nw):
            until(lambda: chair(node) == "NW", "NW has the chair, for NI and NW")
        self.hub.stop()
        self.nw.stop()
        self.by.start()
        he.start()
        self.sign(he, to_by)
        for node in (self.by, he):
            until(lambda: chair(node) == "BY", "BY has the chair, for BY and HE")
        self.hub.start()
        self.nw.start()
        for node in (self.hub, self.nw, self.by, he):
            until(lambda: node.ask("status")["charter_tied"], f"{node.land} sees the tie")
        self.mv.start()
        until(lambda: self.mv.ask("status")["charter_tied"], "MV sees the tie")
        for node in nodes:
            self.assertEqual(chair(node), "NI")
            self.add(node, f"Bearbeiten geht weiter bei {node.land}")
            self.assertIn("TIE", node.run("status").stdout)
            self.assertEqual(sorted(node.ask("charter", "show")["tied_entries"]), sorted([to_nw, to_by]))
        self.assertIn("quorum", self.hub.refused("rules", "set", "deadline.ballot", "2026-01-01T00:00:00Z")["message"])

        def decided():
            # Said again where two have begun at once: all then sign the same entry.
            for node in (self.hub, self.nw, self.mv):
                node.run("charter", "strengthen", to_nw[:16])
            return not self.hub.ask("status")["charter_tied"]
        until(decided, "three of five decide")
        for node in nodes:
            until(lambda: chair(node) == "NW" and not node.ask("status")["charter_tied"], f"{node.land}: decided")
        self.in_step(*nodes)

    def received(self, node, record):
        return node.ask("show", record)["record"]["reception"] == "received"

    def sign(self, node, entry):
        until(lambda: node.run("approve", entry[:16]).returncode == 0, f"{node.land} signs", 120)

    def signers(self, node, entry):
        return [member for one in charter_log(node) if one["entry"] == entry for member in one["approved"]]


def charter_log(node):
    return node.ask("charter", "log")["entries"]


class KeysAndRulesTest(NodesTest):
    def test_a_nodes_keys_are_rotated_in_two_entries(self):
        hub = self.found()
        nw = self.join(hub, "NW", listen=True)
        record = nw.ask("add", "event", "title=vorher", "when.start=2025-05-01")["record"]["id"]
        self.in_step(hub, nw)
        old = nw.ask("status")["key_fingerprint"]
        first = nw.ask("keys", "rotate")["proposals"][0]
        self.assertEqual(first["missing"], ["NI"])
        until(lambda: any(one["entry"] == first["entry"] for one in hub.ask("waiting")["proposals"]), "NI hears of it")
        hub.ask("approve", first["entry"])
        until(lambda: "restart" in nw.ask("status")["key_rotation"], "the new keys are in force")
        self.assertEqual(nw.ask("status")["key_fingerprint"], old)
        nw.stop()
        nw.start()
        new = nw.ask("status")["key_fingerprint"]
        self.assertNotEqual(new, old)
        nw.ask("set", record, "title=nachher")
        self.in_step(hub, nw)
        second = nw.ask("keys", "rotate")["proposals"][0]
        until(lambda: any(one["entry"] == second["entry"] for one in hub.ask("waiting")["proposals"]), "NI hears of it")
        hub.ask("approve", second["entry"])
        until(lambda: nw.ask("status")["key_rotation"] == "", "the rotation is over")
        fingerprints = {key["fingerprint"] for key in nw.ask("keys", "list")["keys"]}
        self.assertIn(new, fingerprints)
        self.assertNotIn(old, fingerprints)
        nw.ask("add", "event", "title=danach", "when.start=2025-05-02")
        self.in_step(hub, nw)
        for node in (hub, nw):
            self.assertEqual(node.ask("show", record)["record"]["title"], "nachher")
            self.assertEqual(node.ask("status")["counts"]["invalid_entries"], 0)
            self.assert_sound(node)

    def test_a_recovery_key_signs_without_the_node(self):
        hub = self.found()
        nw = self.join(hub, "NW")
        secret = self.home / "nw-recovery.pem"
        entry = nw.ask("keys", "recovery", str(secret))["proposals"][0]["entry"]
        self.assertEqual(secret.stat().st_mode & 0o777, 0o600)
        self.assertIn("PRIVATE KEY", secret.read_text(encoding="utf-8"))
        self.assertNotEqual(nw.run("keys", "recovery", str(secret)).returncode, 0)  # never over another file
        until(lambda: any(one["entry"] == entry for one in hub.ask("waiting")["proposals"]), "NI hears of it")
        hub.ask("approve", entry)
        nw.kill()
        rule = hub.ask("rules", "set", "threshold.resolution", "2")["proposals"][0]["entry"]
        self.assertEqual(hub.ask("approve", rule, "--recovery-key", str(secret))["in_force"], 1)
        self.assertEqual(hub.ask("rules", "list")["rules"][0]["value"], "2")

    def test_a_further_replica_by_invitation_needs_its_land(self):
        hub = self.found()
        nw = self.join(hub, "NW", listen=True)
        self.assertIn("--further", hub.refused("invite", "NW")["message"])
        second = self.node("NW2").start()
        second.ask("join", "-", text=hub.ask("invite", "NW", "--further")["token"] + "\n")
        until(lambda: any(one["ours_helps"] for one in nw.ask("waiting")["proposals"]), "NW is asked")
        self.assertEqual(second.ask("status")["state"], "joining")
        nw.ask("approve", "NW")
        until(lambda: second.ask("status")["state"] == "member", "the second replica is NW's")
        self.assertEqual(second.ask("status")["member"], "NW")
        record = second.ask("add", "event", "title=vom zweiten Knoten", "when.start=2025-05-01")["record"]["id"]
        until(lambda: nw.run("show", record).returncode == 0, "it arrives at the first")
        # What stays inside the Land never passes the hub: the two meet each other.
        for writer, reader in ((nw, second), (second, nw)):
            inside = writer.ask("add", "note", "title=nur in NW", "text=x", "--audience", "land:NW")["record"]["id"]
            until(lambda: reader.run("show", inside).returncode == 0, "land:NW reaches the Land's other node")
            self.assertEqual(hub.refused("show", inside)["code"], "not-found")
        # What both write of the Land's own amendment the Land decides, and nobody else.
        resolution = hub.ask("add", "resolution", "title=Beschluss")["record"]["id"]
        until(lambda: nw.run("show", resolution).returncode == 0, "the resolution arrives")
        amendment = nw.ask("add", "amendment", "member=NW", f"resolution={resolution}", "title=Ziffer 2")["record"]["id"]
        until(lambda: second.run("show", amendment).returncode == 0, "the amendment arrives")
        hub.kill()
        nw.kill()
        second.ask("set", amendment, "title=Ziffer 2 streichen")
        second.kill()
        nw.start().ask("set", amendment, "title=Ziffer 2 fassen")
        second.start()
        hub.start()
        shown = until(lambda: hub.ask("conflicts", "list")["conflicts"], "the conflict arrives")[0]
        choice = ("conflicts", "take", amendment, "title", "--if-version", shown["version"], "--from",
                  shown["heads"][0]["entry"])
        self.assertIn("NW writes it at its node, not NI", hub.refused(*choice)["message"])
        nw.ask(*choice)

    def test_a_key_taken_out_by_somebody_who_does_not_read_all_of_its_audiences(self):
        hub = self.found()
        nw = self.join(hub, "NW", listen=True)
        by = self.join(hub, "BY")
        second = self.node("NW2").start()
        second.ask("join", "-", text=hub.ask("invite", "NW", "--further")["token"] + "\n")
        until(lambda: any(one["ours_helps"] for one in nw.ask("waiting")["proposals"]), "NW is asked")
        nw.ask("approve", "NW")
        until(lambda: second.ask("status")["state"] == "member", "the second replica is NW's")

        def sign(node, entry):
            until(lambda: node.run("approve", entry[:16]).returncode == 0, f"{node.land} signs", 120)
        made = nw.ask("audience", "create", "AG", "--members", "NW,BY", "--relay", "NW")["proposal"]["entry"]
        sign(by, made)
        until(lambda: charter(hub)["entry"] == made, "the group is founded")
        record = nw.ask("add", "note", "title=in der AG", "text=x", "--audience", "AG")["record"]["id"]
        for node in (by, second):
            until(lambda: node.run("show", record).returncode == 0, "it arrives")
        key = next(one["key"] for one in nw.ask("keys", "list")["keys"] if one.get("ours") and one["kind"] == "replica")
        refused = hub.refused("keys", "revoke", key[:20])
        self.assertIn("AG (BY, NW)", refused["message"])
        self.assertIn("--anyway", refused["message"])
        sign(second, hub.ask("keys", "revoke", key[:20], "--anyway")["proposals"][0]["entry"])
        until(lambda: by.run("show", record).returncode != 0, "what nobody has cut has no effect")
        # The node whose key is gone is told so.
        until(lambda: "it was taken out" in nw.ask("status")["exchange"]["last_error"], "NW's old node is told")
        self.assertIn("herausgenommen", nw.run("sync", lang="de").stderr)
        # BY, which reads the group, has its journal cut where it stands.
        self.assertIn(key, [one["key"] for one in by.ask("keys", "list")["former"]])
        sign(hub, by.ask("keys", "cut", key[:20])["proposals"][0]["entry"])
        for node in (by, second):
            until(lambda: node.run("show", record).returncode == 0, "it counts again")

    def test_another_conference_by_data_alone(self):
        """Seventeen votes with the Bund's, the calendar year, city states passed over."""
        names = {"BW": "Baden-Württemberg", "BY": "Bayern", "BE": "Berlin", "BB": "Brandenburg", "HB": "Bremen",
                 "HH": "Hamburg", "HE": "Hessen", "MV": "Mecklenburg-Vorpommern", "NI": "Niedersachsen",
                 "NW": "Nordrhein-Westfalen", "RP": "Rheinland-Pfalz", "SL": "Saarland", "SN": "Sachsen",
                 "ST": "Sachsen-Anhalt", "SH": "Schleswig-Holstein", "TH": "Thüringen", "BUND": "Bund"}
        hub = self.node("BW", listen=True).start()
        lands = [part for id_, name in names.items() for part in ("--land", f"{id_}={name}")]
        hub.ask("found", "AMK", "--as", "BW", *lands, "--term-starts", "2025-01-01", "--rule",
                "rotation.first-day=01-01", "--rule", "rotation.skip=BE HB HH BUND", "--rule",
                "threshold.resolution=unanimous")
        self.assertEqual(sum(member["voting"] for member in charter(hub)["members"]), 17)
        rules = hub.ask("rules", "list")
        self.assertEqual(rules["next_chair"], "BY")
        self.assertTrue(rules["next_start"].endswith("-12-31T23:00:00Z"), rules["next_start"])
        self.assertNotIn("HH", rules["chair_order"])
        by = self.join(hub, "BY", listen=True)
        self.in_step(hub, by)
        announced = hub.ask("handover", "propose")["state"]
        self.assertEqual(announced["announced_member"], "BY")
        self.assertTrue(announced["announced_starts"].endswith("-12-31T23:00:00Z"))
        self.assertIn("threshold", hub.refused("rules", "set", "threshold.resolution", "viele")["message"])
        for rule, value in (("nonsense", "5"), ("threshold.quatsch", "2"), ("threshold.resolution", "99"),
                            ("deadline.amendmnet", "14 days")):
            self.assertIn(hub.refused("rules", "set", rule, value)["code"], ("invalid", "not-found"))


if __name__ == "__main__":
    unittest.main()
