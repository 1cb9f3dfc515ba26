#!/usr/bin/python3
"""check_symbols.py LIBRARY: the shared library exports what the public headers declare with RP_API, and nothing else."""

import pathlib
import re
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parent.parent
declared = set()
for header in (root / "include").rglob("*.h"):
    text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
    for declaration in re.findall(r"^RP_API\b([^;]*);", text, re.M):
        declared.add(re.search(r"(\w+)\s*(?:\(|$)", declaration)[1])

table = subprocess.run(["nm", "-D", "--defined-only", sys.argv[1]], check=True, capture_output=True, text=True).stdout
exported = {line.split()[-1].partition("@")[0] for line in table.splitlines()}

for name in sorted(declared - exported):
    print(f"{name} is declared but not exported")
for name in sorted(exported - declared):
    print(f"{name} is exported but not declared")
sys.exit(not declared or declared != exported)
