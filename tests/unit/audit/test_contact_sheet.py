import base64
import re

import cv2
import numpy as np
from imagekit import numbers, write_pairs, write_png

from traiNNer.audit.contact_sheet import SHOWN, contact_sheet
from traiNNer.audit.findings import KINDS, Finding
from traiNNer.audit.survey import survey


def page(root, *findings):
    return contact_sheet(survey(root / "hr", root / "lr"), findings)


def images(text):
    found = re.findall(r'src="data:image/(?:png|jpeg);base64,([^"]+)"', text)
    return [cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR) for data in found]


def test_names_and_details_are_escaped(tmp_path):
    write_pairs(tmp_path, 2, (40, 50))
    evil = '"><img src=x onerror=alert(1)>&'
    write_png(tmp_path / "hr" / f"{evil}.png", numbers(8, 8, 3))
    file = tmp_path / "hr" / f"{evil}.png"
    text = page(tmp_path, Finding("no_partner", str(file), f"<b>{evil}", 0, (file,)))
    assert evil not in text
    assert "<b>&quot;" not in text
    assert text.count("&quot;&gt;&lt;img src=x onerror=alert(1)&gt;&amp;") == 4  # name, detail, label and alt


def test_page_is_self_contained_and_has_both_images(tmp_path):
    write_pairs(tmp_path, 2, (40, 50))
    files = (tmp_path / "hr/000.png", tmp_path / "lr/000.png")
    text = page(tmp_path, Finding("wrong_pair", "000", "correlation 0.10", 0, files))
    assert not re.search(r"https?:|<script|<link", text)
    assert [image.shape for image in images(text)] == [(192, 240, 3)] * 2
    assert re.findall("<small>([HL]R)</small>", text) == ["HR", "LR"]
    assert 'href="#wrong_pair"' in text
    assert 'id="wrong_pair"' in text


def test_detail_shows_the_same_region_of_both(tmp_path):
    write_pairs(tmp_path, 2, (100, 120))
    gt = np.zeros((200, 240, 3), np.uint8)
    gt[20:60, 140:180] = numbers(40, 40, 3)
    write_png(tmp_path / "hr/000.png", gt)
    write_png(tmp_path / "lr/000.png", gt[::2, ::2])
    files = (tmp_path / "hr/000.png", tmp_path / "lr/000.png")
    hr, lr = images(page(tmp_path, Finding("misaligned", "000", "", 0, files)))
    assert hr.shape == (80, 80, 3)
    np.testing.assert_array_equal(lr, hr[::2, ::2])
    assert hr.any()


def test_worst_are_shown_and_the_rest_counted(tmp_path):
    write_pairs(tmp_path, 2, (40, 50))
    text = page(tmp_path, *(Finding("alpha", f"name{number:02}") for number in range(SHOWN + 3)))
    assert f"name{SHOWN - 1:02}" in text
    assert f"name{SHOWN:02}" not in text
    assert "… and 3 more" in text


def test_unreadable_images_without_findings(tmp_path):
    write_pairs(tmp_path, 2, (40, 50))
    broken = tmp_path / "hr/broken.png"
    broken.write_bytes(b"")
    text = page(tmp_path, Finding("unreadable", str(broken), "empty file", 0, (broken,)))
    assert "cannot be read" in text
    assert "training is refused" in text
    assert images(text) == []
    assert "No problems found." in page(tmp_path)


def test_every_kind_can_be_shown_with_images_of_any_size(tmp_path):
    write_pairs(tmp_path, 2, (1, 3))
    files = (tmp_path / "hr/000.png", tmp_path / "lr/000.png")
    text = page(tmp_path, *(Finding(kind, "000", "", 0, files) for kind in KINDS))
    assert len(images(text)) == 2 * len(KINDS)


def test_no_more_images_have_a_finding_than_there_are(tmp_path):
    write_pairs(tmp_path, 2, (40, 50))
    gone = tmp_path / "hr/gone.png"
    first, second = ((tmp_path / f"hr/{name}.png", tmp_path / f"lr/{name}.png") for name in ("000", "001"))
    findings = [
        Finding("misaligned", "000", "", 0, first),
        Finding("soft", "000", "", 0, first[:1]),
        Finding("alpha", str(first[1]), "", 0, first[1:]),
        Finding("unreadable", str(gone), "empty file", 0, (gone,)),
        Finding("passed_over", str(tmp_path / "hr"), "3 files"),
    ]
    assert "2 pairs, 2x; 1 with a finding; 2 findings about other files or the whole set<" in page(tmp_path, *findings)
    copy = Finding("exact", "001", "", 0, (second[0], first[0]))
    assert "2 pairs, 2x; 2 with a finding<" in page(tmp_path, *findings[:3], copy)
