# SPDX-License-Identifier: EUPL-1.2
"""Receipts between real processes: they come within seconds, the gap shows while the hub is away, and a
vote cast in time and received late is listed for the chair."""
import datetime
import time
import unittest

from support import NodesTest, until


def audience(node, name="laender"):
    return next(one for one in node.ask("status")["audiences"] if one["name"] == name)


def in_seconds(seconds):
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class ReceiptsTest(NodesTest):
    def test_a_change_is_at_the_ministry_then_received(self):
        hub = self.found()
        member = self.join(hub, "NW")
        change = member.ask("add", "event", "title=Redaktionsschluss", "when.start=2025-04-09")
        self.assertEqual(change["reception"], "ministry")
        record = change["record"]["id"]
        until(lambda: member.ask("show", record)["record"]["reception"] == "received", "NW's change is received")
        shown = member.ask("show", record)["record"]
        self.assertIsNotNone(shown["received"])
        self.assertIsNone(shown["not_received_since"])
        self.assertEqual(audience(member)["own_not_received"], 0)
        item = member.ask("log", record)["items"][0]
        self.assertEqual((item["reception"], item["receipt_term"]), ("received", 1))
        self.assertEqual(item["received"], shown["received"])
        receipts = member.ask("receipts")
        last = next(one for one in receipts["audiences"] if one["audience"] == "laender")["last"]
        self.assertEqual(last["entry"], item["receipt"])
        self.assertEqual(last["member"], "NI")
        self.assertEqual(receipts["void"], [])
        self.assertIn("received", member.run("log", record).stdout)
        # What the hub itself writes is received when another ministry holds it.
        own = hub.ask("add", "event", "title=Vorkonferenz", "when.start=2025-04-10")["record"]["id"]
        until(lambda: hub.ask("show", own)["record"]["reception"] == "received", "the hub's own change is received")
        self.in_step(hub, member)
        for node in (hub, member):
            self.assert_sound(node)

    def test_the_gap_shows_since_when_while_the_hub_is_away(self):
        hub = self.found()
        member = self.join(hub, "NW")
        hub.stop()
        record = member.ask("add", "event", "title=Ohne Hub", "when.start=2025-04-09")["record"]["id"]
        gap = audience(member)
        self.assertTrue(gap["receipted"])
        self.assertEqual(gap["own_not_received"], 1)
        self.assertIsNotNone(gap["own_not_received_since"])
        self.assertIn("1 of ours not yet received, since", member.run("status").stdout)
        self.assertIn("not yet received", member.run("show", record).stdout)
        self.assertIn("at the ministry", member.run("list", "event").stdout)
        hub.start()
        until(lambda: audience(member)["own_not_received"] == 0, "the gap is closed")
        self.assertIn("all of it received", member.run("status").stdout)
        self.assertNotIn("at the ministry", member.run("list", "event").stdout)

    def test_a_hub_that_nobody_has_joined_shows_its_own_gap(self):
        hub = self.found()
        hub.ask("add", "event", "title=Allein", "when.start=2025-04-09")
        time.sleep(1.5)
        self.assertEqual(audience(hub)["own_not_received"], 1)

    def test_an_audience_without_the_chair_says_so(self):
        hub = self.found()
        member = self.join(hub, "NW")
        change = member.ask("add", "note", "title=Nur für uns", "text=Entwurf")
        self.assertEqual(change["record"]["audience"], "land:NW")
        self.assertEqual(change["reception"], "no-chair")
        own = audience(member, "land:NW")
        self.assertFalse(own["receipted"])
        self.assertEqual(own["not_received"], 1)
        self.assertIn("no chair in it", member.run("status").stdout)
        self.assertIn("no chair", member.run("list", "note").stdout)

    def test_a_vote_in_time_and_received_late_is_listed_for_the_chair(self):
        hub = self.found()
        member = self.join(hub, "NW")
        other = self.join(hub, "BY")
        ballot = hub.ask("add", "ballot", "title=Umlaufverfahren U1")["record"]["id"]
        for node in (member, other):
            until(lambda node=node: node.run("show", ballot).returncode == 0, "the ballot is there")
        self.assertEqual(hub.refused("late", ballot)["code"], "invalid")
        other.ask("set", ballot, "votes_cast.BY=J")
        until(lambda: hub.ask("show", ballot)["record"]["fields"].get("votes_cast") == {"BY": "J"}, "BY's vote is there")
        until(lambda: other.ask("show", ballot)["record"]["reception"] == "received", "BY's vote is received")
        hub.ask("set", ballot, f"conditions.closes_ms={in_seconds(4)}")
        until(lambda: "conditions" in member.ask("show", ballot)["record"]["fields"], "the deadline is known")
        hub.stop()
        member.ask("set", ballot, "votes_cast.NW=J")
        late = member.ask("late", ballot)
        self.assertEqual([(one["member"], one["received"]) for one in late["items"]], [("NW", None)])
        time.sleep(4.5)
        other.ask("set", ballot, "votes_cast.BY=N")  # written after the deadline
        hub.start()
        until(lambda: [one["received"] is not None for one in hub.ask("late", ballot)["items"]] == [True, True],
              "both are received")
        late = hub.ask("late", ballot)
        self.assertTrue(late["receipted"])
        self.assertEqual([(one["member"], one["in_time"], one["admitted"]) for one in late["items"]],
                         [("NW", True, False), ("BY", False, False)])
        item = late["items"][0]
        self.assertLess(item["time"], late["deadline"])
        self.assertGreater(item["received"], late["deadline"])
        self.assertEqual(item["path"], "votes_cast.NW")
        self.assertIn("Written before the deadline, not received before it:", hub.run("late", ballot).stdout)
        hub.ask("set", ballot, "admitted+=NW")
        self.assertTrue(hub.ask("late", ballot)["items"][0]["admitted"])
        # The same deadline as an event about the ballot.
        event = hub.ask("add", "event", "title=Votum", "type=Frist", f"about={ballot}",
                        "when.start=2020-01-01")["record"]["id"]
        everything = hub.ask("late", event)["items"]
        self.assertEqual({one["record_id"] for one in everything}, {ballot})
        self.assertEqual({one["in_time"] for one in everything}, {False})

    def test_a_rule_gives_the_deadline_where_the_record_has_none(self):
        hub = self.found()
        member = self.join(hub, "NW")
        meeting = hub.ask("add", "meeting", "title=Konferenz", "when.start=2020-04-09T10:00",
                          "when.zone=Europe/Berlin")["record"]["id"]
        item = hub.ask("add", "agenda-item", "number=1", "title=TOP 1", f"meeting={meeting}")["record"]["id"]
        resolution = hub.ask("add", "resolution", "title=Beschluss", f"agenda_item={item}")["record"]["id"]
        until(lambda: member.run("show", resolution).returncode == 0, "the resolution is there")
        amendment = member.ask("add", "amendment", f"resolution={resolution}", "member=NW", "title=Ziffer 2")["record"]["id"]
        until(lambda: hub.run("show", amendment).returncode == 0, "the amendment is there")
        self.assertEqual(hub.refused("late", amendment)["code"], "invalid")
        self.assertEqual(hub.refused("rules", "set", "deadline.amendment", "bald")["code"], "invalid")
        hub.ask("rules", "set", "deadline.amendment", "14 days", "--from", "2019-01-01")
        # What is decided later changes no deadline that is over.
        hub.ask("rules", "set", "deadline.amendment", "7 days", "--from", "2021-01-01")
        late = hub.ask("late", amendment)
        self.assertEqual(late["deadline"], "2020-03-26T23:00:00Z")
        self.assertEqual({one["in_time"] for one in late["items"]}, {False})
        # It says which rule that is: of two, the one that held on the meeting's day.
        rule = late["deadline_rule"]
        self.assertEqual((late["deadline_from"], rule["name"], rule["value"], rule["from"][:10], rule["now"]),
                         ("rule", "deadline.amendment", "14 days", "2018-12-31", False))
        self.assertEqual(late["deadline_meeting"]["id"], meeting)
        self.assertIn(", 14 Tage vor der Sitzung „Konferenz“ (Regel deadline.amendment ab 01.01.2019",
                      hub.run("late", amendment, lang="de").stdout)
        self.assertIn("14 days before the meeting „Konferenz“ (rule deadline.amendment from",
                      hub.run("late", amendment).stdout)
        # A meeting that is moved moves the deadline; a time given, or written in the record, comes first.
        hub.ask("set", meeting, "when.start=2099-04-09T10:00")
        self.assertEqual(hub.ask("late", amendment)["deadline"], "2099-04-02T22:00:00Z")
        self.assertEqual(hub.ask("late", amendment, "--at", "2025-06-13T12:00Z")["deadline"], "2025-06-13T12:00:00Z")
        ballot = hub.ask("add", "ballot", "title=U1")["record"]["id"]
        hub.ask("rules", "set", "deadline.ballot", "2025-06-13T12:00:00Z")
        late = hub.ask("late", ballot)
        self.assertEqual((late["deadline"], late["deadline_from"], late["deadline_rule"]["name"]),
                         ("2025-06-13T12:00:00Z", "rule", "deadline.ballot"))
        self.assertIsNone(late["deadline_meeting"])
        self.assertIn(", Regel deadline.ballot ab ", hub.run("late", ballot, lang="de").stdout)
        hub.ask("set", ballot, "conditions.closes_ms=2025-06-14T12:00:00Z")
        late = hub.ask("late", ballot)
        self.assertEqual((late["deadline"], late["deadline_from"], late["deadline_field"], late["deadline_rule"]),
                         ("2025-06-14T12:00:00Z", "record", "conditions.closes_ms", None))
        self.assertIn("stands in the record (conditions.closes_ms)", hub.run("late", ballot).stdout)
        self.assertEqual(hub.ask("late", ballot, "--at", "2025-06-13T12:00Z")["deadline_from"], "request")

    def test_nothing_of_ours_is_without_effect(self):
        hub = self.found()
        member = self.join(hub, "NW")
        self.assertEqual(member.ask("ineffective")["entries"], [])
        self.assertIn("None", member.run("ineffective", "--all").stdout)
        ballot = hub.ask("add", "ballot", "title=U1")["record"]["id"]
        until(lambda: member.run("show", ballot).returncode == 0, "the ballot is there")
        self.assertEqual(member.refused("set", ballot, "votes_cast.BY=N")["code"], "denied")
        self.assertEqual(member.refused("set", ballot, "result.yes=16")["code"], "denied")
        self.assertEqual(member.refused("late", "event0000")["code"], "invalid")


if __name__ == "__main__":
    unittest.main()
