"""Test a weights file: `python test.py -opt options/test/2x_paragonsr2.yml`."""

import sys

if __name__ == "__main__":
    try:
        from traiNNer.cli.test import main

        sys.exit(main())
    except KeyboardInterrupt:  # importing takes a while, time enough to think again
        sys.exit(130)
    except ModuleNotFoundError as error:
        print(
            f"This Python ({sys.executable}) has no package {error.name!r}. Activate the virtual environment that "
            "traiNNer was installed into, or install it here: pip install -e .",
            file=sys.stderr,
        )
        sys.exit(2)
