"""`trainner upscale`: upscale images or a film with the network of a weights file.

Exit codes: 0 every image was upscaled or exists, 1 an image failed, 2 the weights file or options, 3 no images, 7 a
folder cannot be written.
"""

import argparse
from pathlib import Path
from typing import Any

FORMATS = ("png", "tiff", "webp", "jpeg")
CODECS = ("h264", "h265", "ffv1")

EXAMPLE = "trainner upscale -m net_g_best_psnr.safetensors -i photos -o large"


def add(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "upscale",
        help="upscale images or a film with the network of a weights file",
        description=(
            "Upscale files, folders and patterns with the network of a weights file: ours, one that spandrel knows, or "
            "ONNX. What exists is skipped. A bad image is named and does not stop the others. A film (-i film.mkv -o "
            "out.mkv) keeps sound and timing; the same command continues after an interruption."
        ),
        epilog="exit codes: 0, 1 an image failed, 2 weights file or options, 3 no images, 7 cannot write",
    )
    parser.add_argument("-m", "--model", type=Path, required=True, metavar="FILE", help=".safetensors, .pth or .onnx")
    parser.add_argument(
        "-i", "--input", nargs="+", required=True, metavar="IN", help="images, folders, patterns ('photos/**/*.jpg')"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="a folder, or a file for one")
    parser.add_argument("--format", choices=FORMATS, help="of the files written; default: by the name of OUT, else png")
    parser.add_argument(
        "--quality", type=_within(1, 100), default=95, metavar="N", help="of jpeg and webp, 1 to 100; 95"
    )
    parser.add_argument("--overwrite", action="store_true", help="write again what exists")
    parser.add_argument("--scale", type=_within(1, 64), metavar="N", help="of a weights file that does not record it")
    parser.add_argument(
        "--tile", type=_within(0, 100_000), metavar="N", help="side of tiles in LQ pixels, 0: whole images; 512"
    )
    parser.add_argument("--overlap", type=_within(0, 10_000), metavar="N", help="what a tile sees around it; 32")
    parser.add_argument("--codec", choices=CODECS, default="h264", help="of a film that is written; h264")
    parser.add_argument(
        "--crf", type=_within(0, 51), default=16, metavar="N", help="quality of a film, 0 to 51, lower is better; 16"
    )
    parser.add_argument("--cpu", action="store_true", help="compute on the CPU")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Upscale. Returns the exit code."""
    from traiNNer.imaging.film import is_film
    from traiNNer.upscaling.command import OVERLAP, TILE, Request, run_upscale
    from traiNNer.upscaling.film import run_film

    of_film = any(is_film(name) for name in (*args.input, args.output))
    return (run_film if of_film else run_upscale)(
        Request(
            model=args.model,
            inputs=args.input,
            output=args.output,
            format=args.format,
            quality=args.quality,
            overwrite=args.overwrite,
            scale=args.scale,
            tile=TILE if args.tile is None else args.tile,
            overlap=OVERLAP if args.overlap is None else args.overlap,
            use_cpu=args.cpu,
            codec=args.codec,
            crf=args.crf,
        )
    )


def _within(least: int, most: int) -> Any:
    """Return a reader of whole numbers within bounds."""

    def number(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"must be a whole number from {least:,} to {most:,}, not {text}")
        return int(text)

    return number
