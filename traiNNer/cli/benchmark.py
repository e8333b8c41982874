"""`trainner benchmark`: scores of a network by the protocol of published tables, beside published networks.

Exit codes: 0, 2 the weights file or options, 3 the images, 7 cannot write, 8 out of memory.
"""

import argparse
from pathlib import Path
from typing import Any

EXAMPLE = "trainner benchmark -m net_g_best_psnr.safetensors --set Set5=datasets/set5"


def add(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "benchmark",
        help="measure a network as papers do, beside published ones",
        description=(
            "Make LR images of the ground truth as papers do, check that bicubic upscaling has the published scores, "
            "and print the network's: quality, size, time, memory, and published networks of similar size."
        ),
        epilog="exit codes: 0, 2 weights file or options, 3 images, 7 cannot write, 8 out of memory",
    )
    parser.add_argument("-m", "--model", type=Path, required=True, metavar="FILE", help=".safetensors, .pth or .onnx")
    parser.add_argument(
        "--set", action="append", required=True, metavar="NAME=DIR", help="ground truth, e.g. Set5=Set5/HR; several"
    )
    parser.add_argument(
        "-o", "--output", action="append", type=Path, default=[], metavar="FILE", help=".json, .md or .tex; several"
    )
    parser.add_argument("--scale", type=int, metavar="N", help="of a weights file that does not record it")
    parser.add_argument("--tile", type=int, default=0, metavar="N", help="side of tiles in LQ pixels; 0: whole images")
    parser.add_argument("--cpu", action="store_true", help="compute on the CPU")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Measure, print and write."""
    from traiNNer.errors import ConfigError
    from traiNNer.papers.command import Request, run_benchmark

    if args.tile < 0:
        raise ConfigError(f"--tile must be at least 0, not {args.tile}")
    run_benchmark(Request(args.model, args.set, args.output, args.scale, args.tile, args.cpu))
