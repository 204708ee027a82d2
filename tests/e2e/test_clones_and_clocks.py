# SPDX-License-Identifier: EUPL-1.2
"""One node that runs twice, and nodes whose clocks are a year off."""
import datetime
import glob
import shutil
import unittest

from support import NodesTest, until

FAKETIME = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")


def titles(node):
    return sorted(record["title"] for record in node.ask("list", "event")["records"])


def add(node, title):
    return node.ask("add", "event", f"title={title}", "when.start=2025-05-01")["record"]["id"]


class CloneTest(NodesTest):
    def test_a_copied_directory_started_beside_its_original_is_turned_away(self):
        hub = self.found()
        node = self.join(hub, "NW")
        add(node, "vorher")
        self.in_step(hub, node)
        node.stop()
        clone = self.node("NW2")
        shutil.copytree(node.data, clone.data, ignore=shutil.ignore_patterns("*.sock", "lock"))
        clone.data.chmod(0o700)
        node.start()
        add(node, "beim Original")
        self.in_step(hub, node)
        clone.start()
        until(lambda: "runs twice" in clone.ask("status")["exchange"]["last_error"], "the copy is told why")
        self.assertTrue([text for text in hub.ask("status")["incidents"] if "node of NW runs twice" in text])
        # Work goes on at both; the original stays in step.
        add(clone, "bei der Kopie")
        add(node, "weiter beim Original")
        self.in_step(hub, node)
        self.assertEqual(titles(hub), ["beim Original", "vorher", "weiter beim Original"])
        # Once the copy alone is left, and the hub has been told so by a new start, nothing is lost.
        node.stop()
        hub.stop()
        hub.start()
        self.in_step(hub, clone)
        self.assertIn("bei der Kopie", titles(hub))
        for one in (hub, clone):
            self.assert_sound(one)


@unittest.skipUnless(FAKETIME, "libfaketime is not installed: scripts/setup")
class ClockTest(NodesTest):
    def off_by(self, node, days):
        node.stop()
        node.environment = {"LD_PRELOAD": FAKETIME[0], "FAKETIME": f"{days:+d}d", "DONT_FAKE_MONOTONIC": "1",
                            "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        node.start()

    def written(self, at, record):
        text = at.ask("log", record)["items"][-1]["time"]
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))

    def test_a_clock_a_year_off_is_warned_and_bounded_and_moves_nobody(self):
        hub = self.found()
        wrong = self.join(hub, "NW")
        other = self.join(hub, "BY")
        now = datetime.datetime.now(datetime.timezone.utc)
        for days in (365, -365):
            with self.subTest(days=days):
                self.off_by(wrong, days)
                # The hub hears both; what most clocks show comes back with the next answer.
                until(lambda: wrong.ask("sync") and wrong.ask("status")["clock"]["wrong"], "the wrong clock is noticed")
                self.assertIn("CLOCK WRONG", wrong.run("status").stdout)
                record = add(wrong, f"Termin {days}")
                self.in_step(hub, wrong, other)
                for node in (hub, wrong, other):
                    self.assertLess(abs(self.written(node, record) - now), datetime.timedelta(minutes=15))
                    self.assertEqual(node.ask("log", record)["items"][0]["clock"], "")
                for node in (hub, other):
                    self.assertFalse(node.ask("status")["clock"]["wrong"])
                    fresh = add(node, f"von {node.land} {days}")
                    self.assertLess(abs(self.written(node, fresh) - now), datetime.timedelta(minutes=15))

    def test_a_hub_a_year_ahead_receipts_nothing_while_no_clock_bears_it_out(self):
        hub = self.found()
        member = self.join(hub, "NW")
        other = self.join(hub, "BY")
        self.in_step(hub, member, other)
        other.stop()
        self.off_by(hub, 365)
        record = add(member, "Termin")
        self.in_step(hub, member)
        until(lambda: "no receipts" in hub.ask("status")["chair_pauses"], "the hub says that it waits")
        self.assertIn("keine Eingangsvermerke", hub.run("status", lang="de").stdout)
        self.assertEqual(hub.ask("show", record)["record"]["reception"], "ministry")
        other.start()
        until(lambda: member.ask("show", record)["record"]["reception"] == "received", "a third clock decides")
        received = datetime.datetime.fromisoformat(
            member.ask("show", record)["record"]["received"].replace("Z", "+00:00"))
        now = datetime.datetime.now(datetime.timezone.utc)
        self.assertLess(abs(received - now), datetime.timedelta(minutes=15))

    def test_what_a_wrong_clock_dated_unnoticed_is_taken_and_marked(self):
        hub = self.found()
        wrong = self.join(hub, "NW")
        record = add(wrong, "Termin")
        self.in_step(hub, wrong)
        self.off_by(wrong, 400)
        # Two clocks: nobody knows which is wrong, and both sides are told.
        wrong.ask("set", record, "title=aus der Zukunft")
        self.in_step(hub, wrong)
        until(lambda: "differs by 400 days" in wrong.run("status").stdout.replace("\n", " "), "the node is warned")
        marks = [item["clock"] for item in hub.ask("log", record)["items"]]
        self.assertEqual(marks, ["", "ahead"])
        self.assertIn("clock: was ahead", hub.run("log", record).stdout)
        # The hub's own dates are as they were.
        hub.ask("set", record, "title=wieder heute")
        item = hub.ask("log", record)["items"][-1]
        self.assertLess(item["time"], datetime.datetime.now(datetime.timezone.utc).isoformat()[:4] + "-12-31T24")
        self.assertEqual(item["clock"], "")


if __name__ == "__main__":
    unittest.main()
