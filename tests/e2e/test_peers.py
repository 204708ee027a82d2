# SPDX-License-Identifier: EUPL-1.2
"""Who may exchange: certificates, invitations, peers that talk nonsense, proxies."""
import base64
import os
import pathlib
import socket
import ssl
import threading
import unittest

from support import NodesTest, certificate_of_key, free_port, make_certificate, post, read_all, until


class CertificateTest(NodesTest):
    def test_without_a_certificate_nobody_gets_in(self):
        hub = self.found()
        try:
            status, _ = post(hub.port, "/sync/v1/exchange", b"")
        except (ssl.SSLError, ConnectionError):
            return
        self.assertEqual(status, 0)

    def test_a_strangers_certificate_is_refused(self):
        hub = self.found()
        stranger = make_certificate(self.home, "stranger")
        for body in (b"", b"\0" * 40, os.urandom(200_000)):
            status, answer = post(hub.port, "/sync/v1/exchange", body, stranger)
            self.assertEqual(status, 403, answer)
            self.assertNotIn(b"NI", answer)
        self.assertEqual(post(hub.port, "/admin/v1/Status", b"", stranger)[0], 404)

    def test_an_imposter_in_the_hubs_place_gets_nothing(self):
        hub = self.found()
        member = self.join(hub, "NW")
        hub.stop()
        heard = []
        with Imposter(hub.port, make_certificate(self.home, "imposter"), heard.append):
            member.ask("add", "event", "title=Vertraulich", "when.start=2025-05-01")
            until(lambda: "key" in member.ask("status")["exchange"]["last_error"], "the wrong key is noticed")
        self.assertEqual([part for part in heard if part], [])
        hub.start()
        self.in_step(hub, member)

    def test_a_node_with_another_key_than_the_charters_is_told_why_nobody_answers(self):
        hub = self.found()
        member = self.join(hub, "NW")
        member.stop()
        _, key = make_certificate(self.home, "other")
        (member.data / "tls.key").write_bytes(pathlib.Path(key).read_bytes())
        member.start()
        until(lambda: "the charter does not list this key" in member.ask("status")["exchange"]["last_error"],
              "the reason is told")

    def test_a_hub_that_nobody_could_reach_founds_nothing(self):
        hub = self.node("NI", listen=True)
        hub.config.write_text(hub.config.read_text().replace("127.0.0.1", "::"))
        hub.start()
        refusal = hub.refused("found", "Test", "--as", "NI", "--land", "NI=Niedersachsen")
        self.assertIn("which url", refusal["message"])
        hub.stop()
        hub.config.write_text(hub.config.read_text().replace("[replicas]\n",
                                                             '[replicas]\nurl = "https://127.0.0.1:1"\n'))
        hub.start()
        for rule in ("rotation.first-day=99-99", "threshold.resolution=nonsense", "rotation.order=NI,ZZ"):
            self.assertIn("rule", hub.refused("found", "Test", "--as", "NI", "--land", "NI=Niedersachsen",
                                              "--rule", rule)["message"])
        marked = hub.refused("found", "Test", "--as", "NI", "--land", "NI=N", "--rule", "note=VS-NfD")
        self.assertEqual(marked["code"], "denied")
        hub.ask("found", "Test", "--as", "NI", "--land", "NI=Niedersachsen")
        self.assertIn("is the hub", hub.run("sync").stdout)
        self.assertEqual(hub.refused("add", "audience", "name=laender")["code"], "invalid")

    def test_when_a_node_was_last_in_step_is_known_after_a_restart_without_the_hub(self):
        hub = self.found()
        member = self.join(hub, "NW")
        self.in_step(hub, member)
        hub.stop()
        member.stop()
        member.start()
        self.assertIn("last_success", member.ask("status")["exchange"])
        self.assertRegex(member.run("status").stdout, "last exchange +20")

    def test_tls_1_2_is_refused(self):
        hub = self.found()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with socket.create_connection(("127.0.0.1", hub.port), timeout=30) as plain:
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                context.wrap_socket(plain)


class Imposter:
    """A TLS server that hears what is said to it, and answers `answer`."""

    def __init__(self, port, certificate, hear, answer=b""):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate)
        self.hear = hear
        self.answer = answer
        self.listener = socket.create_server(("127.0.0.1", port))
        self.listener.settimeout(0.2)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.serve)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.listener.close()

    def serve(self):
        while not self.over.is_set():
            try:
                plain, _ = self.listener.accept()
            except socket.timeout:
                continue
            try:
                plain.settimeout(1)
                with self.context.wrap_socket(plain, server_side=True) as connection:
                    self.hear(connection.recv(65536))
                    if self.answer:
                        connection.sendall(self.answer)
            except OSError:
                plain.close()


class GarbageTest(NodesTest):
    def test_a_member_that_sends_garbage_harms_nobody(self):
        hub = self.found()
        member = self.join(hub, "NW")
        certificate = certificate_of_key(self.home, "nw", member.data / "tls.key")
        before = hub.ask("status")["counts"]["entries"]
        bodies = [b"", b"\xff" * 100, os.urandom(1000), os.urandom(100_000), b"\x28\xb5\x2f\xfd" + os.urandom(500),
                  b"GET / HTTP/1.1\r\n\r\n"]
        for body in bodies:
            for path in ("/sync/v1/exchange", "/sync/v1/join"):
                status, _ = post(hub.port, path, body, certificate)
                self.assertIn(status, (200, 400, 403, 413, 415), (path, body[:20]))
        self.assertEqual(hub.ask("status")["counts"]["entries"], before)
        member.ask("add", "event", "title=Weiter", "when.start=2025-05-01")
        self.in_step(hub, member)

    def test_bytes_that_are_no_tls_are_dropped(self):
        hub = self.found()
        for payload in (b"", b"GET / HTTP/1.1\r\n\r\n", os.urandom(5000), b"\x16\x03\x01\xff\xff" + b"\0" * 300):
            with socket.create_connection(("127.0.0.1", hub.port), timeout=30) as plain:
                try:
                    plain.sendall(payload)
                    plain.shutdown(socket.SHUT_WR)
                except OSError:
                    pass  # it was dropped already
                read_all(plain)
        hub.ask("status")

    def test_a_hub_that_answers_garbage_is_reported_and_survived(self):
        hub = self.found()
        member = self.join(hub, "NW")
        hub.stop()
        certificate = certificate_of_key(self.home, "ni", hub.data / "tls.key")
        garbage = os.urandom(3000)
        answers = (b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.staffel.exchange\r\nContent-Length: 3000\r\n\r\n"
                   + garbage, b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n", os.urandom(400))
        for answer in answers:
            heard = []
            with Imposter(hub.port, certificate, heard.append, answer):
                member.ask("add", "event", "title=Weiter", "when.start=2025-05-01")
                until(lambda: heard and member.ask("status")["exchange"]["last_error"], "the nonsense is reported")
        hub.start()
        self.in_step(hub, member)
        self.assert_sound(member)


class InvitationTest(NodesTest):
    def test_an_expired_invitation_is_refused(self):
        hub = self.found()
        status, body = hub.admin("Invite", b"\x0a\x02NW\x10\x01")  # member NW, valid for one second
        self.assertEqual(status, 200)
        token = body[body.index(b"staffel-"):].split(b"\x12", 1)[0].decode()
        until(lambda: hub.ask("invite", "--list")["invitations"][0]["state"] == "expired", "the invitation expires")
        node = self.node("NW").start()
        self.assertIn("ended", node.refused("join", "-", text=token + "\n")["message"])
        self.assertEqual(node.ask("status")["state"], "unfounded")

    def test_a_used_invitation_serves_nobody_else(self):
        hub = self.found()
        token = hub.ask("invite", "NW")["token"]
        first = self.node("NW").start()
        first.ask("join", "-", text=token + "\n")
        self.await_member(first)
        second = self.node("BY").start()
        second.run("join", "-", text=token + "\n")
        until(lambda: (second.ask("status")["join"] or {}).get("state") == "refused", "the second is refused")
        self.assertNotEqual(second.ask("status")["join"]["sentence"], "")
        self.assertEqual(hub.ask("invite", "--list")["invitations"][0]["state"], "used")

    def test_a_revoked_invitation_is_refused(self):
        hub = self.found()
        invitation = hub.ask("invite", "NW")
        hub.ask("invite", "--revoke", invitation["id"])
        node = self.node("NW").start()
        node.run("join", "-", text=invitation["token"] + "\n")
        until(lambda: (node.ask("status")["join"] or {}).get("state") == "refused", "the node is refused")

    def test_a_mistyped_invitation_is_refused_at_once(self):
        hub = self.found()
        token = hub.ask("invite", "NW")["token"]
        node = self.node("NW").start()
        for wrong in (token[:-5], token[:40], "staffel-1.", "Hallo", token.swapcase()):
            node.refused("join", "-", text=wrong + "\n")
        self.assertEqual(node.ask("status")["state"], "unfounded")

    def test_one_member_alone_lets_nobody_in(self):
        hub = self.found()
        self.join(hub, "NW")
        node = self.node("BY").start()
        node.ask("join", "-", text=hub.ask("invite", "BY")["token"] + "\n")
        until(lambda: node.ask("status")["join"]["state"] == "waiting", "the node waits")
        self.assertIn("NW", node.ask("status")["join"]["sentence"])
        waiting = until(lambda: hub.ask("waiting")["proposals"], "the change waits at the hub")
        self.assertEqual(waiting[0]["approved"], ["NI"])
        self.await_member(node)

    def test_an_invitation_for_another_member_is_refused(self):
        hub = self.found()
        token = hub.ask("invite", "NW")["token"]
        node = self.node("HE")
        node.config.write_text('member = "HE"\n' + node.config.read_text(encoding="utf-8"), encoding="utf-8")
        node.start()
        self.assertIn("NW", node.refused("join", "-", text=token + "\n")["message"])


class Proxy:
    """An HTTP proxy that allows CONNECT to whoever knows the password."""

    def __init__(self, user, password, offers="Basic"):
        self.offers = "".join(f"Proxy-Authenticate: {one}\r\n" for one in offers.split(",")).encode()
        self.secret = base64.b64encode(f"{user}:{password}".encode())
        self.port = free_port()
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.tunnels = 0
        self.refused = 0
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.tunnel, args=(client,), daemon=True).start()

    def tunnel(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = client.recv(4096)
            if not piece:
                return
            head += piece
        if b"Basic " + self.secret not in head:
            self.refused += 1
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n" + self.offers +
                           b"Content-Length: 0\r\n\r\n")
            client.close()
            return
        host, port = head.split(b" ")[1].rsplit(b":", 1)
        self.tunnels += 1
        server = socket.create_connection((host.decode(), int(port)))
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")

        def copy(source, target):
            try:
                while piece := source.recv(65536):
                    target.sendall(piece)
                target.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        threading.Thread(target=copy, args=(server, client), daemon=True).start()
        copy(client, server)


class ProxyTest(NodesTest):
    def extra(self, proxy, password):
        (self.home / "password").write_text(password + "\n", encoding="utf-8")
        return f'[proxy]\nurl = "http://127.0.0.1:{proxy.port}"\nuser = "staffel"\npassword_file = "../password"\n'

    def test_a_node_joins_and_exchanges_through_an_authenticating_proxy(self):
        hub = self.found()
        proxy = Proxy("staffel", "gehe:im@nis/1")
        member = self.join(hub, "NW", extra=self.extra(proxy, "gehe:im@nis/1"))
        member.ask("add", "event", "title=Durch den Proxy", "when.start=2025-05-01")
        self.in_step(hub, member)
        self.assertGreater(proxy.tunnels, 0)
        self.assertEqual(hub.ask("list", "event")["total"], 1)

    def test_a_wrong_password_is_told_and_never_shown(self):
        hub = self.found()
        proxy = Proxy("staffel", "richtig")
        node = self.node("NW", extra=self.extra(proxy, "grundfalsch")).start()
        node.ask("join", "-", text=hub.ask("invite", "NW")["token"] + "\n")
        until(lambda: proxy.refused > 0 and "proxy" in node.ask("status")["join"]["sentence"].lower(),
              "the proxy's refusal is told")
        self.assertNotIn("grundfalsch", str(node.ask("status")))
        self.assertNotIn("grundfalsch", node.log_text())

    def test_a_proxy_that_asks_for_what_we_do_not_know_is_told_so(self):
        hub = self.found()
        proxy = Proxy("staffel", "richtig", offers="Negotiate,NTLM")
        node = self.node("NW", extra=self.extra(proxy, "falsch")).start()
        node.ask("join", "-", text=hub.ask("invite", "NW")["token"] + "\n")
        until(lambda: "only Negotiate, NTLM" in node.ask("status")["join"]["sentence"], "what it offers is told")


if __name__ == "__main__":
    unittest.main()
