from traiNNer.data.files.sequence import runs


def lengths(keys, kinds=None):
    found = runs(keys, kinds or [0] * len(keys))
    assert all(place in run for place, run in enumerate(found))
    return [len(run) for run in dict.fromkeys(found)]


def test_folders_are_clips():
    assert lengths(["a/001", "a/002", "b/003", "b/004", "b/005"]) == [2, 3]


def test_names_in_one_folder_are_clips():
    assert lengths(["show1_Frame9", "show1_Frame10", "show2_Frame11"]) == [2, 1]
    assert lengths(["f1_x2", "f1_x3", "f2_x4"]) == [2, 1]  # the last number counts


def test_gap_ends_a_clip_and_the_usual_step_does_not():
    assert lengths(["a/1", "a/2", "a/3", "a/9", "a/10"]) == [3, 2]
    assert lengths(["a/10", "a/20", "a/30", "a/50"]) == [3, 1]


def test_names_without_numbers_follow_each_other_in_a_folder():
    assert lengths(["a/one", "a/two", "b/one"]) == [2, 1]


def test_other_size_ends_a_clip():
    assert lengths(["a/1", "a/2", "a/3"], [(8, 8), (8, 8), (9, 8)]) == [2, 1]
    assert lengths(["7"]) == [1]
    assert runs([], []) == []
