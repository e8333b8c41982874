from traiNNer.report.formats import Sheet, escaped, fitted, latex, markdown

SHEET = Sheet("Scores", ["set", "a_b"], [["x|y", "1 ± 2"]], "Of the last one.")


def test_markdown_is_a_table_that_a_bar_does_not_break():
    assert markdown([SHEET]) == (
        "## Scores\n\nOf the last one.\n\n| set  | a_b   |\n|------|-------|\n| x\\|y | 1 ± 2 |\n"
    )


def test_latex_is_a_table_in_which_names_are_no_commands():
    assert latex([SHEET]).splitlines() == [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\caption{Scores. Of the last one.}",
        r"\begin{tabular}{ll}",
        r"\toprule",
        r"set & a\_b \\",
        r"\midrule",
        r"x|y & 1 $\pm$ 2 \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    assert escaped("a\\b{c}%$#&~^") == r"a\textbackslash{}b\{c\}\%\$\#\&\textasciitilde{}\textasciicircum{}"


def test_a_table_without_rows_is_its_note():
    empty = Sheet("Options", ["option"], [], "None.")
    assert markdown([empty]) == "## Options\n\nNone.\n"
    assert latex([empty]).splitlines()[1:] == ["% Options: None."]


def test_screen_shows_markdown_or_where_it_is_too_narrow_a_list():
    wide = Sheet("Scores", ["set", "metric", "a_run_of_a_long_name"], [["Set5", "psnr", "34.9206"]], "Of the last one.")
    assert fitted([SHEET, wide], None) == fitted([SHEET, wide], 80) == markdown([SHEET, wide])
    assert fitted([SHEET, wide], 35) == (
        markdown([SHEET]) + "\n## Scores\n\nOf the last one.\n\nSet5\n  metric: psnr\n  a_run_of_a_long_name: 34.9206\n"
    )
