"""Test a weights file: `python test.py -opt options/test/2x_paragonsr2.yml`."""

import sys

if __name__ == "__main__":
    try:
        from traiNNer.app import test_command
    except KeyboardInterrupt:  # importing takes seconds, time enough to think again
        sys.exit(130)
    sys.exit(test_command())
