"""`trainner export`: a trained network as files that other programs open.

Exit codes: 0 written, 1 a form cannot be made or computes something else, 2 the weights file, options or a missing
package, 3 the calibration images, 7 cannot write.
"""

import argparse
from pathlib import Path
from typing import Any

EXAMPLE = "trainner export -m net_g_best_psnr.safetensors --onnx"


def add(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "export",
        help="write a network as ONNX, half precision, int8, a release",
        description=(
            "Write the network of a weights file in other forms, ONNX by default. Each is compared with torch at "
            "several sizes first; nothing is written unless all agree."
        ),
        epilog="exit codes: 0, 1 a form computes something else, 2 weights file or options, 3 images, 7 cannot write",
    )
    parser.add_argument("-m", "--model", type=Path, required=True, metavar="FILE", help=".safetensors or .pth")
    parser.add_argument("--onnx", action="store_true", help="an ONNX file for images of any size (the default)")
    parser.add_argument("--fp16", action="store_true", help="weights in float16, also of the ONNX file")
    parser.add_argument("--bf16", action="store_true", help="weights in bfloat16")
    parser.add_argument("--int8", action="store_true", help="an ONNX file in 8-bit integers; needs --calibration")
    parser.add_argument("--calibration", type=Path, metavar="DIR", help="images such as the network will make")
    parser.add_argument("--torchscript", action="store_true", help="a TorchScript file")
    parser.add_argument("--release", action="store_true", help="a folder to publish: weights, ONNX, sums, a page")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="where to; default: beside the weights file")
    parser.add_argument("--name", metavar="NAME", help="of the files; default: the weights file's, or the run's")
    parser.add_argument("--scale", type=int, metavar="N", help="of a weights file that does not record it")
    parser.add_argument("--overwrite", action="store_true", help="replace what exists")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Export."""
    from traiNNer.export.command import Request, run_export

    run_export(
        Request(
            model=args.model,
            output=args.output,
            name=args.name,
            onnx=args.onnx,
            fp16=args.fp16,
            bf16=args.bf16,
            int8=args.int8,
            calibration=args.calibration,
            torchscript=args.torchscript,
            release=args.release,
            scale=args.scale,
            overwrite=args.overwrite,
        )
    )
