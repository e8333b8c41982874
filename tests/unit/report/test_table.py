from traiNNer.report.table import folded, table


def test_table_escapes_and_puts_numbers_on_the_right():
    assert table(["a", "b"], [(1234, "<i>"), (2, True)]) == (
        '<div class="scroll"><table><thead><tr><th class="number">a</th><th>b</th></tr></thead><tbody>'
        '<tr><td class="number">1,234</td><td>&lt;i&gt;</td></tr><tr><td class="number">2</td><td>True</td></tr>'
        "</tbody></table></div>"
    )


def test_what_is_folded_has_an_escaped_title():
    assert folded("a < b", "<p>c</p>") == "<details><summary>a &lt; b</summary><p>c</p></details>"
