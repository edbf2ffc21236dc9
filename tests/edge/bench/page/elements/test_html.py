from __future__ import annotations

from xml.etree.ElementTree import tostring

from edge.bench.page.elements.html import tag, whole_page


def test_tag_keeps_texts_and_elements_in_their_order() -> None:
    found = tag("p", "a", tag("b", "c"), "d", "e", class_="soft", data_x=1.5)
    expected = '<p class="soft" data-x="1.5">a<b>c</b>de</p>'
    assert tostring(found, encoding="unicode") == expected


def test_tag_escapes_texts_and_values() -> None:
    found = tostring(tag("p", "<b>&\x00", title='"<'), encoding="unicode")
    assert found == '<p title="&quot;&lt;">&lt;b&gt;&amp;\\x00</p>'


def test_whole_page_lets_a_browser_load_nothing() -> None:
    html = whole_page("a <title>", "a > b {}", [tag("p", "text")])
    assert "default-src 'none'; style-src 'unsafe-inline'" in html
    assert "<title>a &lt;title&gt;</title>" in html
    assert "<style>a > b {}</style>" in html
