# SPDX-License-Identifier: EUPL-1.2
"""Plays Staffel's main job with real processes, in two stories. The first: four ministries, one hub, no network
for a while. The second, with the same nodes, a guest's and one more Land's: receipts, a release, an erasure, a
restored backup, and the chair's handover on 1 July.

  scripts/demo            tells both stories and leaves the nodes running
  scripts/demo --check    plays the same without pauses, checks every sentence, stops all it started
  scripts/demo --stop     stops what scripts/demo has left running
  scripts/demo --lang en  tells it in English
"""
import argparse
import fcntl
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True  # no folder of compiled modules beside the scripts
from demo_second import SecondStory  # pylint: disable=wrong-import-position

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = ROOT / "data" / "intmk-demo.jsonl"
HOME = ROOT / "demo"
NOTICE = "Demodaten – keine tatsächlichen Beschlüsse"
LAENDER = {
    "BW": "Baden-Württemberg", "BY": "Bayern", "BE": "Berlin", "BB": "Brandenburg", "HB": "Bremen",
    "HH": "Hamburg", "HE": "Hessen", "MV": "Mecklenburg-Vorpommern", "NI": "Niedersachsen",
    "NW": "Nordrhein-Westfalen", "RP": "Rheinland-Pfalz", "SL": "Saarland", "SN": "Sachsen",
    "ST": "Sachsen-Anhalt", "SH": "Schleswig-Holstein", "TH": "Thüringen",
}
NODES = ["NI", "NW", "BY", "HE"]
HUB = "NI"
EDITS = 100
WAIT_SECONDS = 60
NW_TEXT = ("Sie bitten den Bund, die Migrationsberatung verlässlich zu finanzieren, mindestens für drei "
           "Haushaltsjahre.")
BY_TEXT = ("Sie bitten den Bund, die Migrationsberatung im Rahmen verfügbarer Haushaltsmittel zu "
           "finanzieren.")


class Failed(Exception):
    """A sentence of the story was not true, or a command was refused where it should not be."""


def free_ports(count):
    sockets = []
    for _ in range(count):
        one = socket.socket()
        one.bind(("127.0.0.1", 0))
        sockets.append(one)
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Node:
    """One ministry's node: a staffeld process with a directory of its own."""

    def __init__(self, land, home, binaries, replica_port, people_port, folder=None):
        self.land = land
        self.replica_port = replica_port
        self.people_port = people_port
        self.binaries = binaries
        self.directory = home / (folder or land)
        self.directory.mkdir(mode=0o700, parents=True)
        self.config = self.directory / "staffel.toml"
        self.log = self.directory / "staffeld.log"
        self.process = None
        # Only the hub is called by others. The ministries call out, as from behind a firewall: without the hub
        # they are alone.
        self.configure(listens=land == HUB)

    def configure(self, listens):
        """Writes the configuration file; with an address for other replicas where it `listens`."""
        replicas = f'[replicas]\naddress = "127.0.0.1"\nport = {self.replica_port}\n\n' if listens else ""
        self.config.write_text(
            f'data = "data"\nmember = "{self.land}"\n\n{replicas}'
            f'[people]\naddress = "127.0.0.1"\nport = {self.people_port}\n\n'
            '[exchange]\nretry_max_seconds = 1\n\n[log]\nlevel = "info"\n', encoding="utf-8")

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    @property
    def data(self):
        return self.directory / "data"

    def start(self):
        with open(self.log, "ab") as log:
            # A session of its own: Ctrl-C reaches this script alone, and it stops the nodes in order.
            self.process = subprocess.Popen(
                [self.binaries / "staffeld", "--config", self.config], stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            if self.process.poll() is not None:
                tail = self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise Failed(f"staffeld of {self.land} ended at once:\n{tail}")
            if self.run("status", check=False).returncode == 0:
                return
            if time.monotonic() > deadline:
                raise Failed(f"staffeld of {self.land} does not answer")
            time.sleep(0.05)

    def stop(self, how=signal.SIGTERM):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failed(f"staffeld of {self.land} did not stop within ten seconds") from None

    def command(self, *arguments):
        return [str(self.binaries / "staffel"), "--node", str(self.data), *arguments]

    def run(self, *arguments, check=True, text=None, lang="de"):
        done = subprocess.run(self.command("--lang", lang, *arguments), capture_output=True, text=True,
                              input=text, timeout=WAIT_SECONDS, check=False)
        if check and done.returncode != 0:
            raise Failed(f"{self.land}: staffel {' '.join(arguments)}: {done.stderr.strip()}")
        return done

    def ask(self, *arguments, text=None):
        return json.loads(self.run("--json", *arguments, text=text).stdout)

    def refused(self, *arguments):
        """The refusal of a command that must be refused."""
        done = self.run("--json", *arguments, check=False)
        if done.returncode != 1:
            raise Failed(f"{self.land}: staffel {' '.join(arguments)} was not refused: {done.stdout.strip()}")
        return json.loads(done.stderr)

    def digest(self, name="laender"):
        for audience in self.ask("status")["audiences"]:
            if audience["name"] == name:
                return audience["digest"]
        return ""


class Story(SecondStory):
    def __init__(self, arguments, home, binaries):
        self.german = arguments.lang == "de"
        self.check = arguments.check
        self.sentences = 0
        self.home = home
        self.binaries = binaries
        ports = free_ports(2 * len(NODES))
        self.nodes = {land: Node(land, home, binaries, ports[2 * i], ports[2 * i + 1])
                      for i, land in enumerate(NODES)}

    def new_node(self, land, folder=None):
        node = Node(land, self.home, self.binaries, *free_ports(2), folder=folder)
        self.nodes[folder or land] = node
        return node

    def text(self, german, english):
        return german if self.german else english

    def lang(self):
        return self.text("de", "en")

    def show_output(self, node, *arguments):
        for line in node.run(*arguments, lang=self.lang()).stdout.rstrip().split("\n"):
            self.detail(line)

    def tell(self, german, english):
        print("• " + self.text(german, english), flush=True)
        self.sentences += 1
        if not self.check:
            time.sleep(1.2)

    def detail(self, line):
        print("    " + line, flush=True)

    def must(self, truth, what):
        if not truth:
            raise Failed(what)

    def until(self, condition, what):
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                states = "; ".join(self.state(node) for node in self.nodes.values())
                raise Failed(f"{what} ({states})")
            time.sleep(0.1)

    def state(self, node):
        done = node.run("--json", "status", check=False)
        if done.returncode != 0:
            return f"{node.land}: {done.stderr.strip()}"
        status = json.loads(done.stdout)
        return f"{node.land}: {status['state']} {node.digest()[:8]} {status['exchange']['last_error']}"

    def in_step(self):
        digests = {node.digest() for node in self.laender()}
        return len(digests) == 1 and "" not in digests

    def everybody(self):
        return list(self.nodes.values())

    def laender(self):
        """Those that run and have a vote: what the Länder share is not a guest's."""
        return [node for node in self.everybody() if node.running and node.land in LAENDER]

    def find(self, kind, field, value):
        for record in self.nodes["NW"].ask("list", kind)["records"]:
            if record["fields"].get(field) == value:
                return record
        raise Failed(f"no {kind} with {field} = {value}")

    def show(self, node, record):
        return node.ask("show", record["id"])["record"]

    # ---- the chapters ----

    def found(self):
        ni = self.nodes["NI"]
        for node in self.everybody():
            node.start()
        self.tell("Vier Ministerien starten je einen Knoten, mit eigenem Verzeichnis, eigenen Schlüsseln und eigener "
                  "Datenbank: Niedersachsen, Nordrhein-Westfalen, Bayern, Hessen.",
                  "Four ministries start a node each, with a directory, keys and a database of its own: Lower Saxony, "
                  "North Rhine-Westphalia, Bavaria, Hesse.")
        lands = [part for land, name in LAENDER.items() for part in ("--land", f"{land}={name}")]
        ni.ask("found", "IntMK", "--as", "NI", *lands, "--guest", "BUND=Bund", "--demonstration", "--rule",
               "rotation.first-day=07-01", "--title",
               "Konferenz der für Integration zuständigen Ministerinnen und Minister, Senatorinnen und Senatoren der "
               "Länder")
        self.must(ni.ask("status")["is_hub"], "NI is not the hub of the conference that it has founded")
        self.tell("Niedersachsen hat den Vorsitz und gründet die IntMK; sein Knoten ist der Hub.",
                  "Lower Saxony has the chair and founds the IntMK; its node is the hub.")
        for land in NODES[1:]:
            node = self.nodes[land]
            token = ni.ask("invite", land)["token"]
            node.ask("join", "-", text=token + "\n")
            self.join(land)
        # Whoever finds the last invitation in a mailbox gets nowhere with it.
        thief = self.new_node(land, folder="finder")
        thief.start()
        thief.ask("join", "-", text=token + "\n")
        self.until(lambda: thief.ask("status")["join"]["state"] == "refused",
                   "an invitation could be used twice")
        thief.stop()
        del self.nodes["finder"]
        self.tell("Die drei anderen treten mit je einer Einladung bei: ein einmaliger Code, der Schlüssel des Hubs darin. "
                  "Einem Beitritt stimmt zu, wer schon dabei ist; der Hub allein kann keinen Schlüssel eines Landes "
                  "machen.",
                  "The three others join with an invitation each: a code for one use, with the hub's key in it. Those "
                  "who are in approve each joining; the hub alone cannot make a key for a Land.")

    def join(self, land):
        node = self.nodes[land]
        members = [other for other in self.everybody()
                   if other is not node and other.ask("status")["state"] == "member"]
        if len(members) > 1 and land in LAENDER:
            # The invitation is the hub's; the others' approval is their own.
            self.until(lambda: any(set(proposal["approved"]) == {HUB} for proposal in
                                   members[0].ask("waiting")["proposals"]),
                       f"the joining of {land} does not wait for another Land")
            self.must(node.ask("status")["state"] != "member", f"the hub alone has given {land} its key")

        def joined():
            if node.ask("status")["state"] == "member":
                return True
            for other in members:
                for proposal in other.ask("waiting")["proposals"]:
                    if proposal["ours_helps"]:
                        # Another may have been quicker; what counts is the outcome.
                        other.run("approve", proposal["entry"], check=False)
            return False
        self.until(joined, f"{land} did not become a member")

    def load(self):
        ni = self.nodes["NI"]
        job = ni.ask("import", str(DATA))
        self.must(job["import"]["created"] > 100, "the demonstration data is not all there")
        again = ni.ask("import", str(DATA))["import"]
        self.must(again["created"] == 0 and again["changed"] == 0, "a second import changed something")
        self.until(self.in_step, "the four nodes did not come into step")
        private = [item["id"] for item in ni.ask("list", "agenda-item")["records"] if item["audience"] == "land:NI"]
        self.must(len(private) == 1, "the fireside talk is not the chair's alone")
        counts = {node.land: node.ask("status")["counts"]["records"] for node in self.everybody()}
        shared = counts["NI"] - len(private)
        self.must(all(counts[land] == shared for land in NODES[1:]),
                  f"the nodes hold different numbers of records: {counts}")
        for node in self.everybody()[1:]:
            self.must(node.run("show", private[0], check=False).returncode == 1,
                      f"{node.land} has the fireside talk, which is the chair's alone")
        listing = self.nodes["HE"].run("list", "resolution").stdout
        self.must(NOTICE in listing, "the notice is missing on a listing")
        records = job["import"]["records"]
        self.tell(f"Die Demodaten der 20. IntMK sind geladen: {records} Datensätze. Alle vier Knoten sind im "
                  f"Gleichstand; nur das Kamingespräch hat außer Niedersachsen niemand. ({NOTICE})",
                  f"The demonstration data of the 20th IntMK is loaded: {records} records. All four nodes are in step; "
                  f"only the fireside talk nobody has but Lower Saxony. ({NOTICE})")

    def offline(self):
        self.nodes["NI"].stop()
        self.tell("Der Hub wird angehalten. Die anderen arbeiten weiter, als wäre nichts.",
                  "The hub is stopped. The others go on working as if nothing had happened.")
        nw, by, he = self.nodes["NW"], self.nodes["BY"], self.nodes["HE"]

        self.r04 = self.find("resolution", "number", "2.3")
        self.before = self.show(nw, self.r04)["fields"]["items"][1]["text"]
        nw_author = self.find("person", "name", "Jasna Beispiel")["id"]
        by_author = self.find("person", "name", "Bruno Beispiel")["id"]
        self.acknowledged = {"NW": [], "BY": [], "HE": []}
        self.note("NW", nw.ask("--author", nw_author, "set", self.r04["id"], "items.2.text=" + NW_TEXT))
        self.note("BY", by.ask("--author", by_author, "set", self.r04["id"], "items.2.text=" + BY_TEXT))
        self.tell("Nordrhein-Westfalen und Bayern schreiben verschiedene Texte in Ziffer 2 von TOP 2.3, "
                  "„Fortentwicklung der Migrationsberatung“.",
                  "North Rhine-Westphalia and Bavaria write different texts into Ziffer 2 of TOP 2.3, "
                  "„Fortentwicklung der Migrationsberatung“.")
        self.detail("NW: " + NW_TEXT)
        self.detail("BY: " + BY_TEXT)

        self.contact = self.find("person", "name", "Quirin Muster")
        self.note("NW", nw.ask("set", self.contact["id"], "memberships.1.function=Leitung der Geschäftsstelle"))
        self.note("BY", by.ask("set", self.contact["id"], "assistant=Ragnhild Muster"))
        self.tell("Am selben Kontakt ändert Nordrhein-Westfalen die Funktion, Bayern das Vorzimmer.",
                  "Of one contact North Rhine-Westphalia changes the function, Bavaria the assistant.")

        self.meeting = self.find("meeting", "body", "AG")
        self.note("HE", he.ask("set", self.meeting["id"], "when.start=2025-01-21T10:00", "when.end=2025-01-21T15:00"))
        fields = {"name": "Zoë Beispiel-Neu", "memberships": [{"member": "HE", "role": "referat",
                                                               "function": "Referentin Integration"}]}
        person = he.ask("add", "person", "--from", "-", text=json.dumps(fields))
        self.person = person["record"]
        self.note("HE", person)
        self.tell("Hessen verlegt eine Sitzung der Arbeitsgruppe um eine Woche und legt eine Person an.",
                  "Hesse moves a meeting of the working group by a week and adds a person.")

    def note(self, land, change):
        self.must(change["entry"] != "", f"{land}: a change without an entry")
        self.acknowledged[land].append((change["record"]["id"], change["entry"]))

    def crash(self):
        by = self.nodes["BY"]
        first_process = by.process
        target = self.find("resolution", "number", "2.2")
        killed = threading.Event()
        half = threading.Event()
        killed_at = None

        def edit(number):
            done = by.run("--json", "set", target["id"], f"reasons=Begründung, Fassung {number}", check=False)
            if done.returncode == 0:
                self.note("BY", json.loads(done.stdout))
            return done.returncode == 0

        def kill():
            half.wait()
            by.process.send_signal(signal.SIGKILL)
            by.process.wait()
            killed.set()
        killer = threading.Thread(target=kill, daemon=True)  # waits for ever where the story ends before
        killer.start()
        number = 0
        while not killed.is_set() or number < EDITS:
            if number == EDITS // 2:
                half.set()
            if edit(number):
                number += 1
                continue
            # The node is gone: it is started again, and the officer goes on where she was.
            self.must(half.is_set(), "BY refused an edit before anybody had killed it")
            killed.wait()
            killed_at = number
            by.start()
        killer.join()
        self.must(first_process.returncode == -signal.SIGKILL and by.process is not first_process
                  and by.process.poll() is None, "BY was not killed and started again")
        self.must(killed_at is not None and EDITS // 2 <= killed_at < EDITS,
                  f"BY was not killed in the midst of its edits but after {killed_at}")
        log = {item["entry"] for item in by.ask("log", target["id"])["items"]}
        missing = [entry for record, entry in self.acknowledged["BY"]
                   if record == target["id"] and entry not in log]
        self.must(not missing, f"BY has lost {len(missing)} acknowledged edits")
        self.last_reasons = self.show(by, target)["fields"]["reasons"]
        self.target = target
        self.tell(f"Mitten in {EDITS} Änderungen wird der Knoten von Bayern mit SIGKILL beendet und neu gestartet: alles, "
                  "was er bestätigt hatte, ist da.",
                  f"In the midst of {EDITS} edits Bavaria's node is ended by SIGKILL and started again: all that it had "
                  "acknowledged is there.")

    def converge(self):
        label = self.text("gescheitert, weil", "failed because")
        lines = self.nodes["NW"].run("status", lang=self.lang()).stdout.split("\n")
        reasons = [line.partition(label)[2].strip() for line in lines if label in line]
        self.must(reasons and reasons[0], "NW does not say why its last attempt failed")
        self.detail(self.text("NW sagt: ", "NW says: ") + reasons[0])
        self.nodes["NI"].start()
        self.until(self.in_step, "the four nodes did not come into step after the hub came back")
        self.tell("Der Hub kommt zurück. Ohne Zutun finden alle vier wieder zusammen.",
                  "The hub comes back. All four come together again by themselves.")
        for node in self.everybody():
            conflicts = [c for c in node.ask("conflicts", "list")["conflicts"]]
            self.must(len(conflicts) == 1, f"{node.land} lists {len(conflicts)} conflicts, not one")
            conflict = conflicts[0]
            self.must(conflict["record"]["id"] == self.r04["id"], f"{node.land}: the conflict is of another record")
            self.path = conflict["path"]
            texts = {head["member"]: head for head in conflict["heads"]}
            self.must(set(texts) == {"NW", "BY"}, f"{node.land}: the conflict is between {set(texts)}")
            self.must(texts["NW"]["text"] == NW_TEXT and texts["BY"]["text"] == BY_TEXT,
                      f"{node.land}: the conflict does not show both texts")
            self.must("Jasna Beispiel" in texts["NW"]["author"] and "Bruno Beispiel" in texts["BY"]["author"],
                      f"{node.land}: the conflict does not say who")
            self.must(all(head["time"] for head in conflict["heads"]), f"{node.land}: the conflict does not say when")
            self.must(conflict["base"] == self.before, f"{node.land}: the conflict does not say from what")
        self.tell("Der Konflikt an Ziffer 2 steht auf jedem Knoten, mit beiden Texten: wer, wann, aus was. Entschieden ist "
                  "nichts.",
                  "The conflict at Ziffer 2 is listed on every node with both texts: who, when, from what. Nothing has "
                  "been decided.")
        self.show_output(self.nodes["HE"], "conflicts", "show", self.r04["id"][:8])
        for node in self.everybody():
            contact = self.show(node, self.contact)
            self.must(contact["fields"]["assistant"] == "Ragnhild Muster"
                      and contact["fields"]["memberships"][0]["function"] == "Leitung der Geschäftsstelle",
                      f"{node.land}: the contact lacks a change")
            self.must(contact["conflicts"] == 0, f"{node.land}: the contact has a conflict")
            meeting = self.show(node, self.meeting)
            self.must(meeting["fields"]["when"]["start"] == "2025-01-21T10:00", f"{node.land}: the meeting was not moved")
            self.must(self.show(node, self.person)["fields"]["name"] == "Zoë Beispiel-Neu",
                      f"{node.land}: the new person is missing")
            self.must(self.show(node, self.target)["fields"]["reasons"] == self.last_reasons,
                      f"{node.land}: Bavaria's edits are missing")
        self.tell("Der Kontakt hat beide Änderungen und keinen Konflikt; die Sitzung ist verlegt, die Person überall da.",
                  "The contact has both changes and no conflict; the meeting is moved, the person is everywhere.")

    def decide(self):
        seen = self.nodes["NI"].ask("conflicts", "show", self.r04["id"], self.path)["conflicts"][0]["version"]
        self.nodes["NI"].ask("conflicts", "take", self.r04["id"], self.path, "--from", "NW", "--if-version", seen)
        self.until(lambda: self.in_step() and all(node.ask("status")["counts"]["conflicts"] == 0
                                                  for node in self.everybody()),
                   "the decision did not reach every node")
        for node in self.everybody():
            items = self.show(node, self.r04)["fields"]["items"]
            self.must(items[1]["text"] == NW_TEXT, f"{node.land}: Ziffer 2 does not have the text that was decided")
        self.tell("Die Geschäftsstelle in Niedersachsen entscheidet mit einem Befehl; überall gilt nun derselbe Text.",
                  "The secretariat in Lower Saxony decides with one command; the same text now stands everywhere.")

    def nothing_is_lost(self):
        """Every acknowledged change is on every Land's node that runs, and each node's journals are right. Says
        how many changes there are."""
        nodes = self.laender()
        for land, changes in self.acknowledged.items():
            for node in nodes:
                held = {}
                for record, entry in changes:
                    if record not in held:
                        held[record] = {item["entry"] for item in node.ask("log", record)["items"]}
                    self.must(entry in held[record], f"{node.land} lacks an acknowledged change of {land}: {entry}")
        for node in nodes:
            self.must(node.ask("verify")["verify"]["problems"] == [], f"{node.land}: verify finds problems")
        digests = {node.land: node.digest() for node in nodes}
        self.must(len(set(digests.values())) == 1, f"the digests differ: {digests}")
        return sum(len(changes) for changes in self.acknowledged.values())

    def show_digests(self):
        for node in self.laender():
            self.detail(f"{node.land}  {node.digest()}")

    def compare(self):
        count = self.nothing_is_lost()
        self.tell(f"Keine der {count} bestätigten Änderungen fehlt, auf keinem Knoten; jeder hat seine Journale "
                  "nachgerechnet. Die Prüfsummen aller vier sind gleich:",
                  f"None of the {count} acknowledged changes is missing, on no node; each has recomputed its journals. "
                  "The digests of all four are equal:")
        self.show_digests()

    def to_try(self):
        """What one may go on with, at NW's node, the hub by now."""
        r04 = self.r04["id"][:8]
        return [["status"], ["list", "resolution"], ["show", r04], ["log", r04], ["search", "Migrationsberatung"],
                ["set", self.contact["id"][:8], "note=Notiz"], ["receipts"], ["audience", "list"],
                ["erasures", "list", self.erased["id"][:8]], ["handover", "protocol"], ["verify", "--handover"],
                ["release", r04, "--to", "guests", "--dry-run"], ["--help"]]

    def play(self):
        for chapter in (self.found, self.load, self.offline, self.crash, self.converge, self.decide, self.compare):
            chapter()
        self.play_second()
        for command in self.to_try() if self.check else []:
            self.must(self.nodes["NW"].run(*command, check=False).returncode == 0,
                      f"a command to try does not work: {' '.join(command)}")

    def stop_all(self):
        problems = []
        for node in self.everybody():
            try:
                node.stop()
            except Failed as failed:
                problems.append(str(failed))
        return problems

    def leave_running(self):
        print()
        print(self.text("Die Knoten laufen weiter:", "The nodes go on running:"))
        for node in self.everybody():
            status = node.ask("status")
            hub = f"   Hub {status['replicas_address']}" if status["is_hub"] else ""
            self.detail(f"{node.land}  {status['people_address']}/   {os.path.relpath(node.data)}{hub}")
        staffel = os.path.relpath(self.nodes["NW"].binaries / "staffel")
        data = os.path.relpath(self.nodes["NW"].data)
        print()
        print(self.text("Zum Weiterprobieren:", "To try next:"))
        self.detail(f"export STAFFEL_NODE={data}")
        for command in self.to_try():
            self.detail(f"{staffel} {' '.join(command)}")
        self.detail(f"{staffel} --node {os.path.relpath(self.nodes['BUND'].data)} list" +
                    self.text("   (was der Gast sieht)", "   (what the guest sees)"))
        print()
        print(self.text("Anhalten: scripts/demo --stop", "To stop: scripts/demo --stop"))


def take_home():
    """Locks demo/ for this process, while it lives; nothing where another one plays there."""
    HOME.mkdir(exist_ok=True)
    home = os.open(HOME, os.O_RDONLY)
    try:
        fcntl.flock(home, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    return home


def left_running():
    """The nodes that work in demo/, whoever started them: also those of a story that was killed."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if command[0].endswith(b"/staffeld") and any(part.startswith(os.fsencode(HOME) + b"/") for part in command):
            found.append(int(process.name))
    return found


def stop_left_running():
    """Says whether there was anything to stop."""
    pids = left_running()
    for pid in pids:
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            continue
    deadline = time.monotonic() + 10
    while left_running() and time.monotonic() < deadline:
        time.sleep(0.1)
    if left_running():
        sys.exit("scripts/demo: ein Knoten hält nicht an / a node does not stop: "
                 + ", ".join(str(pid) for pid in left_running()))
    return bool(pids)


def build():
    print("scripts/demo: baut die Programme, beim ersten Mal einige Minuten / builds the programs, some minutes "
          "the first time", file=sys.stderr, flush=True)
    for step in (["cmake", "--preset", "release"], ["ninja", "-C", "build/release", "staffeld", "staffel"]):
        log = subprocess.run(step, cwd=ROOT, capture_output=True, text=True, check=False)
        if log.returncode != 0:
            sys.stderr.write((log.stdout + log.stderr)[-4000:])
            sys.exit(f"scripts/demo: {' '.join(step)} failed")
    return ROOT / "build" / "release" / "bin"


def interrupt(*_):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="without pauses, in a temporary directory")
    parser.add_argument("--stop", action="store_true", help="stop what was left running")
    parser.add_argument("--lang", choices=["de", "en"], default="de")
    parser.add_argument("--bin", type=pathlib.Path, help="use these programs and build nothing")
    arguments = parser.parse_args()
    # An end from outside stops the nodes as Ctrl-C does.
    for end in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(end, interrupt)
    if arguments.check:
        return play(arguments, pathlib.Path(tempfile.mkdtemp(prefix="staffel-demo-")))
    lock = take_home()
    if lock is None:
        sys.exit("scripts/demo: hier wird gerade schon gespielt; warten, oder mit --check daneben / "
                 "it is being played here already; wait, or play beside it with --check")
    stopped = stop_left_running()
    if arguments.stop:
        print("scripts/demo: die Knoten sind angehalten (the nodes are stopped)" if stopped
              else "scripts/demo: nichts läuft (nothing runs)")
        return 0
    for left in HOME.iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    return play(arguments, HOME)


def play(arguments, home):
    good = False
    interrupted = False
    story = None
    try:
        binaries = arguments.bin.resolve() if arguments.bin else build()
        story = Story(arguments, home, binaries)
        story.play()
        good = True
        if not arguments.check:
            story.leave_running()
    except Failed as failed:
        print(f"\nscripts/demo: nicht wahr / not true: {failed}", file=sys.stderr)
    except KeyboardInterrupt:
        interrupted = True
        print("\nscripts/demo: abgebrochen / interrupted", file=sys.stderr)
    finally:
        if arguments.check or not good:
            problems = story.stop_all() if story else []
            for problem in problems:
                print(f"scripts/demo: {problem}", file=sys.stderr)
            good = good and not problems
            if arguments.check and (good or interrupted or not story):
                shutil.rmtree(home, ignore_errors=True)
            elif story:
                print(f"scripts/demo: Protokolle / logs: {home}/*/staffeld.log", file=sys.stderr)
    if good and arguments.check:
        print(f"\n{story.sentences} Sätze, alle wahr / {story.sentences} sentences, all true")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
