# SPDX-License-Identifier: EUPL-1.2
"""The demo's second story, played by the first one's nodes, a guest's and Mecklenburg-Vorpommern's: receipts, a
release, an erasure, a restored backup, and the chair's handover. scripts/demo mixes it into its Story."""
import socket
import ssl
import time

RELEASED = "mindestens für drei Haushaltsjahre"
DRAFT = "Unfertiger Zwischenstand Zwergkaninchen"
# Of the reasons, of the draft, and of the text as it was and as it was turned down.
UNRELEASED = ("Zwergkaninchen", "zwergkaninchen", "seit Jahren gleich geblieben", "Rahmen verfügbarer",
              "bedarfsgerecht")
ERASED_MARKS = ("Wanda", "gast3@bund.example.org")
RECEIPT_SECONDS = 3  # a hub writes a receipt within one


def files_with(directory, marks):
    """The files below a directory that hold one of the marks: database, its log, the daemon's log, everything."""
    found = []
    for file in sorted(directory.rglob("*")):
        try:
            content = file.read_bytes() if file.is_file() and not file.is_symlink() else b""
        except FileNotFoundError:
            continue  # the node has just removed it
        found += [f"{file.name}: {mark}" for mark in marks if mark.encode() in content]
    return found


def ask_as_a_browser(port):
    """What the node answers to people's browsers: (status, body)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            try:
                while piece := connection.recv(65536):
                    received += piece
            except (ConnectionResetError, ssl.SSLError):
                pass  # closed without a farewell: what was received counts
    head, _, body = received.partition(b"\r\n\r\n")
    return (int(head.split(b" ", 2)[1]) if head.startswith(b"HTTP/") else 0), body


class SecondStory:
    """Chapters of the second story. Each tells only what it has checked."""

    def play_second(self):
        print("\n" + self.text("Die zweite Geschichte: ein Gast, eine Löschung, eine Sicherung und der 1. Juli",
                               "The second story: a guest, an erasure, a backup, and 1 July"))
        for chapter in (self.receive, self.admit_guest, self.release, self.erase, self.restore, self.announce,
                        self.hand_over, self.old_hub, self.come_back, self.compare_again):
            chapter()

    # ---- what several chapters need ----

    def add_event(self, node, title):
        change = node.ask("add", "event", f"title={title}", "when.start=2025-07-01")
        self.note(node.land, change)
        return change

    def reception(self, node, record):
        return self.show(node, {"id": record})["reception"]

    def until_received(self, node, record):
        self.until(lambda: self.reception(node, record) == "received", f"a change of {node.land} was not received")

    def holds(self, node, record):
        return node.run("show", record, check=False).returncode == 0

    def chair(self, node):
        return node.ask("status")["chair"]

    def addresses(self, node):
        """Whose nodes have an address, by the charter as this node knows it."""
        return {member["id"] for member in node.ask("charter", "show")["members"]
                if any(key["url"] for key in member["keys"])}

    # ---- the chapters ----

    def receive(self):
        nw = self.nodes["NW"]
        change = self.add_event(nw, "Redaktionsschluss")
        record = change["record"]["id"]
        self.must(change["reception"] == "ministry", "a change is not shown as being at the ministry first")
        self.until_received(nw, record)
        item = nw.ask("log", record)["items"][0]
        self.must(item["received"] and item["receipt"] and item["receipt_term"] == 1, "the log lacks the receipt")
        last = [one["last"] for one in nw.ask("receipts")["audiences"] if one["audience"] == "laender"][0]
        self.must(last["member"] == "NI", "the receipt is not the chair's")
        self.tell("Nordrhein-Westfalen legt einen Termin an. Erst steht er als „beim Ministerium“ da; sobald der "
                  "Vorsitz seinen Eingangsvermerk unterschrieben hat, als „eingegangen“.",
                  "North Rhine-Westphalia adds an event. At first it is shown as at the ministry; once the chair "
                  "has signed its receipt, as received.")
        self.show_output(nw, "log", record)

    def admit_guest(self):
        ni = self.nodes["NI"]
        for land in ("MV", "BUND"):
            node = self.new_node(land)
            node.start()
            node.ask("join", "-", text=ni.ask("invite", land)["token"] + "\n")
            self.join(land)
        self.acknowledged["MV"] = []
        self.until(self.in_step, "Mecklenburg-Vorpommern did not come into step")
        bund = self.nodes["BUND"]
        names = {audience["name"] for audience in bund.ask("status")["audiences"]}
        self.must(names == {"land:BUND", "guests", "public"}, f"the guest reads {sorted(names)}")
        self.must(bund.ask("list")["total"] == 0, "the guest sees records before anything was released")
        self.tell("Zwei kommen dazu: Mecklenburg-Vorpommern, das alles nachholt, und der Bund als Gast mit eigenem "
                  "Knoten. Der Gast sieht noch nichts.",
                  "Two more come in: Mecklenburg-Vorpommern, which catches up with everything, and the Bund as a "
                  "guest with a node of its own. The guest sees nothing yet.")

    def release(self):
        ni, nw, bund = self.nodes["NI"], self.nodes["NW"], self.nodes["BUND"]
        r04 = self.r04["id"]
        fields = self.show(ni, self.r04)["fields"]
        together = [r04, fields["agenda_item"], fields["meeting"]]
        self.note("NW", nw.ask("set", r04, f"reasons={DRAFT}: Begründung"))
        draft = nw.ask("add", "resolution", f"title={DRAFT}: nächster Beschlussvorschlag")
        self.note("NW", draft)
        self.until(self.in_step, "the drafts did not reach the Länder")
        # The resolution and its agenda item name each other and the meeting: none can go alone.
        for one in together[:2]:
            self.must(ni.refused("release", one, "--to", "guests")["code"] == "denied",
                      "a record is released that names what the guest may not see")
        ni.ask("release", *together, "--to", "guests", "--part", "decision", "--without", "organizer")
        self.until(lambda: all(self.holds(bund, one) for one in together), "the release did not reach the guest")
        # After the release, too: nothing that the Länder write now may follow it.
        self.note("BY", self.nodes["BY"].ask("set", r04, f"reasons={DRAFT}: Begründung aus Bayern"))
        self.until(self.in_step, "the drafts did not reach the Länder")
        bund.ask("sync", "--wait", "30")
        self.until(lambda: ni.digest("guests") == bund.digest("guests"), "hub and guest are not in step")

        listed = bund.ask("list")
        self.released = set(together)
        self.must({one["id"] for one in listed["records"]} == self.released,
                  f"the guest lists {listed['total']} records, not the released ones alone")
        seen = bund.ask("show", r04)["record"]
        self.must(seen["audience"] == "guests" and seen["fields"]["items"][1]["text"].endswith(RELEASED + "."),
                  "the guest does not see the text that was decided")
        self.must("reasons" not in seen["fields"], "the guest sees the reasons, which were not released")
        self.must(bund.refused("show", draft["record"]["id"])["code"] == "not-found", "the guest finds a draft")
        for word in DRAFT.split():
            self.must(bund.ask("search", word)["hits"] == [], f"the guest finds {word}")
        items = bund.ask("log", r04)["items"]
        self.must(len(items) < len(ni.ask("log", r04)["items"]) and all(
            item["author"] == "" and not any(change["has_before"] for change in item["changes"]) for item in items),
                  "the guest sees the history of what was released")
        for node in self.laender():
            inside = {one["id"] for one in node.ask("list", "--audience", "guests")["records"]}
            self.must(inside == self.released, f"{node.land} lists something else as released to guests")
        self.must(files_with(bund.directory, [RELEASED]),
                  "the search of files does not even find what was released")
        for mark in UNRELEASED:
            self.must(files_with(nw.directory, [mark]), f"the search of files does not find '{mark}' where it is")
        found = files_with(bund.directory, UNRELEASED)
        self.must(not found, f"the guest's node holds what was not released: {found}")
        self.tell("Niedersachsen gibt den Beschluss zu TOP 2.3 für Gäste frei, ohne Begründung; zusammen mit seinem "
                  "Tagesordnungspunkt und der Sitzung, denn sie nennen einander. Der Bund sieht genau diese drei. "
                  "Keine Datei seines Knotens enthält Worte der Begründung, eines Entwurfs oder der früheren und "
                  "verworfenen Fassungen.",
                  "Lower Saxony releases the decision on TOP 2.3 to guests, without its reasons; together with its "
                  "agenda item and the meeting, for they name each other. The Bund sees exactly these three. No file "
                  "of its node holds words of the reasons, of a draft, or of the earlier text and the one that was "
                  "turned down.")
        self.show_output(bund, "list")

    def erase(self):
        ni, nw = self.nodes["NI"], self.nodes["NW"]
        self.backup = self.home / "NW-sicherung.db"
        nw.ask("backup", str(self.backup))
        after = [self.add_event(nw, f"nach der Sicherung {number}")["record"]["id"] for number in range(1, 4)]
        for record in after:
            self.until_received(nw, record)
        self.after_backup = after
        self.until(self.in_step, "the Länder did not come into step")
        self.tell("Nordrhein-Westfalen sichert seinen Bestand in eine Datei und arbeitet weiter: drei Termine, "
                  "alle eingegangen.",
                  "North Rhine-Westphalia backs everything up into a file and works on: three events, all "
                  "received.")

        self.erased = self.find("person", "name", "Wanda Beispiel-Bund")
        person = self.erased["id"]
        for node in self.laender():
            self.must(files_with(node.directory, ERASED_MARKS), f"{node.land} does not hold Wanda Beispiel-Bund")
        ni.ask("erase", person, "--yes")
        for node in self.laender():
            self.until(lambda node=node: self.show(node, self.erased)["erased"], f"{node.land} has not erased")
        self.until(lambda: self.carried_out(ni) == {node.land for node in self.laender()},
                   "not every Land says that it has erased")
        for node in self.everybody():
            self.until(lambda node=node: not files_with(node.directory, ERASED_MARKS),
                       f"{node.land}: a file still holds her name or her address")
            self.must(node.ask("search", "Wanda")["hits"] == [], f"{node.land}: she can still be found")
            self.must(node.ask("verify")["verify"]["problems"] == [], f"{node.land}: verify finds problems")
        self.must(nw.refused("set", person, "note=doch")["code"] == "denied", "an erased person can be written again")
        self.tell("Wanda Beispiel-Bund, Begleitung eines Gastes, verlangt ihre Löschung (Art. 17 DSGVO); "
                  "Niedersachsen löscht. In keiner Datei eines Knotens stehen noch ihr Vorname oder ihre Adresse, "
                  "und staffel verify findet überall alles richtig. Jeder Knoten sagt, wann er es vollzogen hat:",
                  "Wanda Beispiel-Bund, who accompanies a guest, asks to be erased (Art. 17 GDPR); Lower Saxony "
                  "erases. No file of any node holds her first name or her address any more, and staffel verify "
                  "finds everything right everywhere. Each node says when it has carried it out:")
        self.show_output(ni, "erasures", "list", person)

    def carried_out(self, node):
        erasures = node.ask("erasures", "list", self.erased["id"])["erasures"]
        done = [{one["member"] for one in erasure["replicas"] if one["carried_out"]} for erasure in erasures]
        return set.intersection(*done) if done else set()

    def restore(self):
        ni, nw, mv = self.nodes["NI"], self.nodes["NW"], self.nodes["MV"]
        ni.stop()
        # In the same hours, in Schwerin: three changes that reach nobody, then the node is switched off.
        self.must(self.addresses(mv) == {"NI"}, "Mecklenburg-Vorpommern knows more than the hub's address")
        self.stranded = [self.add_event(mv, f"aus Schwerin {number}")["record"]["id"] for number in range(1, 4)]
        self.must(all(self.reception(mv, record) == "ministry" for record in self.stranded),
                  "what cannot have been received is shown as received")
        mv.stop()

        nw.stop()
        nw.run("restore", str(self.backup), "--config", str(nw.config))
        self.must(files_with(nw.data, ERASED_MARKS), "the restored database is not the one from before the erasure")
        nw.start()
        self.must(nw.ask("status")["doubt"]["in_doubt"], "a restored node is not in doubt")
        status, body = ask_as_a_browser(nw.people_port)
        self.must(status == 503 and b"in doubt about its own past" in body,
                  f"a restored node serves people before its first exchange: {status}")
        self.must(not any(self.holds(nw, record) for record in self.after_backup),
                  "the backup holds what came after it")
        change = self.add_event(nw, "nach dem Zurückspielen")
        self.tell("Der Hub steht. In Nordrhein-Westfalen wird die Sicherung von vor der Löschung zurückgespielt; "
                  "Wanda Beispiel-Bund ist darin. Der Knoten merkt, dass er vielleicht nicht alles mehr weiß: Er "
                  "bedient niemanden, bis er sich mit einem anderen ausgetauscht hat. Was in der Geschäftsstelle "
                  "am Knoten selbst geschrieben wird, nimmt er an.",
                  "The hub is down. In North Rhine-Westphalia the backup from before the erasure is restored; "
                  "Wanda Beispiel-Bund is in it. The node notices that it may not know everything any more: it "
                  "serves nobody until it has exchanged with another one. What is written at the node itself it "
                  "takes.")

        ni.start()
        self.until(lambda: not nw.ask("status")["doubt"]["in_doubt"], "the restored node's doubt did not end")
        self.must(self.show(nw, self.erased)["erased"], "the node serves again and has not erased again")
        self.until(lambda: not files_with(nw.directory, ERASED_MARKS), "NW: a file holds her name or address again")
        self.until(lambda: ask_as_a_browser(nw.people_port)[0] == 200, "the node does not serve again")
        self.until(self.in_step, "the restored node did not come into step")
        for record in self.after_backup + [change["record"]["id"]]:
            self.must(self.holds(nw, record), "a change from after the backup is lost")
            self.until_received(nw, record)
        count = self.nothing_is_lost_but("MV")
        self.must(any(mark.encode() in self.backup.read_bytes() for mark in ERASED_MARKS),
                  "the backup does not hold her")
        self.backup.unlink()
        self.tell("Der Hub kommt zurück: Der Knoten löscht sie wieder, bevor er jemanden bedient, und holt alles "
                  f"nach. Von {count} bestätigten Änderungen fehlt keine. (Nur die Sicherung enthielt sie noch: "
                  "Sicherungen brauchen eine Aufbewahrungsfrist. Diese ist nun gelöscht.)",
                  "The hub comes back: the node erases her again before it serves anyone, and fetches all that it "
                  f"lacks. None of {count} acknowledged changes is missing. (Only the backup still held her: backups "
                  "need a term of storage. This one is now deleted.)")

    def nothing_is_lost_but(self, land):
        """As nothing_is_lost, without what that Land's node, being off, has told nobody yet."""
        waiting = self.acknowledged.pop(land)
        try:
            return self.nothing_is_lost()
        finally:
            self.acknowledged[land] = waiting

    def announce(self):
        ni, nw, by = self.nodes["NI"], self.nodes["NW"], self.nodes["BY"]
        # A hub must be reached by others; as a ministry NW called out only.
        nw.stop()
        nw.configure(listens=True)
        nw.start()
        nw.ask("keys", "address")

        def known():
            for proposal in ni.ask("waiting")["proposals"]:
                if proposal["ours_helps"]:
                    ni.run("approve", proposal["entry"])
            return all("NW" in self.addresses(node) for node in self.laender())
        self.until(known, "the address of North Rhine-Westphalia did not come into the charter")
        state = ni.ask("handover", "propose")["state"]
        self.must(state["announced_member"] == "NW", f"by the rules comes {state['announced_member']}, not NW")
        self.must(state["announced_starts"].endswith("-06-30T22:00:00Z"), "the next term does not begin on 1 July")
        for node in (nw, by):
            self.until(lambda node=node: node.ask("handover", "status")["state"]["announced_member"] == "NW",
                       f"{node.land} did not hear of the announcement")
            self.must(node.ask("handover", "accept")["done"] == "accepted", f"{node.land} did not agree")
        self.must(all(self.chair(node) == "NI" for node in self.laender()), "the chair has passed on unsigned")
        self.must(not self.nodes["MV"].running and not any(
            self.holds(node, record) for node in self.laender() for record in self.stranded),
                  "somebody knows what Mecklenburg-Vorpommern has told nobody")
        self.tell("Am 1. Juli wechselt der Vorsitz. Niedersachsen kündigt die Übergabe an; die Regel nennt das "
                  "nächste Land, Nordrhein-Westfalen. Dieses stimmt zu, und Bayern als drittes Land. Der Knoten von "
                  "Mecklenburg-Vorpommern ist aus; er hat drei Änderungen, von denen niemand weiß.",
                  "On 1 July the chair passes on. Lower Saxony announces the handover; the rules name the next "
                  "Land, North Rhine-Westphalia. It agrees, and Bavaria as the third Land. Mecklenburg-Vorpommern's "
                  "node is off; it has three changes that nobody knows of.")

    def hand_over(self):
        ni, nw, by, he = (self.nodes[land] for land in ("NI", "NW", "BY", "HE"))
        ni.ask("handover", "complete", "--now")
        for node in self.laender():
            self.until(lambda node=node: self.chair(node) == "NW", f"{node.land} does not follow to the new chair")
        printed = ni.run("handover", "protocol").stdout
        self.must(printed.strip() != "", "the protocol is empty")
        for node in (nw, by):
            self.until(lambda node=node: node.run("handover", "protocol", check=False).stdout == printed,
                       f"{node.land} prints another protocol than NI")
        paper = self.home / "uebergabe.txt"
        paper.write_text(printed, encoding="utf-8")
        self.must(he.ask("verify", "--handover", str(paper))["holds"], "Hesse does not confirm the protocol")
        forged = self.home / "uebergabe-falsch.txt"
        wrong = printed.replace("\nentries ", "\nentries 9")
        self.must(wrong != printed, "the protocol has no line with the number of entries")
        forged.write_text(wrong, encoding="utf-8")
        self.must(he.run("verify", "--handover", str(forged), check=False).returncode == 1,
                  "Hesse confirms a forged protocol")
        forged.unlink()
        self.tell("Niedersachsen wartet hier nicht bis zum 1. Juli und unterschreibt gleich, die beiden anderen "
                  "rechnen nach und unterschreiben: Den Vorsitz hat Nordrhein-Westfalen. Alter und neuer Hub drucken dasselbe Protokoll; Hessen, das nicht "
                  "unterschrieben hat, rechnet es nach: Es stimmt. Eine gefälschte Zahl darin fiele auf.",
                  "Lower Saxony, not waiting here until 1 July, signs at once, the two others recompute and sign: "
                  "North Rhine-Westphalia has the chair. "
                  "Old and new hub print the same protocol; Hesse, which has not signed, recomputes it: it is "
                  "right. A forged number in it would show.")
        self.show_output(he, "verify", "--handover", str(paper))

    def old_hub(self):
        ni, nw, by = self.nodes["NI"], self.nodes["NW"], self.nodes["BY"]
        self.must(not ni.ask("status")["is_hub"] and nw.ask("status")["is_hub"], "the hub has not changed")
        ballot = self.find("ballot", "number", "2.3")
        self.must(ni.refused("set", ballot["id"], "result.yes=14")["code"] == "denied",
                  "the old chair can still write what is the chair's")
        # Only the old hub can be reached: it takes the entry and passes it on, and receipts nothing.
        self.until(self.in_step, "the Länder did not come into step")
        nw.stop()
        record = self.add_event(by, "nach der Übergabe")["record"]["id"]
        self.until(lambda: self.holds(ni, record), "the old hub does not take entries any more")
        time.sleep(RECEIPT_SECONDS)
        self.must(self.reception(by, record) == "ministry" and self.reception(ni, record) == "ministry",
                  "the old hub has receipted after the handover")
        nw.start()
        self.until_received(by, record)
        item = by.ask("log", record)["items"][0]
        self.must(item["receipt_term"] == 2, f"the receipt is of term {item['receipt_term']}")
        last = [one["last"] for one in by.ask("receipts")["audiences"] if one["audience"] == "laender"][0]
        self.must(last["member"] == "NW", "the last receipt is not the new chair's")
        self.must(all(node.ask("receipts")["void"] == [] for node in self.laender()), "there are void receipts")
        self.tell("Der alte Hub quittiert nichts mehr: Ist nur er erreichbar, reicht er weiter, was Bayern "
                  "schreibt, und es bleibt „beim Ministerium“. Den Eingang vermerkt erst der neue Hub.",
                  "The old hub receipts nothing any more: where only it can be reached, it passes on what Bavaria "
                  "writes, which stays at the ministry. Only the new hub receipts it.")

    def come_back(self):
        nw, mv = self.nodes["NW"], self.nodes["MV"]
        mv.start()
        self.until(lambda: self.chair(mv) == "NW", "Mecklenburg-Vorpommern was not led on to the new hub")
        for record in self.stranded:
            self.until(lambda record=record: self.holds(nw, record), "a change from Schwerin did not reach the new hub")
            self.until_received(mv, record)
            items = mv.ask("log", record)["items"]
            self.must(items[0]["receipt_term"] == 2, "a change from Schwerin was not received by the new chair")
        self.must(mv.ask("verify", "--handover")["holds"], "Mecklenburg-Vorpommern does not confirm the protocol")
        self.tell("Mecklenburg-Vorpommern schaltet seinen Knoten wieder ein. Er kennt nur den alten Hub; der führt "
                  "ihn mit den Unterschriften zum neuen. Die drei Änderungen aus Schwerin sind angekommen und "
                  "eingegangen.",
                  "Mecklenburg-Vorpommern switches its node on again. It knows the old hub only; that leads it on "
                  "to the new one, with the signatures. The three changes from Schwerin have arrived and been "
                  "received.")

    def compare_again(self):
        self.until(self.in_step, "the five Länder did not come into step")
        count = self.nothing_is_lost()
        for node in self.everybody():
            self.must(not files_with(node.directory, ERASED_MARKS), f"{node.land}: a file holds what was erased")
        bund = self.nodes["BUND"]
        self.must({one["id"] for one in bund.ask("list")["records"]} == self.released,
                  "the guest sees more than the three released records")
        self.must(not files_with(bund.directory, UNRELEASED), "the guest's node holds what was not released")
        self.tell(f"Nach allem fehlt keine von {count} bestätigten Änderungen, die Gelöschte steht nirgends wieder, "
                  "der Gast sieht nach wie vor nur die drei. Die Prüfsummen der fünf Länder sind gleich:",
                  f"After all that none of {count} acknowledged changes is missing, who was erased is nowhere back, "
                  "and the guest still sees the three records only. The digests of the five Länder are equal:")
        self.show_digests()
