"""`python -m traiNNer` is the same as `trainner`."""

import sys

from traiNNer.cli import main

sys.exit(main())
