# SPDX-License-Identifier: EUPL-1.2
"""Runs scripts where nothing has been built and nothing can be installed: help comes at once, setup says what it
does and what it may not, and a copy without its history is looked at all the same. Argument: the source folder."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile


FAKES = {
    # Everything is installed but what FAKE_MISSING names.
    "dpkg-query": 'for last; do :; done; [ "$last" = "$FAKE_MISSING" ] || printf installed',
    "id": 'echo "$FAKE_USER"',
    "apt-get": 'echo "$*" >>"$FAKE_LOG"; [ -z "$FAKE_BROKEN" ] || { echo "E: no such mirror"; exit 100; }',
    "sudo": "exit 1",
}


def run_setup(source, folder, **settings):
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    for name, body in FAKES.items():
        (tools / name).write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        (tools / name).chmod(0o755)
    log = folder / "apt.log"
    log.write_text("", encoding="utf-8")
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "FAKE_LOG": str(log), "FAKE_MISSING": "",
                   "FAKE_USER": "0", "FAKE_BROKEN": "", **settings}
    done = subprocess.run([source / "scripts" / "setup"], capture_output=True, text=True, check=False, timeout=60,
                          env=environment)
    return done, log.read_text(encoding="utf-8")


def check_setup(source, folder):
    done, called = run_setup(source, folder)
    if done.returncode != 0 or done.stdout or done.stderr or called:
        sys.exit(f"scripts/setup with nothing missing is not quiet: {done} {called}")
    done, called = run_setup(source, folder, FAKE_MISSING="catch2")
    if done.returncode != 0 or "installing from Debian: catch2\n" not in done.stdout:
        sys.exit(f"scripts/setup does not say what it installs: {done}")
    if "update" not in called or not called.rstrip().endswith("--no-install-recommends catch2"):
        sys.exit(f"scripts/setup installs something else: {called}")
    done, called = run_setup(source, folder, FAKE_MISSING="catch2", FAKE_USER="1000")
    if done.returncode != 1 or called or "no right" not in done.stderr or "catch2" not in done.stderr:
        sys.exit(f"scripts/setup without the right to install does not say so: {done} {called}")
    done, _ = run_setup(source, folder, FAKE_MISSING="catch2", FAKE_BROKEN="1")
    if done.returncode != 1 or "no such mirror" not in done.stderr:
        sys.exit(f"scripts/setup hides why installing failed: {done}")


def check_without_history(source, folder):
    copy = folder / "copy"
    (copy / "scripts").mkdir(parents=True)
    (copy / "build").mkdir()
    (copy / "build" / "made.cc").write_text("made\n", encoding="utf-8")
    (copy / "core.h").write_text("ours\n", encoding="utf-8")
    shutil.copy(source / "scripts" / "list-files", copy / "scripts")
    done = subprocess.run([copy / "scripts" / "list-files"], capture_output=True, text=True, check=False, timeout=60)
    if done.returncode != 0 or done.stdout.split() != ["core.h", "scripts/list-files"]:
        sys.exit(f"scripts/list-files in a copy without its history: {done}")


def main():
    source = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="staffel-scripts-") as folder:
        scripts = pathlib.Path(folder) / "scripts"
        scripts.mkdir()
        for name in ("sim", "bench", "junit-totals"):
            shutil.copy(source / "scripts" / name, scripts / name)
            for option in ("--help", "-h"):
                done = subprocess.run([scripts / name, option], capture_output=True, text=True, check=False, timeout=60)
                if done.returncode != 0 or "usage: " not in done.stdout or done.stderr:
                    sys.exit(f"scripts/{name} {option}: {done}")
        if sorted(one.name for one in pathlib.Path(folder).iterdir()) != ["scripts"]:
            sys.exit("a script that was asked for help has made something")
    with tempfile.TemporaryDirectory(prefix="staffel-scripts-") as folder:
        check_setup(source, pathlib.Path(folder))
        check_without_history(source, pathlib.Path(folder))


if __name__ == "__main__":
    main()
