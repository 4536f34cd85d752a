"""Write the files that fuzzing starts from: every container and kind of tag, with little audio behind them.

python -m tests.fuzz.seeds FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests import corpus_mp3, corpus_xiph, hostile, hostile_made

LONGEST = 24_000


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    files = [(f"base-{n}{suffix}", data) for n, (suffix, data) in enumerate(hostile.bases())]
    files += [(file.name, file.data) for file in hostile_made.small()]
    for name, data in files:
        for audio in (corpus_mp3.audio(), corpus_xiph._flac()[1]):
            data = data.replace(audio, audio[:2000])
        if len(data) <= LONGEST:
            (folder / name).write_bytes(data)
    print(f"{len(list(folder.iterdir()))} files in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
