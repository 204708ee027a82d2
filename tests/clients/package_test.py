# SPDX-License-Identifier: EUPL-1.2
"""Installs the client library into a temporary prefix, builds the example against it as a stranger
would, and runs it against a node. Arguments: cmake, build folder, staffeld, staffel, C and C++ compiler."""
import pathlib
import subprocess
import sys
import tempfile
import time

EXAMPLE = pathlib.Path(__file__).resolve().parent.parent.parent / "clients" / "cpp" / "example"


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300, check=False,
                          **options)
    if done.returncode != 0:
        sys.exit(f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def main():
    cmake, build, staffeld, staffel, c_compiler, cxx_compiler = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="staffel-package-") as folder:
        home = pathlib.Path(folder)
        run(cmake, "--install", build, "--component", "client", "--prefix", home / "prefix")
        run(cmake, "-S", EXAMPLE, "-B", home / "build", f"-DCMAKE_PREFIX_PATH={home / 'prefix'}",
            f"-DCMAKE_C_COMPILER={c_compiler}", f"-DCMAKE_CXX_COMPILER={cxx_compiler}")
        run(cmake, "--build", home / "build")
        symbols = run("nm", "-D", "--defined-only", next((home / "prefix").rglob("libstaffel.so")))
        foreign = [line for line in symbols.splitlines() if " staffel_" not in line and "STAFFEL_" not in line]
        if foreign:
            sys.exit("the library shows symbols that are not its own: " + "\n".join(foreign[:10]))

        (home / "node.toml").write_text('data = "node"\n[replicas]\nport = 0\n', encoding="utf-8")
        daemon = subprocess.Popen([staffeld, "--config", home / "node.toml"])
        try:
            deadline = time.monotonic() + 60
            while subprocess.run([home / "build" / "status", home / "node"], capture_output=True,
                                 check=False).returncode != 0:
                if time.monotonic() > deadline or daemon.poll() is not None:
                    sys.exit("the node does not answer")
                time.sleep(0.1)
            if '"unfounded"' not in run(home / "build" / "status", home / "node"):
                sys.exit("the example does not show the node's status")
            # It writes only what it is told to.
            if '"records":[]' not in run(home / "build" / "agenda", home / "node"):
                sys.exit("the example does not show that there are no notes")
            # No conference yet: refused with the reason, not ended by a bug.
            refused = subprocess.run([home / "build" / "agenda", home / "node", '{"text": "Unterlagen bis Montag"}'],
                                     capture_output=True, text=True, check=False)
            if refused.returncode != 1 or "staffel found" not in refused.stderr:
                sys.exit(f"the example was not refused: {refused}")
            run(staffel, "--node", home / "node", "found", "Test", "--as", "NI", "--land", "NI=Niedersachsen")
            if "Unterlagen bis Montag" not in run(home / "build" / "agenda", home / "node",
                                                  '{"text": "Unterlagen bis Montag"}'):
                sys.exit("the example does not show the note that it wrote")
        finally:
            daemon.terminate()
            daemon.wait(timeout=30)


if __name__ == "__main__":
    main()
