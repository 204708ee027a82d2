# SPDX-License-Identifier: EUPL-1.2
"""Nothing acknowledged is lost: SIGKILL at random moments, full disks, two daemons on one directory."""
import os
import random
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from support import NodesTest, binaries, until

KILLS = 50


class KillTest(NodesTest):
    def test_fifty_kills_at_random_moments_lose_nothing_acknowledged(self):
        node = self.found()
        seed = random.randrange(2**32)
        moments = random.Random(seed)
        acknowledged = []
        lock = threading.Lock()
        over = threading.Event()

        def write(number):
            count = 0
            while not over.is_set():
                done = node.run("--json", "add", "event", f"title=Termin {number}.{count}", "when.start=2025-05-01")
                if done.returncode == 0:
                    entry = done.stdout.split('"entry": "')[1].split('"')[0]
                    record = done.stdout.split('"id": "')[1].split('"')[0]
                    with lock:
                        acknowledged.append((record, entry))
                    count += 1
        writers = [threading.Thread(target=write, args=(i,)) for i in range(2)]
        for writer in writers:
            writer.start()
        try:
            for _ in range(KILLS):
                before = len(acknowledged)
                until(lambda: len(acknowledged) > before, "something is acknowledged")
                time.sleep(moments.random() * 0.1)
                node.kill()
                node.start()
        finally:
            over.set()
            for writer in writers:
                writer.join()
        self.assertGreaterEqual(len(acknowledged), KILLS)
        held = {record["id"] for record in node.ask("list", "event")["records"]}
        missing = [record for record, _ in acknowledged if record not in held]
        self.assertEqual(missing, [], f"seed {seed}")
        record, entry = acknowledged[0]
        self.assertIn(entry, [item["entry"] for item in node.ask("log", record)["items"]])
        self.assert_sound(node)

    def test_killed_hub_and_member_come_back_into_step(self):
        hub = self.found()
        member = self.join(hub, "NW")
        for round_ in range(5):
            member.ask("add", "event", f"title=Runde {round_}", "when.start=2025-05-01")
            hub.kill()
            member.ask("add", "event", f"title=Ohne Hub {round_}", "when.start=2025-05-01")
            member.kill()
            hub.start()
            hub.ask("add", "event", f"title=Ohne NW {round_}", "when.start=2025-05-01")
            member.start()
            self.in_step(hub, member)
        self.assertEqual(hub.ask("list", "event")["total"], 15)
        self.assert_sound(hub)
        self.assert_sound(member)


class FullDiskTest(NodesTest):
    def fill(self, node):
        """Writes until the disk is full; the acknowledged records and the refusal."""
        acknowledged = []
        for number in range(2000):
            done = node.run("--json", "add", "document", f"title=Dokument {number}", "text=" + "Text " * 4000)
            if done.returncode != 0:
                return acknowledged, done.stderr
            acknowledged.append(done.stdout.split('"id": "')[1].split('"')[0])
        raise AssertionError("the disk did not become full")

    def go_on_with_space(self, hub, member, acknowledged):
        """Killed and started again, both hold what either acknowledged, and write."""
        for node in (hub, member):
            node.kill()
            node.start()
            self.assert_sound(node)
        self.in_step(hub, member)
        for node in (hub, member):
            held = {record["id"] for record in node.ask("list", "document")["records"]}
            for land, records in acknowledged.items():
                self.assertEqual(set(records) - held, set(), f"{node.land} lacks documents of {land}")
            node.ask("add", "event", "title=Wieder Platz", "when.start=2025-05-01")

    def test_two_processes_under_a_full_disk_lose_nothing_and_go_on_with_space(self):
        hub = self.found()
        member = self.join(hub, "NW")
        self.in_step(hub, member)
        for node in (hub, member):
            node.stop()
            sizes = [file.stat().st_size for file in node.data.iterdir() if file.is_file()]
            node.start(limit_file_bytes=max(sizes) + 400_000)
        acknowledged = {}
        for node in (hub, member):
            acknowledged[node.land], refusal = self.fill(node)
            self.assertIn('"storage"', refusal)
            # It still answers, and what it acknowledged can be read.
            self.assertTrue(set(acknowledged[node.land]) <=
                            {record["id"] for record in node.ask("list", "document")["records"]})
        self.go_on_with_space(hub, member, acknowledged)

    INSIDE = "STAFFEL_E2E_OWN_DISK"  # set where the test runs on a small file system of its own

    def run_on_own_disk(self, size):
        """Runs this test again, with a file system of that size for all that it makes."""
        with tempfile.TemporaryDirectory(prefix="staffel-disk-") as disk:
            mount = ["unshare", "--map-root-user", "--mount", "sh", "-c",
                     f'mount -t tmpfs -o size={size} tmpfs "$1" && shift && exec "$@"', "sh", disk]
            if subprocess.run([*mount, "true"], capture_output=True, check=False).returncode != 0:
                self.skipTest("no file system can be mounted here")
            done = subprocess.run([*mount, sys.executable, "-m", "unittest", self.id()], capture_output=True, text=True,
                                  check=False, cwd=os.path.dirname(__file__), timeout=600,
                                  env={**os.environ, self.INSIDE: disk, "TMPDIR": disk})
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("Ran 1 test", done.stderr)

    def test_two_nodes_share_one_full_disk_and_lose_nothing(self):
        if self.INSIDE not in os.environ:
            self.run_on_own_disk("32m")
            return
        disk = os.environ[self.INSIDE]
        hub = self.found()
        member = self.join(hub, "NW")
        self.in_step(hub, member)
        ballast = os.path.join(disk, "ballast")
        space = os.statvfs(disk)
        with open(ballast, "wb") as file:
            file.write(bytes(space.f_bavail * space.f_frsize - 600_000))
        acknowledged = {}
        for node in (hub, member):
            acknowledged[node.land], refusal = self.fill(node)
            self.assertIn('"storage"', refusal)
            self.assertIn("full", refusal)
        self.assertTrue(acknowledged["NI"])
        for node in (hub, member):
            # It still answers, and what it acknowledged can be read.
            self.assertTrue(set(acknowledged[node.land]) <=
                            {record["id"] for record in node.ask("list", "document")["records"]})
        os.remove(ballast)
        self.go_on_with_space(hub, member, acknowledged)

    def test_a_node_starts_on_a_full_disk_is_read_and_writes_again_once_there_is_room(self):
        hub = self.found()
        disk = self.home / "NW"
        node = self.node("NW")
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m,mode=700", "tmpfs", disk], capture_output=True,
                          check=False).returncode != 0:
            self.skipTest("no disk of its own can be mounted here")
        self.addCleanup(subprocess.run, ["umount", "-l", disk], check=False)
        node.config.write_text('data = "data"\n[exchange]\nretry_max_seconds = 1\n', encoding="utf-8")
        node.start()
        node.ask("join", "-", text=hub.ask("invite", "NW")["token"] + "\n")
        self.await_member(node)
        record = node.ask("add", "event", "title=Vorher", "when.start=2025-05-01")["record"]["id"]
        self.in_step(hub, node)
        filler = disk / "filler"
        subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=1k"], capture_output=True, check=False)
        self.assertEqual(node.refused("add", "event", "title=Zu viel", "when.start=2025-05-01")["code"], "storage")
        node.stop()
        node.start()
        self.assertEqual(node.ask("show", record)["record"]["title"], "Vorher")
        refusal = node.refused("add", "event", "title=Zu viel", "when.start=2025-05-01")
        self.assertEqual(refusal["code"], "storage")
        self.assertIn("the disk is full", " ".join(node.ask("status")["incidents"]))
        filler.unlink()
        node.ask("add", "event", "title=Wieder Platz", "when.start=2025-05-01")
        self.assertNotIn("the disk is full", " ".join(node.ask("status")["incidents"]))
        self.in_step(hub, node)
        node.stop()
        node.start()
        self.assert_sound(node)


class DirectoryTest(NodesTest):
    def second(self, node):
        return subprocess.run([binaries() / "staffeld", "--config", node.config], capture_output=True, text=True,
                              timeout=30, check=False)

    def test_a_second_daemon_on_one_directory_is_refused(self):
        node = self.found()
        second = self.second(node)
        self.assertEqual(second.returncode, 1)
        self.assertIn("another staffeld", second.stderr)
        self.assertIn(str(node.process.pid), second.stderr)
        node.ask("add", "event", "title=Weiter", "when.start=2025-05-01")

    def test_a_directory_open_to_others_is_refused(self):
        node = self.found()
        node.stop()
        node.data.chmod(0o750)
        refused = self.second(node)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("chmod 700", refused.stderr)

    def test_a_key_that_others_may_read_is_refused(self):
        node = self.found()
        node.stop()
        (node.data / "replica.key").chmod(0o640)
        refused = self.second(node)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("replica.key", refused.stderr)

    def test_a_lost_key_is_not_replaced_by_a_new_one(self):
        node = self.found()
        node.stop()
        (node.data / "tls.key").unlink()
        refused = self.second(node)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("backup", refused.stderr)
        self.assertFalse((node.data / "tls.key").exists())

    def test_files_are_for_the_nodes_user_alone(self):
        node = self.found()
        for file in node.data.iterdir():
            self.assertEqual(stat.S_IMODE(file.stat().st_mode) & 0o077, 0, file.name)

    def test_sigterm_ends_within_three_seconds_also_with_waiting_requests(self):
        hub = self.found()
        member = self.join(hub, "NW")
        self.in_step(hub, member)
        for node in (hub, member):
            begin = time.monotonic()
            node.process.terminate()
            self.assertEqual(node.process.wait(timeout=20), 0)
            self.assertLess(time.monotonic() - begin, 3 * 3)  # three seconds, on a machine busy with other tests


if __name__ == "__main__":
    unittest.main()
