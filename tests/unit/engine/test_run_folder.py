import os
import re
import subprocess
import sys

import pytest

from traiNNer.engine.run_folder import FolderLock
from traiNNer.errors import FolderInUse

HOLD = """
import sys, time
from pathlib import Path
from traiNNer.engine.run_folder import FolderLock
with FolderLock(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_run_folder_lock_names_its_owner_and_dies_with_it(tmp_path):
    owner = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert owner.stdout.readline() == "locked\n"
        before = (tmp_path / ".lock").read_text()
        with pytest.raises(
            FolderInUse, match=rf"in use by process {owner.pid} on host \S+ since .*Choose another name"
        ):
            FolderLock(tmp_path).__enter__()
        assert (tmp_path / ".lock").read_text() == before
    finally:
        owner.kill()
        owner.communicate()
    with FolderLock(tmp_path):
        assert re.search(rf'"pid": {os.getpid()}', (tmp_path / ".lock").read_text())


def test_lock_with_other_content_still_keeps_out(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        try:
            assert owner.stdout.readline() == "locked\n"
            for text in ("[" * 10_000, "5", "[]", '{"pid": [1], "host": "a", "since": "b"}', ""):
                (tmp_path / ".lock").write_text(text)
                with pytest.raises(FolderInUse, match="in use by another process"):
                    FolderLock(tmp_path).__enter__()
        finally:
            owner.kill()
