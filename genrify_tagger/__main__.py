"""`python -m genrify_tagger` is `genrify-tag`."""

import sys

from genrify_tagger.cli import main

if __name__ == "__main__":
    sys.exit(main())
