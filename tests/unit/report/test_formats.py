from traiNNer.report.formats import Sheet, escaped, latex, markdown

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
