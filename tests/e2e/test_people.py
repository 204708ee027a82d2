# SPDX-License-Identifier: EUPL-1.2
"""What people's browsers reach: the page, the versions, the ministry's certificate and its renewal."""
import json
import signal
import socket
import ssl
import unittest

from support import WAIT_SECONDS, NodesTest, client_context, make_certificate, parse_answer, read_all, until


class PeopleTest(NodesTest):
    def start(self, extra=""):
        node = self.node("NI", listen=True, extra='[people]\naddress = "127.0.0.1"\nport = 0\n' + extra).start()
        self.port = int(node.ask("status")["people_address"].rsplit(":", 1)[1])
        return node

    def get(self, path, method="GET"):
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as plain:
            with client_context().wrap_socket(plain) as connection:
                connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n".encode())
                return parse_answer(read_all(connection))

    def shown_certificate(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as plain:
            with client_context().wrap_socket(plain) as connection:
                return connection.getpeercert(binary_form=True)

    def test_the_page_and_the_versions(self):
        node = self.start()
        status, body = self.get("/api/v1/hello")
        self.assertEqual(status, 200)
        hello = json.loads(body)
        self.assertEqual((hello["software"], hello["conference"], hello["notice"]), ("staffel", None, None))
        self.assertEqual(self.get("/")[0], 200)
        node.ask("found", "IntMK <&>", "--as", "NI", "--land", "NI", "--demonstration")
        hello = json.loads(self.get("/api/v1/hello")[1])
        self.assertEqual(hello["conference"], "IntMK <&>")
        self.assertEqual(hello["notice"], "Demodaten – keine tatsächlichen Beschlüsse")
        page = self.get("/")[1].decode()
        self.assertIn("Demodaten – keine tatsächlichen Beschlüsse", page)
        self.assertIn("IntMK &lt;&amp;&gt;", page)
        self.assertIn('lang="en"', page)

    def test_a_start_that_fails_names_the_key_of_the_configuration(self):
        first = self.node("NI", listen=True).start()
        for land, table in (("BY", "replicas"), ("HE", "people")):
            node = self.node(land, extra=f"[{table}]\nport = {first.port}\n")
            self.assertEqual(node.spawn().wait(WAIT_SECONDS), 1)
            self.assertRegex(node.log_text(), rf"staffel\.toml:5:8: {table}\.port: .*{first.port}")
        self.assertEqual(first.spawn().wait(WAIT_SECONDS), 1)
        self.assertIn("staffel.toml:1:8: data: ", first.log_text())

    def test_nothing_else_is_there(self):
        self.start()
        for path in ("/admin/v1/Status", "/sync/v1/exchange", "/staffel.db", "/api/v1/records", "/../data/replica.key"):
            self.assertIn(self.get(path)[0], (400, 404), path)
        self.assertEqual(self.get("/", method="DELETE")[0], 405)

    def test_a_renewed_certificate_is_shown_after_sighup_and_a_broken_one_is_not(self):
        certificate, key = make_certificate(self.home, "people")
        node = self.start(f'certificate = "{certificate}"\nkey = "{key}"\n')
        first = ssl.PEM_cert_to_DER_cert(certificate.read_text(encoding="ascii"))
        self.assertEqual(self.shown_certificate(), first)
        make_certificate(self.home, "people")
        second = ssl.PEM_cert_to_DER_cert(certificate.read_text(encoding="ascii"))
        node.process.send_signal(signal.SIGHUP)
        until(lambda: self.shown_certificate() == second, "the new certificate is shown")
        certificate.write_text("no certificate", encoding="ascii")
        node.process.send_signal(signal.SIGHUP)
        until(lambda: "stays as it was" in node.log_text(), "the refusal is logged")
        self.assertEqual(self.shown_certificate(), second)


if __name__ == "__main__":
    unittest.main()
