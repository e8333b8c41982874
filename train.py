"""Train a network: `python train.py -opt options/2x_paragonsr2.yml`."""

import sys

from traiNNer.app import train_command

if __name__ == "__main__":
    sys.exit(train_command())
