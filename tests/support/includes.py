#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Checks the house's includes; prints each violation and exits 1 if there is one.

A folder includes itself and what stands before it; each third-party library has one home folder;
each header compiles alone.

usage: includes.py [--no-compile] [DIRECTORY, default daemon]; $CC and $CPPFLAGS are heeded
"""
import os
import pathlib
import re
import shlex
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

FLOORS = ["base", "codec", "config", "loop", "net", "store", "event", "identity", "azure", "hook", "flow", "control"]
CTL_MAY = {"base", "codec", "config", "loop", "net", "event", "identity", "azure", "control", "ctl"}
HOMES = {"event2/": {"loop", "net"}, "systemd/": {"loop"}, "curl/": {"net"}, "yajl/": {"codec"}, "expat.h": {"codec"},
         "openssl/": {"codec"}, "yaml.h": {"config"}, "sqlite3.h": {"store"}}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def may_include(folder):
    """The folders that a folder may include; a file at the top (main.c) may include all."""
    if folder == "":
        return set(FLOORS)
    if folder == "ctl":
        return CTL_MAY
    if folder in FLOORS:
        return set(FLOORS[:FLOORS.index(folder) + 1])
    return None


def violations_of(root, path):
    """What is wrong with one file's includes, as lines to print."""
    relative = path.relative_to(root)
    folder = relative.parts[0] if len(relative.parts) > 1 else ""
    may = may_include(folder)
    if may is None:
        return [f"{path}: the folder {folder}/ has no floor in the house"]
    text = path.read_text(errors="replace")
    found = []
    for match in INCLUDE.finditer(text):
        place, name = f"{path}:{text.count(chr(10), 0, match.start()) + 1}", match[2]
        target = next((p.resolve() for p in (path.parent / name, root / name) if p.is_file()), None)
        if target is not None and root.resolve() in target.parents:
            inner = target.relative_to(root.resolve()).parts
            if len(inner) > 1 and inner[0] not in may:
                found.append(f"{place}: {folder}/ may not include {'/'.join(inner)}")
            continue
        if match[1] == '"':
            found.append(f"{place}: no such file in the house: {name}")
        for prefix, homes in HOMES.items():
            if name.startswith(prefix) and folder not in homes:
                found.append(f"{place}: <{name}> belongs in {', '.join(sorted(homes))}/ only")
    return found


def compile_alone(root, header):
    """The compiler's words on a header that does not compile by itself."""
    command = [*shlex.split(os.environ.get("CC", "cc")), "-std=c17", "-D_GNU_SOURCE", f"-I{root}",
               *shlex.split(os.environ.get("CPPFLAGS", "")), "-fsyntax-only", "-x", "c", "-"]
    include = f'#include "{header.relative_to(root)}"\n'
    done = subprocess.run(command, input=include, capture_output=True, text=True)
    words = textwrap.indent(done.stderr.rstrip(), "    ")
    return [] if done.returncode == 0 else [f"{header}: does not compile alone\n{words}"]


def main(arguments):
    root = pathlib.Path(next((a for a in arguments if not a.startswith("-")), "daemon"))
    files = sorted(p for p in root.rglob("*") if p.suffix in (".c", ".h"))
    if not files:
        print(f"{root}: no C file")
        return 1
    found = [line for path in files for line in violations_of(root, path)]
    if "--no-compile" not in arguments:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            headers = [p for p in files if p.suffix == ".h"]
            found += [line for lines in pool.map(lambda h: compile_alone(root, h), headers) for line in lines]
    print("\n".join(found) if found else f"includes: {len(files)} files, all point down, each header stands alone")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
