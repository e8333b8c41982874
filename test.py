"""Test a weights file: `python test.py -opt options/test/2x_paragonsr2.yml`."""

import sys

from traiNNer.app import test_command

if __name__ == "__main__":
    sys.exit(test_command())
