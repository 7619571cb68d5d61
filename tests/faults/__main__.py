"""Sum the lines that runs have appended to CEREBRO_FAULTS_REPORT, as the table of docs/faults.md:

python -m tests.faults FILE...
"""

import sys
from pathlib import Path

import msgspec

from tests.faults.report import Line, summed


def main() -> int:
    files = [Path(name) for name in sys.argv[1:]]
    if not files:
        print(__doc__)
        return 2
    decoder = msgspec.json.Decoder(Line)
    lines = [decoder.decode(line) for file in files for line in file.read_bytes().splitlines() if line.strip()]
    if not lines:
        print("there are no runs in it", file=sys.stderr)
        return 1
    print(summed(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
