"""Whether this machine is fit for training, and the cure if it is not."""
