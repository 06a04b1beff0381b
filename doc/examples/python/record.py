# SPDX-License-Identifier: Apache-2.0
"""Read records, which quantbench --output=FILE.json writes, and print a table of their cases.

    python3 record.py FILE.json...

Only Python's own library is needed. All members are in quantbench-output(5).
"""
import json
import sys


def read_cases(name):
    """Return the cases of a record as dictionaries: what they measure, and what was found."""
    with open(name, encoding="utf-8") as file:
        record = json.load(file)
    if record.get("schema") != "quantbench-result":
        sys.exit(f"{name}: not a record of quantbench")
    devices = {device["id"]: device["name"] for device in record["devices"]}
    for result in record["results"]:
        time, ceiling, quality = result["time_ns"], result["ceiling"], result["quality"]
        yield {
            "device": devices[result["device"]],
            "kernel": result["kernel"],
            "format": f"{result['problem']['dtype']} {result['problem']['quant_dtype']}",
            "granularity": result["problem"]["granularity"],
            "tokens": result["problem"]["num_tokens"],
            "hidden": result["problem"]["hidden_size"],
            "median us": time and f"{time['median'] / 1000:.3f}",
            "ceiling %": ceiling and ceiling["share"] and f"{100 * ceiling['share']:.1f}",
            "SNR dB": quality and quality["snr_db"] and f"{quality['snr_db']:.2f}",
            "codes": result["verification"],
        }


def print_table(rows):
    texts = [list(rows[0])] + [["-" if value is None else str(value) for value in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts)]
    for line in texts:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())


def main():
    cases = [case for name in sys.argv[1:] for case in read_cases(name)]
    if not cases:
        sys.exit(__doc__.strip())
    print_table(cases)


if __name__ == "__main__":
    main()
