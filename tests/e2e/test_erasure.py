# SPDX-License-Identifier: EUPL-1.2
"""Erasure over real processes: every file of every node is searched for what must be gone."""
import shutil
import unittest

from support import NodesTest, until

MARKS = ("Beispielmark-Bund", "beispielmark-bund", "gastmark3@bund.example.org")


class ErasureTest(NodesTest):
    def person(self, node):
        return node.ask("add", "person", "name=Wanda Beispielmark-Bund", "note=Begleitung")["record"]["id"]

    def left(self, node):
        """Files of a node that still hold a mark: database, WAL, log, everything."""
        found = []
        for file in node.directory.rglob("*"):
            if file.is_file() and not file.is_symlink():
                content = file.read_bytes()
                found += [(file.name, mark) for mark in MARKS if mark.encode() in content]
        return found

    def erased_at(self, node, person):
        return node.ask("show", person)["record"]["erased"]

    def carried_out(self, node, person):
        replicas = node.ask("erasures", "list", person)["erasures"][0]["replicas"]
        return {replica["member"] for replica in replicas if replica["carried_out"]}

    def test_a_person_is_gone_from_all_files_of_all_nodes_also_of_one_that_was_away(self):
        hub = self.found()
        nw = self.join(hub, "NW")
        by = self.join(hub, "BY")
        person = self.person(nw)
        self.in_step(hub, nw, by)
        by.stop()
        # BY's copy of before is kept, as a backup would be.
        backup = self.home / "backup"
        shutil.copytree(by.data, backup, ignore=shutil.ignore_patterns("*.sock"))
        by.start()
        hub.stop()
        nw.ask("set", person, "note=Beispielmark-Bund unterwegs")  # while nobody hears of it
        nw.stop()
        hub.start()
        self.assertTrue(self.left(hub))
        plan = hub.ask("erase", person, "--plan")
        self.assertTrue(plan["audiences"][0]["erased"])
        self.assertFalse(self.erased_at(hub, person))
        self.assertEqual(hub.run("erase", person).returncode, 1)  # nobody has said yes
        hub.ask("erase", person, "--yes")
        self.assertEqual(self.left(hub), [])
        until(lambda: self.erased_at(by, person), "BY has erased")
        nw.start()
        until(lambda: self.erased_at(nw, person), "NW has erased")
        self.in_step(hub, nw, by)
        until(lambda: self.carried_out(hub, person) == {"NI", "NW", "BY"}, "all say so")
        for node in (hub, nw, by):
            self.assertEqual(self.left(node), [], node.land)
            self.assert_sound(node)
            self.assertEqual(node.ask("search", "Beispielmark")["hits"], [])
            self.assertEqual(node.refused("set", person, "note=doch")["code"], "denied")
            self.assertTrue(all(item["erased"] for item in node.ask("log", person)["items"]))
        # Set back to the copy of before, BY erases again.
        by.stop()
        for file in by.data.glob("staffel.db*"):
            file.unlink()
        for file in backup.glob("staffel.db*"):
            shutil.copy(file, by.data)
        self.assertTrue(self.left(by))
        by.start()
        until(lambda: self.erased_at(by, person) and not self.left(by), "BY has erased again")
        self.assert_sound(by)
        shutil.rmtree(backup)

    def test_what_nobody_may_erase_alone_waits_for_a_quorum(self):
        hub = self.found()
        nw = self.join(hub, "NW")
        meeting = hub.ask("add", "meeting", "title=Sitzung Beispielmark-Bund")["record"]["id"]
        self.in_step(hub, nw)
        refusal = hub.refused("erase", meeting, "--yes")
        self.assertEqual(refusal["code"], "denied")
        self.assertIn("quorum", refusal["message"])
        german = hub.run("erase", meeting, "--plan", lang="de").stdout
        self.assertNotIn("quorum", german)
        self.assertIn("nicht von hier allein", german)
        proposal = hub.ask("erase", meeting, "--yes", "--propose")["audiences"][0]["proposal"]
        self.assertFalse(self.erased_at(hub, meeting))
        until(lambda: nw.run("approve", proposal).returncode == 0, "NW can approve")
        for node in (hub, nw):
            until(lambda node=node: self.erased_at(node, meeting), f"{node.land} has erased")
            until(lambda node=node: self.left(node) == [], f"{node.land} has wiped its files")
            self.assert_sound(node)

    def test_whoever_approves_sees_of_which_record_contents_are_erased(self):
        hub = self.found()
        nw = self.join(hub, "NW")
        meeting = hub.ask("add", "meeting", "title=Sitzung Beispielmark-Bund")["record"]["id"]
        self.in_step(hub, nw)
        hub.ask("erase", meeting, "title", "--yes", "--propose")
        sentence = f"löscht Inhalte von meeting {meeting[:8]} im Kreis laender: „Sitzung Beispielmark-Bund“"
        until(lambda: sentence in nw.run("waiting", lang="de").stdout, "NW sees what it is asked")

    def test_a_closed_group_brings_nobody_back(self):
        hub = self.found()
        nw = self.join(hub, "NW")
        group = hub.ask("audience", "create", "AG", "--members", "NI,NW")["proposal"]["entry"]
        until(lambda: nw.run("approve", group).returncode == 0, "the group is founded")
        until(lambda: hub.run("audience", "show", "AG").returncode == 0, "the group is there")
        person = hub.ask("add", "person", f"name=Wanda {MARKS[0]}", "--audience", "AG")["record"]["id"]
        until(lambda: nw.run("show", person).returncode == 0, "NW has it")
        backup = self.home / "backup.db"
        nw.ask("backup", backup)
        hub.ask("erase", person, "--yes")
        closing = hub.ask("audience", "close", "AG", "--yes")["proposal"]["entry"]
        until(lambda: nw.run("approve", closing).returncode == 0, "NW can approve")
        until(lambda: hub.run("audience", "show", "AG").returncode != 0, "the group is closed")
        until(lambda: self.left(nw) == [], "nothing is left at NW")
        nw.stop()
        self.assertEqual(nw.run("restore", backup, "--config", nw.config).returncode, 0)
        self.assertTrue(self.left(nw))
        nw.start()
        until(lambda: self.left(nw) == [], "NW has erased again")
        for node in (hub, nw):
            self.assert_sound(node)

    def test_a_field_is_erased_and_the_rest_stays(self):
        hub = self.found()
        person = self.person(hub)
        hub.ask("set", person, "note=gastmark3@bund.example.org")
        hub.ask("erase", person, "note", "--yes")
        self.assertNotIn(("staffel.db", "gastmark3@bund.example.org"), self.left(hub))
        self.assertIn("Wanda", hub.run("show", person).stdout)
        self.assertEqual(hub.refused("erase", person, "nosuchfield", "--yes")["code"], "invalid")
        self.assert_sound(hub)


if __name__ == "__main__":
    unittest.main()
