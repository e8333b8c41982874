"""Where and how precisely tensors are computed: the only room that names devices, ranks, and precision."""
