"""Train a network: `python train.py -opt options/2x_paragonsr2.yml`."""

import sys

if __name__ == "__main__":
    try:
        from traiNNer.app import train_command
    except KeyboardInterrupt:  # importing takes seconds, time enough to think again
        sys.exit(130)
    sys.exit(train_command())
